package publisher

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.opentelemetry.io/contrib/instrumentation/github.com/aws/aws-sdk-go-v2/otelaws" //nolint:staticcheck // unsupported since v0.72.0, and in use all the same
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

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

// TestBehindAnEndpointItIsCountedOnce: a loopback endpoint, as the extension's,
// sees which requests are stamped already, and that no signature covers the word.
func TestBehindAnEndpointItIsCountedOnce(t *testing.T) {
	s := newServer(t)
	upstream, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	stampedRequests, counted := 0, 0
	endpoint := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(upstream)
		if r.In.Header.Get(stampedHeader) == "1" {
			stampedRequests++
		} else {
			counted++
		}
		if strings.Contains(strings.ToLower(r.In.Header.Get("Authorization")), "throughline") {
			t.Error("the header is signed: taking it off breaks the signature")
		}
		r.Out.Header.Del(stampedHeader)
	}})
	t.Cleanup(endpoint.Close)
	cfg := config(endpoint.URL)
	bare := eventbridge.NewFromConfig(cfg)
	cfg.APIOptions = append(cfg.APIOptions, Middleware())
	covered := eventbridge.NewFromConfig(cfg)
	for _, client := range []API{bare, covered, New(bare)} {
		if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("T", `{}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	if stampedRequests != 2 || counted != 1 {
		t.Errorf("%d stamped, %d to be stamped", stampedRequests, counted)
	}
	for _, h := range s.headers {
		if _, there := h[http.CanonicalHeaderKey(stampedHeader)]; there {
			t.Error("the header left loopback")
		}
	}
}
