// Package export sets up OpenTelemetry for a function's main: where spans go,
// how they are sampled, what they say of the function.
//
// [Setup] chooses by environment: the extension's receiver when one is attached,
// X-Ray, or any OTLP backend. What it returns configures the other packages.
package export
