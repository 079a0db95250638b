// Package publisher decorates the EventBridge client: what is published through
// it carries lineage, is traced and measured.
//
// [New] takes anything with the SDK client's PutEvents method, and
// [Publisher.PutEvents] has the same signature, so it drops in where the client
// stood. What fits one request behaves as the client does, errors included;
// more is split, with one result an entry in the caller's order.
package publisher
