package publisher

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// API is the part of the EventBridge client that is decorated.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

var _ API = (*Publisher)(nil)

// Option changes what New makes.
type Option interface{ apply(*Publisher) }

type optionFunc func(*Publisher)

func (f optionFunc) apply(p *Publisher) { f(p) }

// WithTracing says how events are stamped and traced. Without it they are
// stamped with minted contexts, and no spans are made.
func WithTracing(cfg tracing.Config) Option {
	return optionFunc(func(p *Publisher) { p.stamping.Stamper = tracing.NewStamper(cfg) })
}

// WithMetrics records into set. Without it nothing is recorded.
func WithMetrics(set *metrics.Set) Option {
	return optionFunc(func(p *Publisher) { p.stamping.Metrics = set })
}

// WithLimit says what a request may weigh, in bytes, for utilisation; the
// default is sizemeter.LimitMiB. Nothing is refused for it.
func WithLimit(limit int) Option {
	return optionFunc(func(p *Publisher) { p.stamping.Limit = limit })
}

// WithWarning says from which size an event counts as oversized, in bytes; the
// default is sizemeter.WarnDefault.
func WithWarning(size int) Option {
	return optionFunc(func(p *Publisher) { p.stamping.Warn = size })
}

// Publisher decorates an API. It is safe for concurrent use if the API is. Use [New].
type Publisher struct {
	api      API
	stamping stamping.Stamping
}

// New returns a Publisher over api.
func New(api API, options ...Option) *Publisher {
	p := &Publisher{api: api, stamping: stamping.Stamping{
		Stamper: tracing.NewStamper(tracing.Config{}), Limit: sizemeter.LimitMiB, Warn: sizemeter.WarnDefault, Now: time.Now,
	}}
	for _, o := range options {
		o.apply(p)
	}
	return p
}

const maxEntries = 10 // of a request (API reference, PutEvents)

// PutEvents publishes as the client does, and stamps, traces and measures. The
// input is not changed.
//
// What fits one request returns what the client returns. More is split into
// requests of at most ten entries and 1 000 000 bytes, sent in order, one after
// the other: each entry has its result in the caller's order; those of a
// request that failed as a whole carry its error code and message, and count in
// FailedEntryCount. The error is then nil unless every request failed, and the
// first of theirs if so.
func (p *Publisher) PutEvents(ctx context.Context, input *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	if input == nil || len(input.Entries) == 0 {
		return p.api.PutEvents(ctx, input, options...) // the client's own answer
	}
	requests := pack(input.Entries)
	if len(requests) == 1 {
		return p.put(ctx, input, input.Entries, options)
	}
	merged := &eventbridge.PutEventsOutput{}
	var first error
	failed := 0
	for _, entries := range requests {
		output, err := p.put(ctx, input, entries, options)
		if err != nil {
			failed++
			if first == nil {
				first = err
			}
			output = failure(err, len(entries))
		}
		merged.FailedEntryCount += output.FailedEntryCount
		merged.Entries = append(merged.Entries, output.Entries...)
		merged.ResultMetadata = output.ResultMetadata
	}
	if failed == len(requests) {
		return nil, first
	}
	return merged, nil
}

// pack cuts entries into requests, in order. An entry too large by itself
// stands alone and gets EventBridge's own answer.
func pack(entries []types.PutEventsRequestEntry) [][]types.PutEventsRequestEntry {
	var requests [][]types.PutEventsRequestEntry
	begin, size := 0, 0
	for i := range entries {
		n := weigh(&entries[i])
		if i > begin && (i-begin == maxEntries || size+n > sizemeter.RequestBudget) {
			requests = append(requests, entries[begin:i:i])
			begin, size = i, 0
		}
		size += n
	}
	return append(requests, entries[begin:])
}

func weigh(e *types.PutEventsRequestEntry) int {
	plain := plainEntry(e)
	return stamping.Size(&plain)
}

// failure is the results of a request that failed as a whole.
func failure(err error, n int) *eventbridge.PutEventsOutput {
	code, message := codeOf(err), err.Error()
	output := &eventbridge.PutEventsOutput{FailedEntryCount: int32(n)}
	for range n {
		output.Entries = append(output.Entries, types.PutEventsResultEntry{ErrorCode: aws.String(code), ErrorMessage: aws.String(message)})
	}
	return output
}

// put sends one request.
func (p *Publisher) put(ctx context.Context, input *eventbridge.PutEventsInput, entries []types.PutEventsRequestEntry, options []func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	r := p.prepare(ctx, entries)
	sent := *input
	sent.Entries = r.sent
	start := p.stamping.Now()
	output, err := p.api.PutEvents(r.Context(), &sent, append(options[:len(options):len(options)], p.announce)...)
	r.finish(output, err, p.stamping.Now().Sub(start))
	return output, err
}
