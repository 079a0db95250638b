package publisher

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"go.opentelemetry.io/contrib/instrumentation/github.com/aws/aws-sdk-go-v2/otelaws" //nolint:staticcheck // unsupported since v0.72.0, and in use all the same
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/buslocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

func config(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")}
}

// TestMiddlewareIsThePublisher: the unmodified client of a configuration does
// what a Publisher over it does.
func TestMiddlewareIsThePublisher(t *testing.T) {
	s := newServer(t)
	s.code = func(e wireEntry) string { return map[string]string{"T3": "MalformedDetail"}[e.DetailType] }
	set := metrics.New(metrics.Config{})
	cfg := config(s.URL)
	cfg.APIOptions = append(cfg.APIOptions, Middleware(WithMetrics(set), WithRetries(Retries{Base: 1})))
	client := eventbridge.NewFromConfig(cfg)
	input := &eventbridge.PutEventsInput{}
	for i := range 25 {
		input.Entries = append(input.Entries, entry(fmt.Sprint("T", i), spaced))
	}
	output, err := client.PutEvents(t.Context(), input)
	if err != nil || len(output.Entries) != 25 || output.FailedEntryCount != 1 || aws.ToString(output.Entries[3].ErrorCode) != "MalformedDetail" || len(s.requests) != 3 {
		t.Fatalf("output %+v, %v, %d requests", output, err, len(s.requests))
	}
	for i, e := range s.entries() {
		if e.DetailType != fmt.Sprint("T", i) || e.Detail != spaced || e.line("correlation") != "workflow-1" || i != 3 && !strings.Contains(aws.ToString(output.Entries[i].EventId), "-"+e.DetailType+"-") {
			t.Errorf("entry %d is %+v, its result %+v", i, e, output.Entries[i])
		}
	}
	if input.Entries[0].Resources != nil || s.headers[0].Get(stampedHeader) != "1" {
		t.Errorf("input %+v, headers %v", input.Entries[0], s.headers[0])
	}
	if got := sums(t, set, "EventsPublished", "EventsFailed"); got != "[24 1]" {
		t.Errorf("counted %s", got)
	}
	s.fault = func(int) string { return "AccessDeniedException" }
	if _, err := client.PutEvents(t.Context(), input); err == nil || codeOf(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "operation error EventBridge: PutEvents") {
		t.Errorf("when every request fails: %v", err)
	}
	if _, err := client.PutEvents(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "missing required field") {
		t.Errorf("without entries: %v", err)
	}
	if _, err := client.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{}); err == nil || s.headers[len(s.headers)-1].Get(stampedHeader) != "" {
		t.Errorf("another operation: %v, %v", err, s.headers[len(s.headers)-1])
	}
}

func TestPublisherOverTheMiddlewareCountsOnce(t *testing.T) {
	s := newServer(t)
	set := metrics.New(metrics.Config{})
	cfg := config(s.URL)
	cfg.APIOptions = append(cfg.APIOptions, Middleware(WithMetrics(set)))
	if _, err := New(eventbridge.NewFromConfig(cfg), WithMetrics(set)).PutEvents(t.Context(), entries("A", "B")); err != nil {
		t.Fatal(err)
	}
	if got := sums(t, set, "EventsPublished"); got != "[2]" || len(s.entries()[0].Resources) != 3 {
		t.Errorf("counted %s, lines %v", got, s.entries()[0].Resources)
	}
}

// TestMiddlewareBesideOtelaws, whichever was added first: one trace, our spans
// and theirs, the stamp naming ours.
func TestMiddlewareBesideOtelaws(t *testing.T) {
	for _, first := range []string{"ours", "theirs"} {
		t.Run(first, func(t *testing.T) {
			s := newServer(t)
			exporter := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
			cfg := config(s.URL)
			ours := func() {
				cfg.APIOptions = append(cfg.APIOptions, Middleware(WithTracing(tracing.Config{TracerProvider: provider})))
			}
			if first == "ours" {
				ours()
			}
			otelaws.AppendMiddlewares(&cfg.APIOptions, otelaws.WithTracerProvider(provider))
			if first == "theirs" {
				ours()
			}
			ctx, root := provider.Tracer("").Start(t.Context(), "caller")
			if _, err := eventbridge.NewFromConfig(cfg).PutEvents(ctx, entries("A")); err != nil {
				t.Fatal(err)
			}
			root.End()
			byName := map[string]tracetest.SpanStub{}
			for _, span := range exporter.GetSpans() {
				byName[span.Name] = span
				if span.SpanContext.TraceID() != root.SpanContext().TraceID() {
					t.Errorf("%s is in another trace", span.Name)
				}
			}
			send, theirs := byName["send A"], byName["EventBridge.PutEvents"]
			if len(byName) != 3 || send.SpanKind != trace.SpanKindProducer || s.entries()[0].line("traceparent") != tracing.FormatTraceparent(send.SpanContext) {
				t.Fatalf("spans %v, lines %v", byName, s.entries()[0].Resources)
			}
			outer, inner := send, theirs
			if first == "theirs" {
				outer, inner = theirs, send
			}
			if outer.Parent.SpanID() != root.SpanContext().SpanID() || inner.Parent.SpanID() != outer.SpanContext.SpanID() {
				t.Errorf("%s is not around %s", outer.Name, inner.Name)
			}
		})
	}
}

// TestBehindTheEventsEndpointItIsCountedOnce, by whoever stamped it.
func TestBehindTheEventsEndpointItIsCountedOnce(t *testing.T) {
	bus := buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	t.Cleanup(bus.Close)
	upstream, err := bus.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out strings.Builder // written before Sidecar returns, read after
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- extension.Sidecar(ctx, extension.Config{
			EventsAddr: "127.0.0.1:0", EventsUpstream: upstream, Region: "us-east-1", Out: &out, Now: time.Now, TempDir: t.TempDir(),
			Credentials: func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIALOCAL", SecretAccessKey: "local"}, nil
			},
		}, func(a map[string]string) { addresses <- a })
	}()
	set := metrics.New(metrics.Config{})
	select {
	case a := <-addresses:
		cfg := config("http://" + a["events"])
		bare := eventbridge.NewFromConfig(cfg)
		cfg.APIOptions = append(cfg.APIOptions, Middleware(WithMetrics(set)))
		for kind, api := range map[string]API{"Covered": eventbridge.NewFromConfig(cfg), "Decorated": New(bare, WithMetrics(set)), "Bare": bare} {
			if output, err := api.PutEvents(t.Context(), entries(kind)); err != nil || output.FailedEntryCount != 0 {
				t.Errorf("%s: %+v, %v", kind, output, err)
			}
		}
	case err := <-done:
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if ours := sums(t, set, "EventsPublished"); ours != "[2]" {
		t.Errorf("the publishers counted %s", ours)
	}
	if strings.Contains(out.String(), "Covered") || strings.Contains(out.String(), "Decorated") || !strings.Contains(out.String(), `"EventType":"Bare"`) {
		t.Errorf("the endpoint counted\n%s", out.String())
	}
	published := bus.Ledger().Published
	for _, e := range published {
		if e.Line("correlation") == "" || len(e.Resources) != 3 {
			t.Errorf("%s carries %v", e.DetailType, e.Resources)
		}
	}
	if len(published) != 3 {
		t.Errorf("%d events", len(published))
	}
}
