package tracing

import (
	"context"
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
	// Carrier says where Publisher was found; empty when it was not.
	Carrier Carrier

	decided  bool   // Publisher's sampled flag is a decision that a foreign traceparent carried
	handled  *Event // being handled at publication; its stamp tells a forwarded line from a caller's own
	upstream string // the invocation's X-Ray header
}

// Carrier names a place that trace context was read from.
type Carrier string

// The carriers of trace context, in the order in which they are asked.
const (
	CarrierResources   Carrier = "resources"
	CarrierDetail      Carrier = "detail"
	CarrierCloudEvents Carrier = "cloudevents"
	CarrierDatadog     Carrier = "datadog"
	CarrierXRay        Carrier = "xray"
)

// Event is one event as it was received. Detail, and no other field, aliases
// the payload it was read from.
type Event struct {
	ID         string    // the domain's ID, else the envelope's, else the message's
	EnvelopeID string    // EventBridge's id; empty outside an envelope
	Type       string    // the detail-type, or what a bare message calls its type
	Source     string    // the envelope's source
	Time       time.Time // the envelope's time, else when the queue got the message; zero when unknown

	ReplayName   string // the replay that delivered it, else empty
	MessageID    string // of the SQS or SNS message, else empty
	Queue        string // the queue or topic it came through, else empty
	ReceiveCount int    // ApproximateReceiveCount of SQS, else 0

	Detail    []byte // JSON; aliases the payload where it was not escaped inside it
	Resources []string
	Lineage   Lineage

	identified bool // ID is the invocation's: nothing was published under it
}

// Shape names the form in which an invocation's payload came.
type Shape string

// The shapes that a Reader tells apart.
const (
	ShapeEventBridge Shape = "eventbridge"
	ShapeSQS         Shape = "sqs"
	ShapeSNS         Shape = "sns"
	ShapeDirect      Shape = "direct"
	ShapeDestination Shape = "destination"
	ShapeAlarm       Shape = "alarm"
	ShapeSchedule    Shape = "schedule"
	ShapeUnknown     Shape = "unknown"
)

// Delivery is what one invocation was handed. The zero value is a delivery of
// nothing. Malformed counts the carriers that were there and could not be read.
type Delivery struct {
	Shape     Shape
	Queue     string
	Events    []Event
	Malformed int
}

// Identify gives every event that came without an ID the invocation's request
// ID, which stays the same over Lambda's own retries. It changes d.
func (d *Delivery) Identify(requestID string) {
	for i := range d.Events {
		event := &d.Events[i]
		if event.ID != "" || requestID == "" {
			continue
		}
		event.ID, event.identified = requestID, true
		if event.Lineage.CorrelationID == "" {
			event.Lineage.CorrelationID = requestID
		}
	}
}

type deliveryKey struct{}

type explicitKey struct{}

type explicitIDs struct{ correlation, causation string }

// handling is a delivery in a context, with the X-Ray header of its invocation
// and what is counted while it is handled.
type handling struct {
	delivery *Delivery
	upstream string
	orders   ordinals
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
