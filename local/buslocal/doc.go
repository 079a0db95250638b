// Package buslocal is a local event bus: it serves EventBridge's PutEvents API
// to AWS's SDKs, matches rules, and delivers to functions, queues and topics,
// as EventBridge's custom buses (Classic) do.
//
// [Options.Fault] injects a fault into a delivery, and [Bus.Throttle],
// [Bus.Cut] and [Bus.FailEntries] inject faults into calls. The [Ledger]
// records what really happened; the code under test never sees it.
package buslocal
