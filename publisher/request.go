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

	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/tracing"
)

// request is one PutEvents request on its way.
type request struct {
	*stamping.Request
	sent []types.PutEventsRequestEntry
}

// prepare stamps the entries into copies.
func (p *Publisher) prepare(ctx context.Context, entries []types.PutEventsRequestEntry) *request {
	plain := make([]tracing.Entry, len(entries))
	for i := range entries {
		plain[i] = plainEntry(&entries[i])
	}
	r := &request{Request: p.stamping.Start(ctx, plain, nil), sent: make([]types.PutEventsRequestEntry, len(entries))}
	for i, stamped := range r.Sent {
		r.sent[i] = entries[i]
		r.sent[i].Resources = stamped.Resources
		if stamped.Detail != plain[i].Detail {
			r.sent[i].Detail = aws.String(stamped.Detail)
		}
		if stamped.TraceHeader != plain[i].TraceHeader {
			r.sent[i].TraceHeader = aws.String(stamped.TraceHeader)
		}
	}
	return r
}

func plainEntry(e *types.PutEventsRequestEntry) tracing.Entry {
	return tracing.Entry{
		Source: aws.ToString(e.Source), DetailType: aws.ToString(e.DetailType), Detail: aws.ToString(e.Detail),
		Resources: e.Resources, TraceHeader: aws.ToString(e.TraceHeader), HasTime: e.Time != nil, Bus: aws.ToString(e.EventBusName),
	}
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
	if output != nil && err == nil {
		for i := range min(len(results), len(output.Entries)) {
			results[i] = tracing.Result{EventID: aws.ToString(output.Entries[i].EventId), ErrorCode: aws.ToString(output.Entries[i].ErrorCode)}
		}
	}
	code := ""
	if err != nil {
		code = codeOf(err)
	}
	r.Finish(results, err, code, took)
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
