package handler

// WithSuppression does not call the handler for an event that this function has
// already handled, in any of its environments. It returns the response of the
// first handling, if that was kept. The checker of WithDedupe needs a shared
// store. Without one, or if the store does not answer, every event is handled:
// at least once, never zero times. An event whose first handling was recorded as
// completed is not handled again. An event whose handling failed, or whose
// environment died, is handled at its next delivery. While another environment
// handles the event, the invocation fails with [dedupe.ErrInProgress], so that
// the event is delivered again.
//
// The claim is made before the handler runs, and the record is written before
// the response is sent. Each adds the store's response time, at most the store's
// patience (two seconds) and, with a short deadline, a part of the remaining
// time. Suppression applies to invocations with one event. The events of a
// batch, and the events of a handler with a streamed response, are only flagged:
// use [dedupe.Checker.Once] for them.
func WithSuppression() Option {
	return optionFunc(func(w *wrapped) { w.handling.Once = true })
}
