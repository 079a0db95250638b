package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Entry is one element of a PutEvents request, as plain values. The zero value
// is an empty entry.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	TraceHeader                string
	HasTime                    bool
	Bus                        string
}

// Outgoing is what a Stamper decided about an entry.
type Outgoing struct {
	EventID string // the detail's own ID; empty when it has none
	// Lineage is what the stamp will say. Its Publisher is not set yet:
	// StartPublishing sets it.
	Lineage      Lineage
	Links        []trace.Link // of the publishing span; nil without a TracerProvider
	Uncorrelated bool         // the correlation ID was minted
}

// Stamped says what Apply did. Added is in bytes of the entry's size.
type Stamped struct {
	Added   int
	Skipped string // why a stamp, or a part of it, was left out; empty when it was not
}

// Why a stamp, or a part of one, was left out. Several are joined by commas.
const (
	SkippedBudget = "budget" // it would not fit
	SkippedID     = "id"     // an ID is not 1 to 256 printable bytes
	SkippedDetail = "detail" // the detail is not a JSON object
)

// Stamper decides and writes the lineage of what is published. It is safe for
// concurrent use.
type Stamper struct {
	cfg Config
}

// NewStamper returns a Stamper.
func NewStamper(cfg Config) *Stamper { return &Stamper{cfg: cfg} }

// Resolve decides the lineage of entry. Per field the first hit wins: given in
// the context (ContextWithIDs), the entry's resources, the detail's own
// members, the event being handled, minted. A nil d means the context's.
func (s *Stamper) Resolve(ctx context.Context, entry Entry, d *Delivery) Outgoing {
	return Outgoing{}
}

// Apply returns entry with lineage written on it, where that takes no more than
// budget bytes of the entry's size. It never changes what entry's slices hold.
func (s *Stamper) Apply(entry Entry, lineage Lineage, budget int) (Entry, Stamped) {
	return entry, Stamped{}
}
