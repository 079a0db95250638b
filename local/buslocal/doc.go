// Package buslocal is a local event bus: it speaks EventBridge's PutEvents over
// HTTP as the real SDKs call it, matches rules, and delivers to functions,
// queues and topics, as EventBridge's custom buses (Classic) do.
//
// What should go wrong is asked of [Options.Fault] for each delivery, and of
// [Bus.Throttle], [Bus.Cut] and [Bus.FailEntries] for calls. What really
// happened stands in the [Ledger], which the code under test never sees.
package buslocal
