package lineage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Lineage is where an event comes from. The zero value is that of an event
// about which nothing is known. It is a value: copies are independent.
type Lineage struct {
	// CorrelationID names the workflow. Of a received event it is never empty
	// as long as the event has an ID: one that carries none starts with its own.
	CorrelationID string
	// CausationID is what the domain says caused the event; it may name
	// anything, and may be empty.
	CausationID string
	// ParentID is the ID of the event that was being handled when this one was
	// published; empty when there was none or none is known.
	ParentID string
	// Publisher is the span that published the event.
	Publisher trace.SpanContext
	// Origin is the span that published the workflow's first event: of that
	// event itself it equals Publisher, or is not valid before it is published.
	Origin trace.SpanContext
	// Hops counts publications after the first.
	Hops int
	// Correlated is false when the correlation ID had to be minted.
	Correlated bool
	// Stamped is true when the event carried our stamp.
	Stamped bool
	// Minted is true when Publisher's context was made up by a publisher without
	// a tracer: its sampled flag is then nobody's decision.
	Minted bool
	// Carrier says where Publisher was found; empty when it was not.
	Carrier Carrier

	// segment is what X-Ray knows as the sender of the event's message: a span of
	// its own making or, where a tracer goes on in its traces, one of that tracer's.
	// It is set where spans go to X-Ray and nothing better is known.
	segment trace.SpanContext

	ignored  bool   // Publisher's sampled flag is not heard: Config.OwnSampling
	decided  bool   // Publisher's sampled flag is a decision that a foreign traceparent carried
	handled  *Event // being handled at publication; its stamp tells a forwarded line from a caller's own
	upstream string // the invocation's X-Ray header
}

// Carrier names a place that trace context was read from.
type Carrier string

// The carriers of trace context, in the order in which they are asked.
const (
	CarrierResources   Carrier = "resources"
	CarrierMetadata    Carrier = "metadata" // of an event of a new custom bus
	CarrierDetail      Carrier = "detail"
	CarrierCloudEvents Carrier = "cloudevents"
	CarrierDatadog     Carrier = "datadog"
	CarrierAttributes  Carrier = "attributes" // traceparent among a message's attributes
	CarrierXRay        Carrier = "xray"
)

// Event is one event as it was received. Detail, and no other field, aliases
// the payload it was read from.
type Event struct {
	ID         string    // the domain's ID, else the envelope's, else the message's
	EnvelopeID string    // EventBridge's id, which the publisher was answered where it is known; empty outside an envelope
	Type       string    // the detail-type, or what a bare message calls its type
	Source     string    // the envelope's source, or a CloudEvent's own
	Time       time.Time // the envelope's time, else when the queue got the message; zero when unknown

	ReplayName   string // the replay that delivered it, REPLAY where a new bus tells no name, else empty
	MessageID    string // of the message or record: SNS's where it went through a topic; else empty
	Queue        string // the queue or topic it came through, else empty
	ReceiveCount int    // ApproximateReceiveCount of SQS, else 0
	RunID        string // the run of the domain that it belongs to, by which it waits for others; else empty

	// What a new custom bus tells of an event that it delivers with its metadata.
	Group    string // the event group that it is ordered in; empty for none
	Sequence string // its place in the group: a number, as text

	Arrival Arrival

	Detail    []byte // JSON; aliases the payload where it was not escaped inside it
	Resources []string
	Lineage   Lineage

	// Digest and BusinessKey are kept in the place of a detail that is not; else
	// they are empty.
	Digest, BusinessKey string

	identified   bool // ID is the invocation's: nothing was published under it
	ingested     bool // Time is when a new bus took it, in milliseconds
	withMetadata bool // a new bus delivered it with its metadata
}

// Shape names the form in which an invocation's payload came.
type Shape string

// The shapes that a Reader tells apart.
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

// Delivery is what one invocation was handed. The zero value is a delivery of
// nothing. Malformed counts the carriers that were there and could not be read.
// Events is empty of a large batch that was read by a [Stream]: Len and Each
// have the events of any delivery.
type Delivery struct {
	Shape     Shape
	Queue     string
	Events    []Event
	Malformed int
	Context   InvocationContext

	packed  *packed // in the place of Events
	request string  // the invocation's, once it is known
	index   *index  // of the events; nil where it is made for each look-up
}

// Len is how many events there are.
func (d *Delivery) Len() int {
	if d.packed != nil {
		return d.packed.len()
	}
	return len(d.Events)
}

// Packed reports whether the events are kept without their details, and Events is
// empty.
func (d *Delivery) Packed() bool { return d.packed != nil }

// Each calls f with each event in order. The event may be f's for that call alone.
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

// Event is the event number n, from 0. It is the caller's to keep.
func (d *Delivery) Event(n int) *Event {
	if d.packed == nil {
		return &d.Events[n]
	}
	e := new(Event)
	d.packed.read(n, e)
	return e
}

// EventType is the type that all events have, empty where they differ.
func (d *Delivery) EventType() string {
	if d.packed != nil {
		return d.packed.eventType
	}
	return d.common(func(e *Event) string { return e.Type })
}

// correlationID is the correlation ID that all events have, empty where they differ.
func (d *Delivery) correlationID() string {
	if d.packed != nil {
		return d.packed.correlation
	}
	return d.common(func(e *Event) string { return e.Lineage.CorrelationID })
}

// Identify gives every event that came without an ID the invocation's request
// ID, which stays the same over Lambda's own retries. What an invocation without
// events publishes has it as correlation ID. It changes d.
func (d *Delivery) Identify(requestID string) {
	d.request = requestID
	for i := range d.Events { // a Stream has done it
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

// handling is a delivery in a context, with the X-Ray header of its invocation
// and what is counted while it is handled.
type handling struct {
	delivery *Delivery
	upstream string
	ordinals ordinals

	links, dropped int // of the process span; for the goroutine that ends it
}

// ordinals counts keys within one handling.
type ordinals struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]uint64
}

// Ordinal counts how often key was asked for in the handling that ctx belongs
// to, this time included. It is 0 where nothing is handled.
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

// ContextWithDelivery returns a context in which d is being handled. What is
// published with it, or with a context made from it, is caused by d. A handler
// that takes a batch apart may give each event a context of its own.
func ContextWithDelivery(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, &handling{delivery: d, upstream: upstreamHeader(ctx)})
}

// DeliveryFromContext returns the delivery being handled, nil when there is none.
func DeliveryFromContext(ctx context.Context) *Delivery {
	if h, _ := ctx.Value(deliveryKey{}).(*handling); h != nil {
		return h.delivery
	}
	return nil
}

// ContextWithIDs returns a context whose IDs come before all others in what is
// published with it. An empty ID leaves that one to the usual order.
func ContextWithIDs(ctx context.Context, correlation, causation string) context.Context {
	return context.WithValue(ctx, explicitKey{}, explicitIDs{correlation, causation})
}
