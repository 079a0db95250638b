// Package snslocal is a local Amazon SNS: it answers SNS's API, the query
// protocol, as the real SDKs call it, and delivers to queues of package
// sqslocal, raw or not, and to functions, by filter policies.
//
// [Service.Start] returns the URL to give SDKs as AWS_ENDPOINT_URL_SNS. The
// X-Amzn-Trace-Id of a call goes on to subscribers: to a queue as
// AWSTraceHeader, to a function as its trace header.
//
// It follows the Amazon SNS API reference and developer guide of 2026. It checks
// no signatures and signs nothing, confirms subscriptions by itself, and
// delivers to queues and functions only, at once and in order.
package snslocal
