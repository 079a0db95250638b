// Package metrics is the catalogue of every metric that Throughline emits, and
// the writer that emits them in CloudWatch's embedded metric format (EMF).
//
// Packages record an [Observation] in a [Set], and the owner of the process
// calls [Set.Flush] when it wants the lines. The package has no clock and no
// goroutine. Alarms use the names of this package, so that no alarm can watch
// a metric that is not emitted.
package metrics
