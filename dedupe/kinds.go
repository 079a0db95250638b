package dedupe

import (
	"strings"
	"time"
)

// Kind is the kind of a repeat. The zero value means that the event is new.
type Kind string

// The kinds of repeat.
const (
	// Retry is the same delivery again because the previous attempt failed:
	// the same request ID, an SQS record that was received more than once, or
	// a handling that ended in an error.
	Retry Kind = "retry"
	// Redelivery is the same envelope ID again after a success.
	Redelivery Kind = "redelivery"
	// Republish is the same event ID with another envelope ID.
	Republish Kind = "republish"
	// Replay is an event that was seen before and that the replay of an archive
	// delivers.
	Replay Kind = "replay"
	// Conflict is a different event with the identity of one that was seen:
	// the source does not give each event its own ID. It is not a repeat, and
	// [Checker.Once] handles it.
	Conflict Kind = "conflict"
)

// Delivery is one event as it reached a consumer.
//
// For each Consumer, an event is identified by Source, EventType and EventID.
// An event of an AWS service, whose Source begins with "aws.", is identified
// by its EnvelopeID instead, because AWS puts its own codes into members that
// usually hold IDs. Without an ID, or with Direct, no repeat is detected.
type Delivery struct {
	Consumer  string // the handler's name: [Checker.Consumer]
	Source    string // the publisher: the envelope's source, or a CloudEvent's
	EventType string
	EventID   string // its own, or the envelope's if it has none
	// BusinessKey, if the event's type has one, replaces the event ID. An event
	// that is published again has another ID and the same key, so Digest is not
	// compared.
	BusinessKey string
	// Digest distinguishes events with the same identity and different
	// content: see [Digest]. If it is always empty, only the identity
	// decides.
	Digest string
	// Direct means that the event is in the payload of a direct invocation,
	// such as from Step Functions. Such an event is never a repeat.
	Direct bool
	// Invoked means that the payload of an invocation is one event in its envelope.
	// EventBridge sends such payloads, and so may Step Functions or a person.
	// EventBridge repeats a successful delivery within a minute or not at all: after a
	// minute the invocation is by another caller, and not a repeat.
	Invoked bool
	// Batched means that the request has other events too, which may include
	// another publication of this event.
	Batched       bool
	EnvelopeID    string
	CorrelationID string
	ParentID      string // the event that was being handled when this one was published
	RequestID     string
	ReplayName    string
	ReceiveCount  int // ApproximateReceiveCount of SQS, else 0
	Hops          int
	// Group and Sequence are the event group and the sequence number of an event
	// that a new custom bus delivered with its metadata; otherwise empty.
	Group, Sequence string
	At              time.Time
	Traceparent     string // of the span that handles it
}

// id returns the ID of the delivery's identity, "" if it has none.
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

// content returns the digest that is compared, "" if none is.
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

// Verdict is the result of the check of a delivery. The zero value is a new event
// in order.
type Verdict struct {
	Kind Kind
	// Unknown means that the shared store did not answer in time, and that
	// the event is not in memory.
	Unknown bool
	// Count is the known number of earlier deliveries of the event.
	Count            int
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string
	// OutOfOrder means one of these: an event that this one had caused arrived
	// earlier, by Early; no event of the type Awaited was seen; or an event of its
	// group with the later sequence number Behind arrived earlier, by Early.
	OutOfOrder bool
	Early      time.Duration
	Awaited    string
	Behind     string
	// Loop means that this process handled the event's type under its correlation
	// ID at more than three hop counts.
	Loop bool
}

// inOrder resets what v says about order, because order does not apply to repeats.
func (v *Verdict) inOrder() { v.OutOfOrder, v.Early, v.Awaited, v.Behind = false, 0, "", "" }

// setAwaited flags v if first, a type that has to be seen first, is not empty.
func (v *Verdict) setAwaited(first string) {
	if first != "" && v.Kind == "" {
		v.OutOfOrder, v.Awaited = true, first
	}
}

// setEarly flags v if an event that this one had caused arrived earlier, at since.
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

// redeliveredWithin is how long after the first delivery EventBridge may redeliver an
// envelope whose handling succeeded.
const redeliveredWithin = time.Minute

// isCall reports whether an apparent redelivery is an invocation by a caller other
// than EventBridge, such as a state machine that polls.
func (d *Delivery) isCall(kind Kind, first time.Time) bool {
	return d.Invoked && kind == Redelivery && d.At.Sub(first) > redeliveredWithin
}

// kind classifies a delivery of an event that was seen before.
func (d *Delivery) kind(l likeness) Kind {
	switch {
	// The records of one batch share a request: there the queue's count decides.
	case l.request && d.ReceiveCount == 0 && (!d.Batched || l.envelope), l.envelope && d.ReceiveCount > 1:
		return Retry
	case d.ReplayName != "": // regardless of the result of the first handling
		return Replay
	case l.envelope && l.failed:
		return Retry
	case l.envelope:
		return Redelivery
	default:
		return Republish
	}
}
