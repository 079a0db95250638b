// Package handler wraps a Lambda handler: it links the span of an invocation to
// the spans that published its events, detects repeats, and emits metrics.
//
// [Wrap] takes any handler that lambda.Start accepts. The handler's response,
// errors and panics do not change; a streamed response is streamed.
package handler
