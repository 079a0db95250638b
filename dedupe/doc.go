// Package dedupe tells whether an event was delivered to a consumer before, and
// in what way: retried, redelivered, published again, replayed. It also tells
// an event that came after one it had caused, or before one it has to follow,
// and one that goes in circles.
//
// A [Checker] remembers in a window of memory that is bounded by number and by
// age: [Checker.Check] asks it, and knows what this process has seen. With a
// [Store] that a consumer's processes share, [Checker.Start] asks that beside
// the handler, and what it answered is collected when the handler is done.
// Memory answers hits, for a store that is slow or gone never delays or fails
// an event: its check is then unknown.
//
// All of this flags; nothing is dropped. [Checker.Once] does drop: it handles an
// event that was handled already no more, and gives back the first result.
// Handling is then at least once, never zero times, and no more than once where
// the first handling was recorded as completed.
package dedupe
