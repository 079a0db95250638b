// Package cloudwatch compares a set of alarms with an account and applies it: it plans
// and makes changes, reports drift, and checks that the alarms can fire and that their
// notifications are delivered. It is the only package of alarms that calls AWS. It stores
// no state of its own: tags mark the alarms of a spec.
//
// Sets must be resolved. Each function takes an interface with the few client methods
// that it calls, and is safe for concurrent use if that client is.
package cloudwatch
