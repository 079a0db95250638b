// Package tracing is what a user of the library sees of lineage: which workflow
// an event belongs to, which event caused it, and which span published it.
//
//   - [Config] says how lineage is read and stamped; packages publisher and handler take it.
//   - [DeliveryFromContext] tells a handler what it is handling: [Delivery], [Event], [Lineage].
//   - [ContextWithDelivery] and [ContextWithIDs] say for what something is published.
//   - [NewTransport] and [Client] trace outbound HTTP and carry the lineage in its headers.
//
// The wire format is docs/wire.md. Span names and attributes follow
// OpenTelemetry's messaging, FaaS and HTTP conventions, version 1.43. The package
// needs OpenTelemetry's API alone: no SDK, no exporter, no AWS client.
package tracing
