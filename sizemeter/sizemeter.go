// Package sizemeter computes the size of events as EventBridge does: the size
// of a PutEvents entry, its limit, and its billed chunks. It is pure and does
// not allocate.
package sizemeter

// The limits and steps of EventBridge's custom buses, in bytes.
const (
	// LimitMiB is the limit of a request since 2026-01-29: "less than 1 MB", the
	// sum of all its entries (API reference, PutEvents).
	LimitMiB = 1 << 20
	// Limit256KiB is the limit before that date, and of regions and emulators that
	// still use it.
	Limit256KiB = 256 << 10
	// RequestBudget is the maximum size of the requests that Throughline sends.
	// AWS does not document whether 1 MB is 1 000 000 or 1 048 576 bytes, so the
	// smaller value is used.
	RequestBudget = 1_000_000
	// WarnDefault is the default size above which an event counts as
	// oversized.
	WarnDefault = 200_000
	// ChunkBytes is the size that EventBridge bills as one event.
	ChunkBytes = 64 << 10
	// KilobyteBytes is the billing unit of the new custom buses: each event is
	// rounded up to whole KB, on ingestion and on each delivery.
	KilobyteBytes = 1 << 10

	timeBytes = 14 // the size of an entry's Time
)

// Entry is the part of a PutEvents entry that counts toward its size.
// TraceHeader and EventBusName do not count (EventBridge user guide,
// "Calculating PutEvents event entry size"). The zero value has size 0.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	HasTime                    bool
}

// Size is the size of the entry in bytes of UTF-8.
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

// Chunks is the number of 64 KB chunks that EventBridge bills for an entry of size
// bytes.
func Chunks(size int) int {
	return max(1, (size+ChunkBytes-1)/ChunkBytes)
}

// Kilobytes is the number of KB that a new custom bus bills for an entry of
// size bytes.
func Kilobytes(size int) int {
	return max(1, (size+KilobyteBytes-1)/KilobyteBytes)
}

// Utilization is size as a percentage of limit, or 0 without a limit.
func Utilization(size, limit int) float64 {
	if limit <= 0 {
		return 0
	}
	return 100 * float64(size) / float64(limit)
}
