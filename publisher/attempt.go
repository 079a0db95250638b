package publisher

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/loopback"
	"github.com/throughline/throughline/metrics"
)

// attemptKey is the context key of the attempts of the request that is being
// sent, whose call is already stamped.
type attemptKey struct{}

// attempts are the attempts of the SDK's retryer at one request.
type attempts struct {
	span      trace.Span
	throttled atomic.Int64
}

// withAttempts returns ctx with a record of the attempts at one request.
func withAttempts(ctx context.Context) (context.Context, *attempts) {
	a := &attempts{span: trace.SpanFromContext(ctx)}
	return context.WithValue(ctx, attemptKey{}, a), a
}

// recordFailure records an attempt that failed.
func (a *attempts) recordFailure(err error) {
	code := codeOf(err)
	if code == throttling {
		a.throttled.Add(1)
	}
	a.span.AddEvent("request failed", trace.WithAttributes(attribute.String("error.type", code)))
}

// countThrottledRequests counts the entries of attempts that were throttled as a
// whole and then retried. The last attempt, which returned err, is counted with
// its request.
func (c *core) countThrottledRequests(a *attempts, batch []*lineage.Outgoing, err error) {
	n := a.throttled.Swap(0)
	if err != nil && codeOf(err) == throttling {
		n--
	}
	for range n {
		c.countThrottled(batch)
	}
}

// countThrottled counts entries that were throttled and are retried.
func (c *core) countThrottled(entries []*lineage.Outgoing) {
	for _, o := range entries {
		c.stamping.Metrics.Record(metrics.Observation{At: c.stamping.Now(), Name: metrics.EventsThrottled, Value: 1, EventType: o.DetailType})
	}
}

// codeOf returns the code of an error, as AWS or the transport names it.
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

const stampedHeader = "Throughline-Stamped"

// eachAttempt is a middleware around every attempt of the SDK. It records a
// failure. On a request to loopback it sets a header that says that the
// request is stamped and counted. It sets the header after signing, because
// the extension's endpoint removes it, which would break a signature over it.
var eachAttempt = middleware.DeserializeMiddlewareFunc("ThroughlineAttempt", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	if r, ok := in.Request.(*smithyhttp.Request); ok && loopback.Is(r.URL.Hostname()) {
		r.Header.Set(stampedHeader, "1")
	}
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if a, ok := ctx.Value(attemptKey{}).(*attempts); ok && err != nil {
		a.recordFailure(err)
	}
	return out, metadata, err
})

func addAttempt(stack *middleware.Stack) error {
	if _, there := stack.Deserialize.Get(eachAttempt.ID()); there {
		return nil // a Publisher over a client with the middleware
	}
	return stack.Deserialize.Add(eachAttempt, middleware.Before)
}

// watchAttempts adds eachAttempt to the client of one call.
func watchAttempts(o *eventbridge.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], addAttempt)
}
