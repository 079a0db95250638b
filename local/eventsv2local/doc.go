// Package eventsv2local is a local EventBridge with its new custom buses (API
// EventBridgeV2): it serves the API to AWS's SDKs in CBOR, stores events, and
// delivers them to subscribers: filtered, transformed, in batches, with retries, and
// from any point in time.
//
// Where AWS's documentation is unclear, [Options] has a switch. The package does not
// check signatures, roles, policies or keys. It supports the part of JSONata that
// selects a member of an event: see [Transformer]. It has no schemas, so that Avro
// and Protocol Buffers data is delivered in base64.
//
// [Options.Fault] injects a fault into a delivery, and [Service.Throttle],
// [Service.Cut] and [Service.FailEntries] inject faults into calls. The [Ledger]
// records what really happened; the code under test never sees it.
package eventsv2local
