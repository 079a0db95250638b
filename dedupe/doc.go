// Package dedupe detects whether an event was delivered to a consumer before,
// and classifies the repeat: retry, redelivery, republish, replay. It also
// detects events that are out of order, and suspected loops.
//
// A [Checker] remembers events in memory, bounded by number and by age.
// [Checker.Check] knows only the events of this process. With a [Store] that the
// processes of a consumer share, [Checker.Start] queries the store in parallel
// with the handler, and the result is collected when the handler is done. A
// store that is slow or unavailable never delays or fails an event beyond the
// configured wait: the result of the check is then unknown.
//
// All of this only flags events. [Checker.Once] suppresses repeats: it does not
// handle an event again that was already handled, and returns the first result.
// An event is handled at least once, never zero times, and not again if its
// first handling was recorded as completed.
package dedupe
