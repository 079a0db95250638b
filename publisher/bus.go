package publisher

import (
	"context"
	"slices"

	"github.com/throughline/throughline/tracing"
)

// Service is a bus's API as far as publishing goes, for buses that are not
// EventBridge's custom buses (Classic): one adapter for each. It must be safe
// for concurrent use.
type Service interface {
	// Limits are those of one request.
	Limits() Limits
	// Carrier is where the stamp goes where WithTracing leaves it at its zero
	// value: tracing.StampDetail where the API has no resources or drops them.
	Carrier() tracing.StampMode
	// Put sends entries as one request and returns one result an entry, in
	// order. The error is that of a request which failed as a whole.
	Put(ctx context.Context, entries []tracing.Entry) ([]Result, error)
}

// Bus publishes over a Service what a Publisher publishes over EventBridge's
// client: split, stamped, traced, measured, under the same options. It is safe
// for concurrent use. Use [NewBus].
type Bus struct {
	core
	service Service
}

// NewBus returns a Bus over service.
func NewBus(service Service, options ...Option) *Bus {
	b := &Bus{service: service, core: newCore(service.Limits())}
	b.configure(append(options[:len(options):len(options)], optionFunc(func(c *core) {
		if c.tracing.Stamp == tracing.StampResources {
			c.tracing.Stamp = service.Carrier()
		}
	})))
	return b
}

// Publish sends entries and returns one result an entry, in order. The error is
// nil unless every request failed as a whole, and the first of theirs if so. The
// entries are not changed.
func (b *Bus) Publish(ctx context.Context, entries []tracing.Entry) ([]Result, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	room := newRoom()
	defer room.done()
	room.entries = append(room.entries, entries...)
	results, err := b.publish(ctx, room, func(ctx context.Context, _ []int, sent []tracing.Entry) ([]Result, error) {
		return b.service.Put(ctx, sent)
	})
	return slices.Clone(results), err
}
