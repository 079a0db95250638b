package tracing

import (
	"context"

	"github.com/throughline/throughline/internal/lineage"
)

// Config says how lineage is read, stamped and traced. Its zero value is the
// defaults of docs/wire.md with OpenTelemetry's global TracerProvider. It is
// read when a publisher or a handler is made; copies may be shared.
type Config = lineage.Config

// StampMode says where the stamp of a published event goes. The zero value is
// StampResources.
type StampMode = lineage.StampMode

// The stamp modes. A detail is never changed in StampResources and StampOff.
const (
	StampResources = lineage.StampResources // lines in the entry's Resources
	StampDetail    = lineage.StampDetail    // a member of the detail
	StampBoth      = lineage.StampBoth      // both
	StampOff       = lineage.StampOff       // neither
)

// Delivery is what one invocation was handed: its shape and its events. The
// zero value is a delivery of nothing. It is a value that handlers read; one
// that a context holds must not be changed.
type Delivery = lineage.Delivery

// Event is one event of a delivery, with its lineage.
type Event = lineage.Event

// Lineage is where an event comes from. The zero value is that of an event
// about which nothing is known. Copies are independent.
type Lineage = lineage.Lineage

// DeliveryFromContext returns the delivery being handled, nil when there is none.
func DeliveryFromContext(ctx context.Context) *Delivery { return lineage.DeliveryFromContext(ctx) }

// ContextWithDelivery returns a context in which d is being handled. What is
// published with it, or with a context made from it, is caused by d. A handler
// that takes a batch apart may give each event a context of its own.
func ContextWithDelivery(ctx context.Context, d *Delivery) context.Context {
	return lineage.ContextWithDelivery(ctx, d)
}

// ContextWithIDs returns a context whose IDs come before all others in what is
// published with it. An empty ID leaves that one to the usual order.
func ContextWithIDs(ctx context.Context, correlation, causation string) context.Context {
	return lineage.ContextWithIDs(ctx, correlation, causation)
}
