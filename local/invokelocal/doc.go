// Package invokelocal is the Invoke API of a local AWS Lambda: the real SDKs
// call functions of package lambdalocal by it, synchronously and
// asynchronously. The header x-amzn-RequestId of an answer is the invocation's
// request ID, as Lambda's is.
//
// [API.Start] returns the URL to give SDKs as AWS_ENDPOINT_URL_LAMBDA.
// [Destinations] sends what became of asynchronous invocations on, to a bus or
// to a queue, as a function's destinations and its dead-letter queue do.
//
// It follows the AWS Lambda API reference of 2026. It checks no signatures, and
// answers neither log tails nor response streams.
package invokelocal
