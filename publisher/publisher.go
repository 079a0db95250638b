package publisher

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/internal/lineage"
)

// API is the part of the EventBridge client that is decorated.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

var _ API = (*Publisher)(nil)

// Publisher decorates an API. It is safe for concurrent use if the API is. Use [New].
type Publisher struct {
	core
	api API
}

// New returns a Publisher over api.
func New(api API, options ...Option) *Publisher {
	p := &Publisher{api: api, core: newCore(classic)}
	p.configure(options)
	return p
}

// PutEvents publishes as the client does, and stamps, traces and measures the
// events. It does not change the input.
//
// If the entries fit in one request, PutEvents returns what the client returns.
// More entries are split into requests of at most ten entries and 1 000 000
// bytes, which are sent in order, one after the other. The output has one
// result per entry, in the caller's order. If a request failed as a whole, the
// results of its entries have its error code and message, and count in
// FailedEntryCount. If every request failed, PutEvents returns the first error;
// otherwise the error is nil. An entry that an option refuses is not sent, and
// its result has the option's code.
func (p *Publisher) PutEvents(ctx context.Context, input *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	options = append(options[:len(options):len(options)], watchAttempts)
	return p.putEvents(ctx, input, func(ctx context.Context, input *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
		return p.api.PutEvents(ctx, input, options...)
	})
}

// putFunc sends one request as the client would.
type putFunc func(context.Context, *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error)

// putEvents is PutEvents, with put to send a request.
func (c *core) putEvents(ctx context.Context, input *eventbridge.PutEventsInput, put putFunc) (*eventbridge.PutEventsOutput, error) {
	if input == nil || len(input.Entries) == 0 {
		ctx, _ = withAttempts(ctx)
		return put(ctx, input) // the client's own response
	}
	b := newBuffer()
	defer b.free()
	b.entries = slices.Grow(b.entries, len(input.Entries))
	for i := range input.Entries {
		b.entries = append(b.entries, c.stamping.Resolve(ctx, plain(&input.Entries[i]), nil))
		b.entries[i].Place = i
	}
	var last *eventbridge.PutEventsOutput
	requests, sent := 0, 0
	err := c.publish(ctx, b, func(ctx context.Context, batch []*lineage.Outgoing) ([]Result, error) {
		request := *input
		request.Entries = make([]types.PutEventsRequestEntry, len(batch))
		for i, o := range batch {
			request.Entries[i] = withStamp(&input.Entries[o.Place], &o.Entry)
		}
		output, err := put(ctx, &request)
		last, sent = output, len(batch)
		requests++
		b.results = appendResults(b.results[:0], output)
		return b.results, err
	})
	if err != nil || requests == 1 && sent == len(input.Entries) {
		return last, err // exactly the client's
	}
	return merge(b.entries, last), nil
}

// plain returns an entry as plain values.
func plain(e *types.PutEventsRequestEntry) lineage.Entry {
	return lineage.Entry{
		Source: aws.ToString(e.Source), DetailType: aws.ToString(e.DetailType), Detail: aws.ToString(e.Detail),
		Resources: e.Resources, TraceHeader: aws.ToString(e.TraceHeader), HasTime: e.Time != nil, Bus: aws.ToString(e.EventBusName),
	}
}

// withStamp returns a copy of an entry with its stamp. Fields without a part of
// the stamp do not change; absent fields stay absent.
func withStamp(e *types.PutEventsRequestEntry, stamped *lineage.Entry) types.PutEventsRequestEntry {
	sent := *e
	sent.Resources = stamped.Resources
	if stamped.Detail != aws.ToString(e.Detail) {
		sent.Detail = aws.String(stamped.Detail)
	}
	if stamped.TraceHeader != aws.ToString(e.TraceHeader) {
		sent.TraceHeader = aws.String(stamped.TraceHeader)
	}
	return sent
}

func appendResults(results []Result, output *eventbridge.PutEventsOutput) []Result {
	if output == nil {
		return results
	}
	results = slices.Grow(results, len(output.Entries))
	for i := range output.Entries {
		e := &output.Entries[i]
		results = append(results, Result{EventID: aws.ToString(e.EventId), ErrorCode: aws.ToString(e.ErrorCode), ErrorMessage: aws.ToString(e.ErrorMessage)})
	}
	return results
}

// merge returns the output of several requests, or of entries that were not
// sent.
func merge(entries []lineage.Outgoing, last *eventbridge.PutEventsOutput) *eventbridge.PutEventsOutput {
	output := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(entries))}
	if last != nil {
		output.ResultMetadata = last.ResultMetadata
	}
	for i := range entries {
		r := &entries[i].Result
		if r.ErrorCode == "" {
			output.Entries[i].EventId = aws.String(r.EventID)
			continue
		}
		output.FailedEntryCount++
		output.Entries[i].ErrorCode, output.Entries[i].ErrorMessage = aws.String(r.ErrorCode), aws.String(r.ErrorMessage)
	}
	return output
}
