// Package alarms keeps CloudWatch alarms as code: a spec names resources, packs turn them
// into alarms, and lint, explanations, costs and overrides are computed from these
// alarms.
//
// The package is pure: it has no clock, no socket, no environment and no AWS SDK. Names
// of Throughline's own metrics come from package metrics, so an alarm can only watch a
// metric that is emitted.
package alarms
