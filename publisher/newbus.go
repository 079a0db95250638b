package publisher

import (
	"context"
	"reflect"
	"slices"

	"github.com/aws/smithy-go/middleware"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// newBusService is the service ID of the new custom buses in AWS's SDK.
const newBusService = "EventBridgeV2"

// newBus are the limits of the new custom buses (EventBridgeV2 API reference,
// PutEvents). AWS does not document the size of an entry there: it is counted as on
// a classic bus, with the same margin.
var newBus = Limits{Entries: 100, Bytes: sizemeter.RequestBudget}

// Decorate decorates a client of the new custom buses (EventBridgeV2) without importing
// its module: put is the client's PutEvents or PutRawEvents. Call the returned function
// instead of put.
//
//	put, err := publisher.Decorate(client.PutEvents, publisher.WithTelemetry(telemetry))
//	…
//	output, err := put(ctx, &eventbridgev2.PutEventsInput{…})
//
// Events are stamped, traced and measured as by [Publisher.PutEvents], in requests of
// up to 100 entries. PutEvents gets the stamp in Resources, PutRawEvents in Metadata. A
// request with a DeduplicationConfiguration gets no stamp, because every stamp differs
// (see tracing.Config.StampContentBased).
//
// The error names the field that In or Out lacks. The returned function is safe for
// concurrent use if put is.
func Decorate[In, Out, Options any](put func(context.Context, *In, ...func(*Options)) (*Out, error), options ...Option) (func(context.Context, *In, ...func(*Options)) (*Out, error), error) {
	if err := fits(reflect.TypeFor[In](), reflect.TypeFor[Out]()); err != nil {
		return nil, err
	}
	c := newCore(newBus)
	c.configure(options)
	return func(ctx context.Context, input *In, options ...func(*Options)) (*Out, error) {
		options = append(options[:len(options):len(options)], watchAttemptsOf[Options])
		output, err := c.putNewBus(ctx, input, reflect.TypeFor[Out](), func(ctx context.Context, input any) (any, error) {
			in, _ := input.(*In)
			return put(ctx, in, options...)
		})
		out, _ := output.(*Out)
		return out, err
	}, nil
}

// watchAttemptsOf is watchAttempts for the options of any of AWS's clients.
func watchAttemptsOf[Options any](o *Options) {
	v := reflect.ValueOf(o).Elem()
	if v.Kind() != reflect.Struct {
		return
	}
	f := v.FieldByName("APIOptions")
	if !f.IsValid() || !f.CanAddr() {
		return
	}
	if list, ok := f.Addr().Interface().(*[]func(*middleware.Stack) error); ok {
		*list = append((*list)[:len(*list):len(*list)], addAttempt)
	}
}

// putNewBus is putEvents for an input of EventBridgeV2. put sends a request. An
// input of another form is sent unchanged. out is the type of the output; nil
// if it is not known before the first output.
func (c *core) putNewBus(ctx context.Context, input any, out reflect.Type, put func(context.Context, any) (any, error)) (any, error) {
	request, ok := requestOf(input)
	if !ok || request.entries.Len() == 0 {
		ctx, _ = withAttempts(ctx)
		return put(ctx, input) // the client's own response
	}
	b := newBuffer()
	defer b.free()
	b.entries = slices.Grow(b.entries, request.entries.Len())
	for i := range request.entries.Len() {
		b.entries = append(b.entries, c.stamping.Resolve(ctx, request.entry(i), nil))
		b.entries[i].Place = i
	}
	var last any
	requests, sent := 0, 0
	err := c.publish(ctx, b, func(ctx context.Context, batch []*lineage.Outgoing) ([]Result, error) {
		output, err := put(ctx, request.of(batch))
		if v := reflect.ValueOf(output); v.Kind() == reflect.Pointer && !v.IsNil() {
			last, out = output, v.Type().Elem()
		}
		sent = len(batch)
		requests++
		b.results = appendNewBusResults(b.results[:0], output)
		return b.results, err
	})
	if err != nil || requests == 1 && sent == request.entries.Len() {
		return last, err // exactly the client's
	}
	if out == nil { // nothing was sent
		return nil, &refused{b.entries[0].Result}
	}
	return merged(out, b.entries, last), nil
}

// refused is the error of a call whose entries were all refused, if the type of
// its output is not known. It has the result of the first entry.
type refused struct{ Result }

func (r *refused) Error() string     { return r.Result.ErrorCode + ": " + r.Result.ErrorMessage }
func (r *refused) ErrorCode() string { return r.Result.ErrorCode }

// EventBridgeV2 returns the [Service] of a new custom bus, for [NewBus]: put is
// the client's PutEvents, and bus is the ARN of the bus. The error names the
// field that In or Out lacks. There is no Service for PutRawEvents, whose entries
// have neither source nor type: see [Decorate].
func EventBridgeV2[In, Out, Options any](put func(context.Context, *In, ...func(*Options)) (*Out, error), bus string) (Service, error) {
	in, out := reflect.TypeFor[In](), reflect.TypeFor[Out]()
	if err := fitsPutEvents(in, out); err != nil {
		return nil, err
	}
	return &eventBridgeV2{bus: bus, input: in, put: func(ctx context.Context, input any) (any, error) {
		in, _ := input.(*In)
		return put(ctx, in, watchAttemptsOf[Options])
	}}, nil
}

type eventBridgeV2 struct {
	bus   string
	input reflect.Type
	put   func(context.Context, any) (any, error)
}

// Limits implements Service.
func (*eventBridgeV2) Limits() Limits { return newBus }

// Carrier implements Service.
func (*eventBridgeV2) Carrier() tracing.StampMode { return tracing.StampResources }

// on returns e as an entry on this bus.
func (s *eventBridgeV2) on(e BusEntry) BusEntry {
	e.Operation, e.Bus = lineage.PutEvents, s.bus
	return e
}

// Put implements Service.
func (s *eventBridgeV2) Put(ctx context.Context, entries []BusEntry) ([]Result, error) {
	input := reflect.New(s.input)
	list := reflect.MakeSlice(input.Elem().FieldByName("Entries").Type(), len(entries), len(entries))
	for i := range entries {
		e := &entries[i]
		to := list.Index(i)
		setText(to, "Source", e.Source)
		setText(to, "DetailType", e.DetailType)
		setText(to, "Detail", e.Detail)
		to.FieldByName("Resources").Set(reflect.ValueOf(e.Resources))
		setSystem(to, "EventGroupId", e.Group)
	}
	input.Elem().FieldByName("Entries").Set(list)
	setText(input.Elem(), "EventBusArn", s.bus)
	output, err := s.put(ctx, input.Interface())
	return appendNewBusResults(nil, output), err
}
