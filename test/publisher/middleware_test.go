package publisher_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.opentelemetry.io/contrib/instrumentation/github.com/aws/aws-sdk-go-v2/otelaws" //nolint:staticcheck // unsupported since v0.72.0, and in use all the same
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
)

func startBus(t *testing.T) (*buslocal.Bus, string) {
	t.Helper()
	bus := buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	t.Cleanup(bus.Close)
	url, err := bus.Start()
	if err != nil {
		t.Fatal(err)
	}
	return bus, url
}

func config(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")}
}

func input(eventType string) *eventbridge.PutEventsInput {
	return &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("test"), DetailType: &eventType, Detail: aws.String(`{}`), EventBusName: aws.String("trading"),
	}}}
}

// TestMiddlewareBesideOtelaws, whichever was added first: one trace, our spans
// and theirs, the stamp naming ours.
func TestMiddlewareBesideOtelaws(t *testing.T) {
	for _, first := range []string{"ours", "theirs"} {
		t.Run(first, func(t *testing.T) {
			bus, url := startBus(t)
			exporter := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
			cfg := config(url)
			ours := func() {
				cfg.APIOptions = append(cfg.APIOptions, publisher.Middleware(publisher.WithTracing(tracing.Config{TracerProvider: provider})))
			}
			if first == "ours" {
				ours()
			}
			otelaws.AppendMiddlewares(&cfg.APIOptions, otelaws.WithTracerProvider(provider))
			if first == "theirs" {
				ours()
			}
			ctx, root := provider.Tracer("").Start(t.Context(), "caller")
			if _, err := eventbridge.NewFromConfig(cfg).PutEvents(ctx, input("A")); err != nil {
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
			if len(byName) != 3 || send.SpanKind != trace.SpanKindProducer || bus.Ledger().Published[0].Line("traceparent") != lineage.FormatTraceparent(send.SpanContext) {
				t.Fatalf("spans %v, lines %v", byName, bus.Ledger().Published[0].Resources)
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
	bus, upstream := startBus(t)
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
		cfg.APIOptions = append(cfg.APIOptions, publisher.Middleware(publisher.WithMetrics(set)))
		for kind, api := range map[string]publisher.API{"Covered": eventbridge.NewFromConfig(cfg), "Decorated": publisher.New(bare, publisher.WithMetrics(set)), "Bare": bare} {
			if output, err := api.PutEvents(t.Context(), input(kind)); err != nil || output.FailedEntryCount != 0 {
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
	var ours strings.Builder
	if err := set.Flush(&ours, time.Now()); err != nil {
		t.Fatal(err)
	}
	for kind, counted := range map[string]bool{"Covered": true, "Decorated": true, "Bare": false} {
		if strings.Contains(ours.String(), `"EventType":"`+kind+`"`) != counted {
			t.Errorf("the publishers counted %s: %v\n%s", kind, !counted, ours.String())
		}
	}
	if strings.Contains(out.String(), "Covered") || strings.Contains(out.String(), "Decorated") || !strings.Contains(out.String(), `"EventType":"Bare"`) {
		t.Errorf("the endpoint counted\n%s", out.String())
	}
	published := bus.Ledger().Published
	for _, e := range published {
		if e.Line("correlation") == "" || len(e.Resources) != 4 {
			t.Errorf("%s carries %v", e.DetailType, e.Resources)
		}
	}
	if len(published) != 3 {
		t.Errorf("%d events", len(published))
	}
}
