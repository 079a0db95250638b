package lineage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Lineage is the origin of an event: its workflow, its cause and its publisher. The
// zero value is that of an event of which nothing is known. Copies are independent.
type Lineage struct {
	// CorrelationID identifies the workflow. A received event that has an ID always
	// has one: an event without a correlation ID gets its own ID.
	CorrelationID string
	// CausationID is the cause of the event in the publisher's own terms; it may be
	// any ID, and may be empty.
	CausationID string
	// ParentID is the ID of the event that was being handled when this one was
	// published; empty if there was none or it is not known.
	ParentID string
	// Publisher is the span that published the event.
	Publisher trace.SpanContext
	// Origin is the span that published the workflow's first event. For that event
	// itself it equals Publisher, or is not valid before the event is published.
	Origin trace.SpanContext
	// Hops is the number of publications that led from the workflow's first event to
	// this one; 0 for the first event.
	Hops int
	// Correlated is false if no correlation ID was given, so that CorrelationID is
	// another ID, such as the event's own, or was generated.
	Correlated bool
	// Stamped is true if the event carried Throughline's stamp.
	Stamped bool
	// Minted is true if a publisher without a tracer generated Publisher's context.
	// Its sampled flag is then not a sampling decision.
	Minted bool
	// Carrier is where Publisher was found; empty if it was not found.
	Carrier Carrier

	// segment is the sender of the event's message in X-Ray: a segment that X-Ray
	// made or, if a tracer continues X-Ray's traces, a span of that tracer. It is set
	// if spans are exported to X-Ray and Publisher is not known.
	segment trace.SpanContext

	ignored  bool   // Publisher's sampled flag is ignored: Config.OwnSampling
	decided  bool   // Publisher's sampled flag is the sampling decision of a traceparent without a stamp
	handled  *Event // handled at publication; lines that equal its stamp are forwarded, others are the caller's
	upstream string // the invocation's X-Ray header
}

// Carrier is a place that trace context is read from.
type Carrier string

// The carriers of trace context, in the order in which they are read.
const (
	CarrierResources   Carrier = "resources"
	CarrierMetadata    Carrier = "metadata" // of an event of a new custom bus
	CarrierDetail      Carrier = "detail"
	CarrierCloudEvents Carrier = "cloudevents"
	CarrierDatadog     Carrier = "datadog"
	CarrierAttributes  Carrier = "attributes" // traceparent among a message's attributes
	CarrierXRay        Carrier = "xray"
)

// Event is one event as it was received. Detail is the only field that aliases the
// payload that the event was read from.
type Event struct {
	ID         string    // the event's own ID in the detail, else the envelope's, else the message's
	EnvelopeID string    // EventBridge's id, that of the PutEvents response if it is known; empty outside an envelope
	Type       string    // the detail-type, or the type in a message without an envelope
	Source     string    // the envelope's source, or that of a CloudEvent
	Time       time.Time // the envelope's time, else when the queue got the message; zero if unknown

	ReplayName   string // the replay that delivered it, REPLAY if a new bus gives no name; empty for no replay
	MessageID    string // of the message or record, SNS's if it passed a topic; else empty
	Queue        string // the queue or topic that it passed, else empty
	ReceiveCount int    // ApproximateReceiveCount of SQS, else 0
	RunID        string // the publisher's ID of the run that it belongs to; else empty

	// Set if a new custom bus delivered the event with its metadata.
	Group    string // the event group in which it is ordered; empty for none
	Sequence string // its place in the group: a number, as text

	Arrival Arrival

	Detail    []byte // JSON; aliases the payload if it was not escaped in it
	Resources []string
	Lineage   Lineage

	// Digest and BusinessKey are set if the detail is not kept; else they are
	// empty.
	Digest, BusinessKey string

	identified   bool // ID is the invocation's request ID: no event was published with it
	ingested     bool // Time is when a new bus received it, in milliseconds
	withMetadata bool // a new bus delivered it with its metadata
}

// Shape is the form of an invocation's payload.
type Shape string

// The shapes that a Reader distinguishes.
const (
	ShapeEventBridge Shape = "eventbridge"
	ShapeSQS         Shape = "sqs"
	ShapeSNS         Shape = "sns"
	ShapeKinesis     Shape = "kinesis"
	ShapeDynamoDB    Shape = "dynamodb"
	ShapeS3          Shape = "s3"
	ShapeHTTP        Shape = "http"    // API Gateway, ALB, function URL, WebSocket
	ShapeDurable     Shape = "durable" // a durable execution's input
	ShapeDirect      Shape = "direct"
	ShapeDestination Shape = "destination"
	ShapeAlarm       Shape = "alarm"
	ShapeSchedule    Shape = "schedule"
	ShapeUnknown     Shape = "unknown"
)

// Delivery is the content of one invocation's payload. The zero value is an empty
// delivery. Malformed counts the carriers that could not be read. If a [Stream] has
// read a large batch, Events is empty: Len and Each work for any delivery. Reading
// is safe for concurrent use.
type Delivery struct {
	Shape     Shape
	Queue     string
	Events    []Event
	Malformed int
	Context   InvocationContext
	// Called means that the payload is an event with members beside those of EventBridge:
	// a caller such as a state machine passes it on with results of its own.
	Called bool

	packed  *packed // instead of Events
	request string  // the invocation's request ID, once it is known
	index   *index  // of the events; if nil, it is built for each lookup
}

// Len is the number of events.
func (d *Delivery) Len() int {
	if d.packed != nil {
		return d.packed.len()
	}
	return len(d.Events)
}

// Packed reports whether the events are stored without their details, and Events
// is empty.
func (d *Delivery) Packed() bool { return d.packed != nil }

// Each calls f with each event in order. f must not keep the event after it returns.
func (d *Delivery) Each(f func(e *Event)) {
	if d.packed == nil {
		for i := range d.Events {
			f(&d.Events[i])
		}
		return
	}
	var e Event
	for i := range d.packed.len() {
		d.packed.read(i, &e)
		f(&e)
	}
}

// Event returns event n, from 0. The caller may keep it.
func (d *Delivery) Event(n int) *Event {
	if d.packed == nil {
		return &d.Events[n]
	}
	e := new(Event)
	d.packed.read(n, e)
	return e
}

// EventType is the type that all events have, empty if they differ.
func (d *Delivery) EventType() string {
	if d.packed != nil {
		return d.packed.eventType
	}
	return d.common(func(e *Event) string { return e.Type })
}

// correlationID is the correlation ID that all events have, empty if they differ.
func (d *Delivery) correlationID() string {
	if d.packed != nil {
		return d.packed.correlation
	}
	return d.common(func(e *Event) string { return e.Lineage.CorrelationID })
}

// Identify sets the ID of every event without one to the invocation's request ID,
// which is the same in all of Lambda's retries. If there are no events, the request
// ID is the correlation ID of the events that the invocation publishes.
func (d *Delivery) Identify(requestID string) {
	d.request = requestID
	for i := range d.Events { // a Stream has identified packed events
		d.Events[i].identify(requestID)
	}
}

func (e *Event) identify(requestID string) {
	if e.ID != "" || requestID == "" {
		return
	}
	e.ID, e.identified = requestID, true
	e.Lineage.CorrelationID = cmp.Or(e.Lineage.CorrelationID, requestID)
}

type deliveryKey struct{}

type explicitKey struct{}

type explicitIDs struct{ correlation, causation string }

// handling is a delivery in a context, with the X-Ray header of its invocation and
// the counters of its handling.
type handling struct {
	delivery *Delivery
	upstream string
	ordinals ordinals

	links, dropped int // of the process span; only the goroutine that ends it uses them
}

// ordinals counts keys within one handling.
type ordinals struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]uint64
}

// Ordinal returns the number of calls with key in the handling that ctx belongs to,
// including this one. It is 0 if no delivery is being handled. It is safe for
// concurrent use.
func Ordinal(ctx context.Context, key [sha256.Size]byte) uint64 {
	h, _ := ctx.Value(deliveryKey{}).(*handling)
	if h == nil {
		return 0
	}
	o := &h.ordinals
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = make(map[[sha256.Size]byte]uint64)
	}
	o.seen[key]++
	return o.seen[key]
}

// ContextWithDelivery returns a context in which d is being handled. Events that are
// published with it, or with a context derived from it, are caused by d. A handler
// that splits a batch may use one context for each event.
func ContextWithDelivery(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, &handling{delivery: d, upstream: upstreamHeader(ctx)})
}

// DeliveryFromContext returns the delivery being handled, nil if there is none.
func DeliveryFromContext(ctx context.Context) *Delivery {
	if h, _ := ctx.Value(deliveryKey{}).(*handling); h != nil {
		return h.delivery
	}
	return nil
}

// ContextWithIDs returns a context whose IDs take precedence over all others in
// events that are published with it. An empty ID has no effect.
func ContextWithIDs(ctx context.Context, correlation, causation string) context.Context {
	return context.WithValue(ctx, explicitKey{}, explicitIDs{correlation, causation})
}
