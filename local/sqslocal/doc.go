// Package sqslocal is a local Amazon SQS: it serves SQS's JSON and query
// protocols to AWS's SDKs, with standard and FIFO queues, and delivers
// messages to functions as Lambda's event source mappings do.
//
// A [Service] has queues; [Service.Start] returns the URL to give SDKs as
// AWS_ENDPOINT_URL_SQS, and the methods of [Queue] do the same in process. A
// [Mapping] polls a queue for a function. [Service.Ledger] records sent and
// moved messages; the code under test never sees it.
//
// It follows the Amazon SQS API reference and developer guide of 2026. It
// does not check signatures, does not delete messages after a retention
// period, and does not limit rates or messages in flight.
package sqslocal
