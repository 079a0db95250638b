// Package invokelocal is the Invoke API of a local AWS Lambda: AWS's SDKs call
// functions of package lambdalocal through it, synchronously and
// asynchronously. The response header x-amzn-RequestId is the invocation's
// request ID, as with Lambda.
//
// [API.Start] returns the URL to give SDKs as AWS_ENDPOINT_URL_LAMBDA.
// [Destinations] sends the results of asynchronous invocations to a bus or a
// queue, as a function's destinations and its dead-letter queue do.
//
// It follows the AWS Lambda API reference of 2026. It does not check
// signatures, and supports neither log tails nor response streams.
package invokelocal
