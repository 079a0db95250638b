package publisher

import (
	"context"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing"
)

// BusEntry is an entry as plain values, for buses other than EventBridge's
// classic ones.
type BusEntry = lineage.Entry

// Service publishes to a bus other than EventBridge's classic ones. Each API
// has one adapter, such as [EventBridgeV2]. It must be safe for concurrent use.
type Service interface {
	// Limits returns the limits of one request.
	Limits() Limits
	// Carrier returns where the stamp goes if WithTracing does not set it:
	// tracing.StampDetail if the API has no resources or drops them.
	Carrier() tracing.StampMode
	// Put sends entries as one request and returns one result per entry, in
	// order. An error means that the request failed as a whole.
	Put(ctx context.Context, entries []BusEntry) ([]Result, error)
}

// Bus publishes through a Service as a [Publisher] does through EventBridge's
// client: it splits requests, stamps, traces and measures, with the same
// options. It is safe for concurrent use. Use [NewBus].
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

// Publish sends entries and returns one result per entry, in order. If every
// request failed as a whole, it returns the first error; otherwise the error is
// nil. It does not change the entries.
func (b *Bus) Publish(ctx context.Context, entries []BusEntry) ([]Result, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	buffer := newBuffer()
	defer buffer.free()
	on := func(e BusEntry) BusEntry { return e }
	if s, ok := b.service.(interface{ on(e BusEntry) BusEntry }); ok {
		on = s.on
	}
	for i := range entries {
		buffer.entries = append(buffer.entries, b.stamping.Resolve(ctx, on(entries[i]), nil))
	}
	err := b.publish(ctx, buffer, func(ctx context.Context, batch []*lineage.Outgoing) ([]Result, error) {
		sent := make([]BusEntry, len(batch))
		for i, o := range batch {
			sent[i] = o.Entry
		}
		return b.service.Put(ctx, sent)
	})
	results := make([]Result, len(entries))
	for i := range results {
		results[i] = buffer.entries[i].Result
	}
	return results, err
}
