// Package dedupe tells whether an event was delivered to a consumer before, and
// in what way: retried, redelivered, published again, replayed. It also tells
// an event that came after one it had caused, and one that goes in circles.
//
// A [Checker] remembers in a window of memory that is bounded by number and by
// age. It flags; it never drops an event.
package dedupe
