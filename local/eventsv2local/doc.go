// Package eventsv2local is a local EventBridge with its new custom buses (API
// EventBridgeV2): it answers the API as the real SDKs call it, in CBOR, keeps
// events, and delivers them to subscribers: filtered, transformed, in batches,
// again where that failed, and from any point in time.
//
// Where AWS's pages leave a question open, [Options] has a switch. It checks no
// signatures, roles, policies or keys, and knows of JSONata what a subscriber's
// expression needs to pick a member out of an event: see [Transformer]. It has no
// schemas, so that the data of Avro and Protocol Buffers arrives in base64.
//
// What should go wrong is asked of [Options.Fault] for each delivery, and of
// [Service.Throttle], [Service.Cut] and [Service.FailEntries] for calls. What really
// happened stands in the [Ledger], which the code under test never sees.
package eventsv2local
