// Package sqslocal is a local Amazon SQS: it answers SQS's API in its JSON and
// its query protocol as the real SDKs call it, with standard and FIFO queues,
// and hands messages to functions as Lambda's event source mappings do.
//
// A [Service] has queues; [Service.Start] returns the URL to give SDKs as
// AWS_ENDPOINT_URL_SQS, and the methods of [Queue] do the same in process. A
// [Mapping] polls a queue for a function. What was sent and moved is in
// [Service.Ledger], which the code under test never sees.
//
// It follows the Amazon SQS API reference and developer guide of 2026. It
// checks no signatures, deletes nothing after a retention period, and limits
// neither rates nor messages in flight.
package sqslocal
