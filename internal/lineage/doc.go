// Package lineage tells which workflow an event belongs to, which event caused
// it, and which span published it. It reads that from everything a Lambda
// function can be handed, stamps it on what is published, and writes the spans
// and links that show it.
//
//   - [Reader] turns an invocation's payload into a [Delivery] of events, each with its [Lineage].
//   - [Stamper] decides the lineage of an entry that is about to be published and writes it down.
//   - [Publishing] is the spans of one PutEvents request, [StartProcess] the span of one invocation.
//
// The wire format is version 1 of docs/wire.md. Span names and attributes
// follow OpenTelemetry's messaging and FaaS conventions, version 1.43. The
// package needs OpenTelemetry's trace API alone: no SDK, no exporter, no AWS client.
package lineage
