// Package handler wraps a Lambda handler: it links the span of an invocation to
// what published its events, tells repeats, and measures.
//
// [Wrap] takes anything that lambda.Start takes. What the handler returns, its
// errors and its panics pass through unchanged; a streamed answer is streamed.
package handler
