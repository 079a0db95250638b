// Package lineage determines which workflow an event belongs to, which event caused it, and which
// span published it. It reads lineage from the payloads of Lambda functions, stamps it on published
// events, and makes the spans and links that show it.
//
//   - [Reader] turns an invocation's payload into a [Delivery] of events, each with its [Lineage].
//   - [Stamper] determines the lineage of an entry before it is published, and stamps the entry.
//   - [Publishing] makes the spans of one PutEvents request, and [StartProcess] the span of one
//     invocation.
//
// The wire format is version 1 of docs/wire.md. Span names and attributes follow OpenTelemetry's
// messaging and FaaS conventions, version 1.43. The package depends only on OpenTelemetry's trace
// API: no SDK, no exporter, no AWS client.
package lineage
