// Package publisher decorates the EventBridge client: it stamps events with
// their lineage, traces and measures them.
//
// [New] takes any value with the PutEvents method of the SDK's client, and
// [Publisher.PutEvents] has the same signature, so it replaces the client.
// Entries that fit in one request get the client's output and errors. More
// entries are split into several requests, with one result per entry in the
// caller's order.
package publisher
