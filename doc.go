// Package throughline makes event-driven systems on Amazon EventBridge and AWS
// Lambda legible. The root holds no code: the tree is the diagram.
//
//   - [github.com/throughline/throughline/publisher] decorates the EventBridge client.
//   - [github.com/throughline/throughline/handler] wraps a Lambda handler.
//   - [github.com/throughline/throughline/tracing] reads and writes lineage, and is the HTTP transport.
//   - [github.com/throughline/throughline/tracing/export] sets up OpenTelemetry for a function's main.
//   - [github.com/throughline/throughline/metrics] is the catalogue of metrics and writes them as EMF.
//   - [github.com/throughline/throughline/dedupe] tells repeats apart.
//   - [github.com/throughline/throughline/sizemeter] weighs events.
//   - [github.com/throughline/throughline/claimcheck] keeps large details in a store.
//   - [github.com/throughline/throughline/alarms] makes CloudWatch alarms of a spec.
//   - [github.com/throughline/throughline/extension] is the Lambda extension in the layer.
//
// The arrows between these packages are held by a test over go list.
package throughline
