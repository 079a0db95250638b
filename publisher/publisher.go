package publisher

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/tracing"
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

// PutEvents publishes as the client does, and stamps, traces and measures. The
// input is not changed.
//
// What fits one request returns what the client returns. More is split into
// requests of at most ten entries and 1 000 000 bytes, sent in order, one after
// the other: each entry has its result in the caller's order; those of a
// request that failed as a whole carry its error code and message, and count in
// FailedEntryCount. The error is then nil unless every request failed, and the
// first of theirs if so. An entry that an option refuses has its code in its
// result and is not sent; the others are.
func (p *Publisher) PutEvents(ctx context.Context, input *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	options = append(options[:len(options):len(options)], watched)
	return p.putEvents(ctx, input, func(ctx context.Context, input *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
		return p.api.PutEvents(ctx, input, options...)
	})
}

// call sends one request as the client would.
type call func(context.Context, *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error)

// putEvents is PutEvents over whatever sends a request.
func (c *core) putEvents(ctx context.Context, input *eventbridge.PutEventsInput, send call) (*eventbridge.PutEventsOutput, error) {
	if input == nil || len(input.Entries) == 0 {
		ctx, _ = watch(ctx)
		return send(ctx, input) // the client's own answer
	}
	room := newRoom()
	defer room.done()
	room.entries = appendPlain(room.entries, input.Entries)
	var last *eventbridge.PutEventsOutput
	requests, sent := 0, 0
	results, err := c.publish(ctx, room, func(ctx context.Context, at []int, stamped []tracing.Entry) ([]Result, error) {
		request := *input
		request.Entries = make([]types.PutEventsRequestEntry, len(at))
		for i, of := range at {
			request.Entries[i] = withStamp(&input.Entries[of], &stamped[i])
		}
		output, err := send(ctx, &request)
		last, sent = output, len(at)
		requests++
		room.got = appendResults(room.got[:0], output)
		return room.got, err
	})
	if err != nil || requests == 1 && sent == len(input.Entries) {
		return last, err // exactly the client's
	}
	return merge(results, last), nil
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

// merge is the output of several requests, or of entries that were not sent.
func merge(results []Result, last *eventbridge.PutEventsOutput) *eventbridge.PutEventsOutput {
	output := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(results))}
	if last != nil {
		output.ResultMetadata = last.ResultMetadata
	}
	for i, r := range results {
		if r.ErrorCode == "" {
			output.Entries[i].EventId = aws.String(r.EventID)
			continue
		}
		output.FailedEntryCount++
		output.Entries[i].ErrorCode, output.Entries[i].ErrorMessage = aws.String(r.ErrorCode), aws.String(r.ErrorMessage)
	}
	return output
}
