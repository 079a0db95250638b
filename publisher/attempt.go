package publisher

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/metrics"
)

// attemptKey finds in a context the request that is being sent: its call is
// stamped already, and what becomes of its attempts is told to it.
type attemptKey struct{}

// attempts are those that the SDK's retryer makes of one request.
type attempts struct {
	span      trace.Span
	throttled atomic.Int64
}

// watch is ctx, of one request to be sent, with what its attempts are told to.
func watch(ctx context.Context) (context.Context, *attempts) {
	a := &attempts{span: trace.SpanFromContext(ctx)}
	return context.WithValue(ctx, attemptKey{}, a), a
}

// failed records an attempt that came to nothing.
func (a *attempts) failed(err error) {
	code := codeOf(err)
	if code == throttling {
		a.throttled.Add(1)
	}
	a.span.AddEvent("request failed", trace.WithAttributes(attribute.String("error.type", code)))
}

// settle counts the entries of attempts that were throttled as a whole and then
// tried again. The last attempt, of which err came, is counted with its request.
func (c *core) settle(a *attempts, w *work, err error) {
	n := a.throttled.Swap(0)
	if err != nil && codeOf(err) == throttling {
		n--
	}
	for range n {
		for i := range w.entries {
			c.stamping.Metrics.Record(metrics.Observation{At: c.stamping.Now(), Name: metrics.EventsThrottled, Value: 1, EventType: w.entries[i].DetailType})
		}
	}
}

const stampedHeader = "Throughline-Stamped"

// eachAttempt is a middleware around every attempt that the SDK makes. It is
// told to whom it fails, and where it goes to loopback it says that the request
// is stamped and counted: after it is signed, because the extension's endpoint
// takes the header off, and a signature over it would break.
var eachAttempt = middleware.DeserializeMiddlewareFunc("ThroughlineAttempt", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	if r, ok := in.Request.(*smithyhttp.Request); ok && loopback(r.URL.Hostname()) {
		r.Header.Set(stampedHeader, "1")
	}
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if a, ok := ctx.Value(attemptKey{}).(*attempts); ok && err != nil {
		a.failed(err)
	}
	return out, metadata, err //nolint:wrapcheck // the client's own
})

func addAttempt(stack *middleware.Stack) error {
	if _, there := stack.Deserialize.Get(eachAttempt.ID()); there {
		return nil // a Publisher over a client with the middleware
	}
	return stack.Deserialize.Add(eachAttempt, middleware.Before) //nolint:wrapcheck // the SDK's own
}

// watched adds eachAttempt to the client of one call.
func watched(o *eventbridge.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], addAttempt)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
