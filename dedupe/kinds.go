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
	// Conflict is another event under the identity of one that was seen: the
	// source does not give each event an ID of its own. It is no repeat, and
	// [Checker.Once] handles it.
	Conflict Kind = "conflict"
)

// Delivery is one event as it reached a consumer.
//
// An event is identified by Source, EventType and EventID, among those of its
// Consumer. An event of an AWS service, whose Source begins with "aws.", is
// identified by its EnvelopeID instead: AWS puts codes of its own into members
// that are usually IDs. Without an ID, or with Direct, no repeat is told.
type Delivery struct {
	Consumer  string // who handles it: [Checker.Consumer]
	Source    string // who published it: the envelope's source, or a CloudEvent's
	EventType string
	EventID   string // its own, or the envelope's where it has none
	// BusinessKey, where the event's type has one, takes the place of the event
	// ID. An event that is published anew has another ID and the same key, so
	// Digest is not compared.
	BusinessKey string
	// Digest tells events of one identity and different content apart: see
	// [Digest]. Where it is empty for all, the identity alone decides.
	Digest string
	// Direct says that the event was handed over in a direct invocation, as by
	// Step Functions. That is no delivery, so it never repeats one.
	Direct bool
	// Invoked says that an invocation hands over the event alone, in its envelope, as
	// EventBridge does, and Step Functions or a person may. EventBridge delivers again
	// what succeeded soon or not at all: after a minute it is another's invocation,
	// and no repeat.
	Invoked bool
	// Batched says that other events share the request: another publication of the
	// event may be among them.
	Batched       bool
	EnvelopeID    string
	CorrelationID string
	ParentID      string // the event that was being handled when this one was published
	RequestID     string
	ReplayName    string
	ReceiveCount  int // ApproximateReceiveCount of SQS, else 0
	Hops          int
	// Group and Sequence are the event group and the place in it of an event of a
	// new custom bus, which delivered it with its metadata; else empty.
	Group, Sequence string
	At              time.Time
	Traceparent     string // of the span that handles it
}

// id is the ID of the delivery's identity, empty where it has none.
func (d *Delivery) id() string {
	switch {
	case d.Direct:
		return ""
	case d.BusinessKey != "":
		return d.BusinessKey
	case d.fromAWS() && d.EnvelopeID != "":
		return d.EnvelopeID
	default:
		return d.EventID
	}
}

// content is the digest that is compared, empty where none is.
func (d *Delivery) content() string {
	if d.BusinessKey != "" {
		return ""
	}
	return d.Digest
}

// fromAWS reports whether a service of AWS published the event.
func (d *Delivery) fromAWS() bool { return strings.HasPrefix(d.Source, "aws.") }

// lacksID reports whether the event has no ID of its own, and should have one.
func (d *Delivery) lacksID() bool {
	return d.EventID == d.EnvelopeID && d.BusinessKey == "" && d.EventType != "" && d.Source != "lambda" && !d.fromAWS()
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
	// that no event of the type Awaited was seen yet, or that one of its group with
	// the later sequence number Behind came earlier, by Early.
	OutOfOrder bool
	Early      time.Duration
	Awaited    string
	Behind     string
	// Loop says that the event's type was handled under its correlation ID at more
	// than three hop counts, as far as memory knows.
	Loop bool
}

// inOrder takes back what v says of order, which a repeat has none of.
func (v *Verdict) inOrder() { v.OutOfOrder, v.Early, v.Awaited, v.Behind = false, 0, "", "" }

// setAwaited flags v where an event of a type that has to come first was not seen.
func (v *Verdict) setAwaited(first string) {
	if first != "" && v.Kind == "" {
		v.OutOfOrder, v.Awaited = true, first
	}
}

// setEarly flags v where an event that this one had caused came at since.
func (v *Verdict) setEarly(d *Delivery, since time.Time) {
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

// redeliveredWithin is how long after the first delivery EventBridge may hand over
// an envelope again whose handling succeeded.
const redeliveredWithin = time.Minute

// isCall reports whether what looks like a delivery of the kind is an invocation by
// somebody else than EventBridge: a state machine that asks again and again.
func (d *Delivery) isCall(kind Kind, first time.Time) bool {
	return d.Invoked && kind == Redelivery && d.At.Sub(first) > redeliveredWithin
}

// kind classifies a delivery of an event that was seen before.
func (d *Delivery) kind(l likeness) Kind {
	switch {
	// The records of one batch share a request: there the queue's count decides.
	case l.request && d.ReceiveCount == 0 && (!d.Batched || l.envelope), l.envelope && d.ReceiveCount > 1:
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
