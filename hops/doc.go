// Package hops sees calls of AWS's SDK that leave the bus: messages to SQS and
// SNS, records to Kinesis, invocations of Lambda, executions and tasks of Step
// Functions, schedules of EventBridge Scheduler.
//
//	cfg.APIOptions = append(cfg.APIOptions, hops.Middleware(hops.WithTelemetry(telemetry)))
//
// Every client that is made of cfg then makes a span of such a call, with the IDs
// that the service gave, by which `throughline trace` finds who got it. What is
// sent does not change but, where it is asked for, by the trace header that the
// SDK sends to SQS and SNS by itself. Bodies are measured and never read.
//
// The package imports no client of a service: it reads inputs and outputs by the
// names of their fields.
package hops
