package handler

// WithSuppression does not call the handler for an event that this function has
// handled already, in any of its environments, and answers what the first
// handling answered where that was kept. The checker given to WithDedupe needs
// a shared store; without one, or when it does not answer, every event is
// handled: at least once, never zero times. An event is handled no more than
// once where its first handling was recorded as completed; one whose handling
// failed, or whose environment died, is handled again when it comes again. While
// another environment handles it the invocation fails with
// [dedupe.ErrInProgress], so that it is delivered again.
//
// The claim is made before the handler runs, and the record is written before
// its answer leaves: each adds the store's time, no more than its patience (two
// seconds) and of a short deadline a part. Invocations with one event are
// handled once; the events of a batch are only flagged, and a handler whose
// answer is streamed is as well: [dedupe.Checker.Once] is there for them.
func WithSuppression() Option {
	return optionFunc(func(w *wrapped) { w.handling.Once = true })
}
