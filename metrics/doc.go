// Package metrics is the one catalogue of every metric that Throughline emits,
// and the writer that emits them as lines of CloudWatch's embedded metric
// format (EMF).
//
// Packages record an [Observation] in a [Set]; whoever owns the process calls
// [Set.Flush] at the moments that suit it. The package has no clock and no
// goroutine. Alarms take names from here, so that no alarm can watch a metric
// that nothing emits.
package metrics
