// Package export sets up OpenTelemetry in a function's main: the export of
// spans, their sampling, and their resource.
//
// [Setup] chooses the destination from the environment: the extension's receiver
// if the extension is attached, X-Ray, or any OTLP backend. Its result
// configures the other packages.
package export
