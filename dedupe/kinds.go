package dedupe

import (
	"strings"
	"time"
)

// Kind is the kind of a repeat. The zero value is none: the event is new.
type Kind string

// The kinds of repeat.
const (
	// Retry is the same delivery again because it did not succeed: the same
	// request ID, an SQS record received more than once, or a handling that
	// ended in error.
	Retry Kind = "retry"
	// Redelivery is the same envelope ID again after a success.
	Redelivery Kind = "redelivery"
	// Republish is the same event ID under another envelope ID.
	Republish Kind = "republish"
	// Replay is an event that an archive's replay delivers and that was seen before.
	Replay Kind = "replay"
)

// Delivery is one event as it reached a consumer. EventID or BusinessKey is
// required; without one no repeat of it is told.
type Delivery struct {
	Consumer      string // who handles it: [Checker.Consumer]
	Source        string // who published it
	EventType     string
	EventID       string // its own, or the envelope's where it has none
	BusinessKey   string // where its type has one it stands for the event ID, which a publication anew changes
	EnvelopeID    string
	CorrelationID string
	ParentID      string // the event that was being handled when this one was published
	RequestID     string
	ReplayName    string
	ReceiveCount  int // ApproximateReceiveCount of SQS, else 0
	Hops          int
	At            time.Time
	Traceparent   string // of the span that handles it
}

// id is what a delivery is told by, among those of its consumer or, a business
// key, of its consumer and type.
func (d *Delivery) id() string {
	if d.BusinessKey != "" {
		return d.BusinessKey
	}
	return d.EventID
}

// borrowed says that the event has no ID of its own, and should: what AWS
// publishes has none.
func (d *Delivery) borrowed() bool {
	return d.EventID == d.EnvelopeID && d.BusinessKey == "" && d.EventType != "" &&
		d.Source != "lambda" && !strings.HasPrefix(d.Source, "aws.")
}

// Verdict is what is known of a delivery. The zero value is a new event in order.
type Verdict struct {
	Kind Kind
	// Unknown says that the shared store gave no answer in time, and that
	// memory knows nothing of the event either.
	Unknown bool
	// Count is how often the event was delivered before, as far as is known.
	Count            int
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string
	// OutOfOrder says that an event this one had caused came earlier, by Early,
	// or that no event of the type Awaited was seen yet.
	OutOfOrder bool
	Early      time.Duration
	Awaited    string
	// Loop says that the event's type was handled under its correlation ID at more
	// than three hop counts, as far as memory knows.
	Loop bool
}

// awaits flags v where an event of a type that has to come first was not seen.
func (v *Verdict) awaits(first string) {
	if first != "" && v.Kind == "" {
		v.OutOfOrder, v.Awaited = true, first
	}
}

// overtaken flags v where an event that this one had caused came at since.
func (v *Verdict) overtaken(d *Delivery, since time.Time) {
	if !since.IsZero() && v.Kind == "" {
		v.OutOfOrder, v.Early = true, d.At.Sub(since)
	}
}

// likeness is what a delivery has in common with those before it.
type likeness struct {
	request  bool // the request ID of the first or of the latest
	envelope bool // the envelope of the first or of the latest
	failed   bool // the handling with that envelope ended in error
}

// kind classifies a delivery of an event that was seen before.
func (d *Delivery) kind(l likeness) Kind {
	switch {
	// The records of one batch share a request: there the queue's count decides.
	case l.request && d.ReceiveCount == 0, l.envelope && d.ReceiveCount > 1:
		return Retry
	case d.ReplayName != "": // says so itself, whatever became of the first handling
		return Replay
	case l.envelope && l.failed:
		return Retry
	case l.envelope:
		return Redelivery
	default:
		return Republish
	}
}
