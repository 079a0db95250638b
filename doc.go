// Package throughline makes event-driven systems on Amazon EventBridge and AWS
// Lambda legible. The root holds no code: the tree is the diagram.
//
//   - [github.com/throughline/throughline/publisher] decorates the EventBridge client.
//   - [github.com/throughline/throughline/handler] wraps a Lambda handler.
//   - [github.com/throughline/throughline/tracing] reads and writes lineage, and is the HTTP transport.
//   - [github.com/throughline/throughline/tracing/export] sets up OpenTelemetry for a function's main.
//   - [github.com/throughline/throughline/metrics] is the catalogue of metrics and writes them as EMF.
//   - [github.com/throughline/throughline/dedupe] detects and classifies repeats.
//   - [github.com/throughline/throughline/sizemeter] measures the sizes of events.
//   - [github.com/throughline/throughline/claimcheck] keeps large details in a store.
//   - [github.com/throughline/throughline/alarms] creates CloudWatch alarms from a spec.
//   - [github.com/throughline/throughline/extension] is the Lambda extension in the layer.
//
// A test with go list checks the dependencies between these packages.
package throughline
