package publisher

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// request is one PutEvents request on its way.
type request struct {
	p          *Publisher
	publishing *tracing.Publishing
	sent       []types.PutEventsRequestEntry
	out        []tracing.Outgoing
	sizes      []int
	skipped    []string // why the stamp of an entry was left out
}

// prepare resolves, traces and stamps the entries into copies.
func (p *Publisher) prepare(ctx context.Context, entries []types.PutEventsRequestEntry) *request {
	r := &request{
		p: p, sent: make([]types.PutEventsRequestEntry, len(entries)), out: make([]tracing.Outgoing, len(entries)),
		sizes: make([]int, len(entries)), skipped: make([]string, len(entries)),
	}
	plain := make([]tracing.Entry, len(entries))
	total := 0
	for i := range entries {
		plain[i] = tracing.Entry{
			Source: aws.ToString(entries[i].Source), DetailType: aws.ToString(entries[i].DetailType), Detail: aws.ToString(entries[i].Detail),
			Resources: entries[i].Resources, TraceHeader: aws.ToString(entries[i].TraceHeader),
			HasTime: entries[i].Time != nil, Bus: aws.ToString(entries[i].EventBusName),
		}
		r.out[i] = p.stamper.Resolve(ctx, plain[i], nil)
		total += weigh(&entries[i])
	}
	r.publishing = p.stamper.StartPublishing(ctx, plain, r.out)
	room := sizemeter.RequestBudget - total
	for i := range entries {
		stamped, result := p.stamper.Apply(plain[i], r.out[i].Lineage, room)
		room -= result.Added
		r.skipped[i] = result.Skipped
		r.sent[i] = entries[i]
		r.sent[i].Resources = stamped.Resources
		if stamped.Detail != plain[i].Detail {
			r.sent[i].Detail = aws.String(stamped.Detail)
		}
		if stamped.TraceHeader != plain[i].TraceHeader {
			r.sent[i].TraceHeader = aws.String(stamped.TraceHeader)
		}
		r.sizes[i] = weigh(&r.sent[i])
		r.publishing.Size(i, r.sizes[i])
	}
	return r
}

// announce tells the extension's endpoint, on loopback, that this request is
// stamped and counted. Nobody else gets the header.
func (p *Publisher) announce(o *eventbridge.Options) {
	if o.BaseEndpoint == nil {
		return
	}
	u, err := url.Parse(*o.BaseEndpoint)
	if err != nil || !loopback(u.Hostname()) {
		return
	}
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], smithyhttp.AddHeaderValue("Throughline-Stamped", "1"))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// finish ends the spans and records the metrics of a request.
func (r *request) finish(output *eventbridge.PutEventsOutput, err error, took time.Duration) {
	results := make([]tracing.Result, len(r.sent))
	for i := range results {
		switch {
		case err != nil:
			results[i].ErrorCode = codeOf(err)
		case output != nil && i < len(output.Entries):
			results[i] = tracing.Result{EventID: aws.ToString(output.Entries[i].EventId), ErrorCode: aws.ToString(output.Entries[i].ErrorCode)}
		}
	}
	r.publishing.End(results, err)
	now := r.p.now()
	r.p.metrics.Record(metrics.Observation{At: now, Name: metrics.PublishDuration, Value: float64(took) / float64(time.Millisecond)})
	for i := range results {
		r.measure(now, i, results[i].ErrorCode)
	}
}

// measure records one entry.
func (r *request) measure(now time.Time, i int, code string) {
	o := metrics.Observation{
		At: now, EventType: aws.ToString(r.sent[i].DetailType), EventID: r.out[i].EventID, CorrelationID: r.out[i].Lineage.CorrelationID,
	}
	record := func(name metrics.Name, value float64, kind string) {
		o := o
		o.Name, o.Value, o.Kind = name, value, kind
		r.p.metrics.Record(o)
	}
	size := r.sizes[i]
	record(metrics.PayloadSize, float64(size), "")
	record(metrics.PayloadLimitUtilization, sizemeter.Utilization(size, r.p.limit), "")
	if size >= r.p.warn {
		record(metrics.OversizedEvents, 1, "")
		r.p.metrics.Log(metrics.Line{At: now, Kind: "oversize", Message: "event is close to the size limit", Fields: map[string]any{
			"event_id": o.EventID, "event_type": o.EventType, "correlation_id": o.CorrelationID, "size_bytes": size, "limit_bytes": r.p.limit,
		}})
	}
	if r.out[i].Uncorrelated {
		record(metrics.UncorrelatedPublished, 1, "")
	}
	if r.skipped[i] != "" {
		record(metrics.StampSkipped, 1, r.skipped[i])
	}
	if code != "" {
		record(metrics.EventsFailed, 1, code)
		if code == "ThrottlingException" {
			record(metrics.EventsThrottled, 1, "")
		}
		return
	}
	record(metrics.EventsPublished, 1, "")
	record(metrics.BilledChunks, float64(sizemeter.Chunks(size)), "")
}

// codeOf is the code of an error, as AWS or the transport names it.
func codeOf(err error) string {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	case errors.Is(err, context.Canceled):
		return "Canceled"
	default:
		return "RequestFailed"
	}
}
