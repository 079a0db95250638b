// Package extension is Throughline's Lambda extension: it measures a function
// from telemetry, receives the spans of its SDKs, and exports them when that
// costs the function least.
//
// [Run] is the whole of it. It never fails the function: a wrong setting, an
// absent backend or a refused subscription is said once and lived with, every
// wait has a bound, and what is given up is counted.
package extension
