package tracing

import (
	"context"

	"github.com/throughline/throughline/internal/lineage"
)

// Config sets how lineage is read, stamped and traced. Its zero value has the
// defaults of docs/wire.md and OpenTelemetry's global TracerProvider. It is
// read when a publisher or a handler is made; copies may be shared.
type Config = lineage.Config

// StampMode is where the stamp of a published event is written. The zero
// value is StampResources.
type StampMode = lineage.StampMode

// The stamp modes. StampResources and StampOff never change a detail.
const (
	StampResources = lineage.StampResources // lines in the entry's Resources
	StampDetail    = lineage.StampDetail    // a member of the detail
	StampBoth      = lineage.StampBoth      // both
	StampOff       = lineage.StampOff       // neither
)

// Delivery is the payload of one invocation: its shape and its events. The
// zero value has no events. Do not change a Delivery that a context holds.
type Delivery = lineage.Delivery

// Event is one event of a delivery, with its lineage.
type Event = lineage.Event

// Lineage is the origin of an event. The zero value is an unknown lineage.
// Copies are independent.
type Lineage = lineage.Lineage

// DeliveryFromContext returns the delivery being handled, or nil if there is
// none.
func DeliveryFromContext(ctx context.Context) *Delivery { return lineage.DeliveryFromContext(ctx) }

// ContextWithDelivery returns a context in which d is being handled. Events
// that are published with it, or with a derived context, are caused by d. A
// handler that processes a batch one by one can give each event its own
// context.
func ContextWithDelivery(ctx context.Context, d *Delivery) context.Context {
	return lineage.ContextWithDelivery(ctx, d)
}

// ContextWithIDs returns a context whose IDs have precedence in the events
// that are published with it. For an empty ID the usual precedence applies.
func ContextWithIDs(ctx context.Context, correlation, causation string) context.Context {
	return lineage.ContextWithIDs(ctx, correlation, causation)
}
