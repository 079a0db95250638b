// Package tracing is the public API of lineage: which workflow an event belongs to, which event
// caused it, and which span published it.
//
//   - [Config] sets how lineage is read and stamped. Packages publisher and handler use it.
//   - [DeliveryFromContext] returns what a handler is handling: a [Delivery] with its [Event]s
//     and their [Lineage].
//   - [ContextWithDelivery] and [ContextWithIDs] set the cause and the IDs of published events.
//   - [NewTransport] and [Client] trace outbound HTTP calls and send the lineage in their
//     headers.
//
// The wire format is docs/wire.md. Span names and attributes follow OpenTelemetry's messaging,
// FaaS and HTTP conventions, version 1.43. The package depends only on OpenTelemetry's API: no
// SDK, no exporter, no AWS client.
package tracing
