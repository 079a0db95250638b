// Package alarms keeps CloudWatch alarms as code: a spec names resources, packs
// turn them into alarms, and everything else is a function of those alarms.
//
// Everything here is pure: no clock, no socket, no environment, no AWS SDK.
// Names of Throughline's own metrics come from package metrics, so that no
// alarm can watch what nothing emits.
package alarms
