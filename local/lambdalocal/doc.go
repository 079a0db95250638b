// Package lambdalocal is a local AWS Lambda: it runs a function's extensions
// and runtime as real processes and serves the Extensions API 2020-01-01, the
// Telemetry API 2022-07-01 and the Runtime API 2018-06-01 to them, with
// Lambda's order, limits, errors and timing.
//
// [Service.Create] makes a [Deployment] from a [Function].
// [Deployment.Invoke] and [Deployment.InvokeAsync] invoke it, and start an
// [Environment] if none is idle. [Deployment.Invocations] records what really
// happened. The methods of Environment inject faults at a [Point] that
// [Function.Hook] selects, and so does [Telemetry].
package lambdalocal
