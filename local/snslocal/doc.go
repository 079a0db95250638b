// Package snslocal is a local Amazon SNS: it serves SNS's query protocol to
// AWS's SDKs, and delivers to queues of package sqslocal, with or without raw
// delivery, and to functions, with filter policies.
//
// [Service.Start] returns the URL to give SDKs as AWS_ENDPOINT_URL_SNS. The
// X-Amzn-Trace-Id of a call is delivered to subscribers: to a queue as
// AWSTraceHeader, to a function as its trace header.
//
// It follows the Amazon SNS API reference and developer guide of 2026. It does
// not check signatures or sign messages, confirms subscriptions itself, and
// delivers only to queues and functions, at once and in order.
package snslocal
