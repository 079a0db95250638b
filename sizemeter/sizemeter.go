// Package sizemeter weighs events as EventBridge does: what an entry of
// PutEvents counts for, against which limit, and in how many billed chunks.
// It is pure and allocates nothing.
package sizemeter

// The limits and steps of EventBridge's custom buses, in bytes.
const (
	// LimitMiB is the limit of a request since 2026-01-29: "less than 1 MB", the
	// sum of all its entries (API reference, PutEvents).
	LimitMiB = 1 << 20
	// Limit256KiB is the limit before that, and of regions and stand-ins that keep it.
	Limit256KiB = 256 << 10
	// RequestBudget is what requests are packed to. AWS does not say whether its
	// 1 MB is 1 000 000 or 1 048 576 bytes, so the smaller holds.
	RequestBudget = 1_000_000
	// WarnDefault is the size from which an event counts as oversized.
	WarnDefault = 200_000
	// ChunkBytes is what EventBridge bills as one event.
	ChunkBytes = 64 << 10
	// KilobyteBytes is what the new custom buses bill by: each event is rounded up
	// to whole KB, on ingestion and on each delivery.
	KilobyteBytes = 1 << 10

	timeBytes = 14 // what an entry's Time counts for
)

// Entry is the part of a PutEvents entry that counts. TraceHeader and
// EventBusName do not (EventBridge user guide, "Calculating PutEvents event
// entry size"). The zero value weighs nothing.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	HasTime                    bool
}

// Size is what the entry counts for, in bytes of UTF-8.
func (e Entry) Size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.HasTime {
		n += timeBytes
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// Chunks is how many events of 64 KB EventBridge bills for an entry of size bytes.
func Chunks(size int) int {
	return max(1, (size+ChunkBytes-1)/ChunkBytes)
}

// Kilobytes is how many KB a new custom bus bills for an entry of size bytes.
func Kilobytes(size int) int {
	return max(1, (size+KilobyteBytes-1)/KilobyteBytes)
}

// Utilization is size as a percentage of limit, 0 where there is no limit.
func Utilization(size, limit int) float64 {
	if limit <= 0 {
		return 0
	}
	return 100 * float64(size) / float64(limit)
}
