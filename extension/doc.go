// Package extension is Throughline's Lambda extension: it measures a function
// through the Telemetry API, receives the spans of its SDKs, and exports them
// when that delays the function least.
//
// [Run] runs the extension. It never fails the function: an invalid setting,
// a missing backend or a refused subscription is logged once, and the
// extension continues. Every wait has a bound, and metrics count dropped
// data.
package extension
