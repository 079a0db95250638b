// Package hops traces calls of AWS's SDK to services other than EventBridge's buses:
// messages to SQS and SNS, records to Kinesis, invocations of Lambda, executions and tasks
// of Step Functions, and schedules of EventBridge Scheduler.
//
//	cfg.APIOptions = append(cfg.APIOptions, hops.Middleware(hops.WithTelemetry(telemetry)))
//
// Every client of cfg then makes one span per call, with the IDs that the service returns.
// `throughline trace` finds the receiver by these IDs. The request does not change, except
// for the trace header of calls to SQS and SNS with [WithCarrying]. Bodies are measured
// and never read.
//
// The package imports no service client: it reads inputs and outputs by the names of their
// fields.
package hops
