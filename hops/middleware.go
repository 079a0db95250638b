package hops

import (
	"cmp"
	"context"
	"errors"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/otelglobal"
)

// Middleware returns an option that traces the calls of a client. Add it to
// aws.Config.APIOptions, or to a client's own APIOptions. If it is added
// twice to a client, each call is still traced once. The returned function is
// safe for concurrent use.
func Middleware(options ...Option) func(*middleware.Stack) error {
	m := &seen{}
	for _, o := range options {
		o.apply(m)
	}
	if m.Tracing.TracerProvider == nil {
		m.Tracing.TracerProvider = otelglobal.TracerProvider()
	}
	m.tracer = m.Tracing.Tracer()
	return func(stack *middleware.Stack) error {
		// The stack does not know the service.
		if _, there := stack.Initialize.Get(name); there || m.Off || !hop.KnownOperation(stack.ID()) {
			return nil
		}
		// Neither can be in the stack already. If one were, the calls would be untraced rather
		// than fail.
		if m.Carry {
			// After the SDK's own middleware, which copies the invocation's header if there
			// is none.
			_ = stack.Build.Add(middleware.BuildMiddlewareFunc(name, m.carry), middleware.After)
		}
		_ = stack.Initialize.Add(middleware.InitializeMiddlewareFunc(name, m.call), middleware.After)
		return nil
	}
}

const name = "ThroughlineHop"

type seen struct {
	hop.Telemetry
	tracer trace.Tracer
}

// services are the SDK's names of the services.
var services = map[string]string{
	"SQS": hop.SQS, "SNS": hop.SNS, "Lambda": hop.Lambda, "SFN": hop.States, "Scheduler": hop.Scheduler, "Kinesis": hop.Kinesis,
}

// open is a call under way.
type open struct {
	call   *hop.Call
	span   trace.Span
	parent trace.SpanContext
}

type openKey struct{}

// call wraps one call of the SDK, including its retries.
func (m *seen) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	o := m.begin(ctx, in.Parameters)
	if o == nil {
		return next.HandleInitialize(ctx, in)
	}
	ctx = trace.ContextWithSpan(context.WithValue(ctx, openKey{}, o), o.span)
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.end(ctx, o, out.Result, metadata, err)
	return out, metadata, err
}

// begin starts the span of a call; it returns nil if the call is not traced. No
// fault of ours or of a tracer affects the call.
func (m *seen) begin(ctx context.Context, input any) (o *open) {
	defer func() {
		if recover() != nil {
			m.Metrics.Dropped(1)
			o = nil
		}
	}()
	service, operation := services[awsmiddleware.GetServiceID(ctx)], awsmiddleware.GetOperationName(ctx)
	if !hop.Known(service, operation) {
		return nil
	}
	c := &hop.Call{Service: service, Operation: operation, Region: awsmiddleware.GetRegion(ctx), Start: time.Now()}
	readInput(c, input)
	o = &open{call: c, parent: trace.SpanContextFromContext(ctx)}
	if o.parent.IsValid() && lineage.DeliveryFromContext(ctx) != nil {
		ctx = lineage.FollowParent(ctx, o.parent)
	}
	_, o.span = m.tracer.Start(ctx, c.SpanName(), trace.WithSpanKind(c.Kind()), trace.WithTimestamp(c.Start))
	return o
}

func (m *seen) end(ctx context.Context, o *open, output any, metadata middleware.Metadata, err error) {
	defer func() {
		if recover() != nil {
			m.Metrics.Dropped(1)
		}
	}()
	c := o.call
	c.End = time.Now()
	if err != nil {
		c.Error, c.Unknown = codeOf(err)
	} else {
		readOutput(c, output)
		if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok && c.Service == hop.Lambda {
			c.IDs = []string{id}
		}
	}
	if o.span.IsRecording() {
		attrs := lineage.WithCurrent(ctx, c.Attributes(make([]attribute.KeyValue, 0, 24)))
		if m.Tracing.XRay {
			attrs = lineage.AnnotateHop(attrs)
		}
		o.span.SetAttributes(attrs...)
		if c.ErrorType() != "" {
			o.span.SetStatus(codes.Error, c.Status())
		}
	}
	o.span.End(trace.WithTimestamp(c.End))
	correlation, _ := lineage.CurrentIDs(ctx)
	c.Record(m.Metrics, correlation)
}

// carry sets the trace header of a message once per call, for all attempts.
func (m *seen) carry(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if r, ok := in.Request.(*smithyhttp.Request); ok {
		m.setHeader(ctx, r)
	}
	return next.HandleBuild(ctx, in)
}

// setHeader sets the trace header of a request. No fault of ours or of a tracer
// affects the call.
func (m *seen) setHeader(ctx context.Context, r *smithyhttp.Request) {
	defer func() {
		if recover() != nil {
			m.Metrics.Dropped(1)
		}
	}()
	const header = "X-Amzn-Trace-Id"
	o, _ := ctx.Value(openKey{}).(*open)
	if o == nil || !hop.Carries(o.call.Service) || !o.span.IsRecording() || len(r.Header.Values(header)) > 1 {
		return
	}
	if carried, ok := lineage.Carry(r.Header.Get(header), lineage.InvocationHeader(ctx), o.span.SpanContext(), m.Tracing.XRay, o.call.Start); ok {
		r.Header.Set(header, carried)
		o.call.Carried = true
	}
}

// codeOf is the code of an error, as AWS or the transport names it. unknown
// reports that the caller cancelled the call, so that its outcome is not
// known.
func codeOf(err error) (code string, unknown bool) {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return cmp.Or(api.ErrorCode(), lineage.ErrorTypeOther), false
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded", true
	case errors.Is(err, context.Canceled):
		return "Canceled", true
	default:
		return "RequestFailed", false
	}
}
