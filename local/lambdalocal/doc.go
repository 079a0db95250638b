// Package lambdalocal is a local AWS Lambda: it runs a function's extensions
// and runtime as real processes and speaks the Extensions API 2020-01-01, the
// Telemetry API 2022-07-01 and the Runtime API 2018-06-01 to them, with
// Lambda's order, limits, errors and times.
//
// A [Service] has functions, made by [Service.Create] from a [Function]; a
// [Deployment] is invoked by [Deployment.Invoke] and [Deployment.InvokeAsync]
// and starts an [Environment] where none is idle. What really happened is in
// [Deployment.Invocations]. What should go wrong is done by the methods of
// Environment at a [Point] that [Function.Hook] chooses, and by [Telemetry].
package lambdalocal
