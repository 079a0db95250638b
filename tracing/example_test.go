package tracing_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

const signal = `{"version":"0","id":"6a7e8feb","detail-type":"SignalGenerated","source":"alchemiser.strategy","time":"2026-11-23T10:00:00Z",
	"resources":["correlation:workflow-1","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:0"],
	"detail":{"event_id":"signal-1","correlation_id":"workflow-1"}}`

// invoke calls a handler as Lambda does.
func invoke(h any, payload string, options ...handler.Option) {
	if _, err := lambda.NewHandler(handler.Wrap(h, options...)).Invoke(context.Background(), []byte(payload)); err != nil {
		fmt.Println(err)
	}
}

// exchange answers every request and says what it was sent.
func exchange(headers ...string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Print(r.Method, " ", r.URL.Path)
		for _, name := range headers {
			fmt.Print(" ", cmp.Or(r.Header.Get(name), "-"))
		}
		fmt.Println()
	}))
}

func get(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func ExampleDeliveryFromContext() {
	invoke(func(ctx context.Context, _ json.RawMessage) {
		event := tracing.DeliveryFromContext(ctx).Events[0]
		fmt.Println(event.Type, event.ID, event.Lineage.CorrelationID, event.Lineage.Publisher.SpanID(), event.At("/correlation_id"))
	}, signal)
	// Output: SignalGenerated signal-1 workflow-1 00f067aa0ba902b7 workflow-1
}

// A handler that takes a batch apart gives each record a context of its own.
func ExampleContextWithDelivery() {
	server := exchange("X-Causation-ID")
	defer server.Close()
	invoke(func(ctx context.Context, _ json.RawMessage) {
		batch := tracing.DeliveryFromContext(ctx)
		for _, event := range batch.Events {
			one := *batch
			one.Events = []tracing.Event{event}
			get(tracing.Client(tracing.ContextWithDelivery(ctx, &one), tracing.WithHosts("127.0.0.1")), server.URL+"/price")
		}
	}, `{"Records":[
		{"eventSource":"aws:sqs","messageId":"m-1","body":"{\"event_id\":\"signal-1\",\"correlation_id\":\"w-1\"}"},
		{"eventSource":"aws:sqs","messageId":"m-2","body":"{\"event_id\":\"signal-2\",\"correlation_id\":\"w-2\"}"}]}`)
	// Output:
	// GET /price signal-1
	// GET /price signal-2
}

func ExampleContextWithIDs() {
	server := exchange("X-Correlation-ID", "X-Causation-ID")
	defer server.Close()
	ctx := tracing.ContextWithIDs(context.Background(), "run-3", "import-7")
	get(tracing.Client(ctx, tracing.WithHosts("127.0.0.1")), server.URL+"/price")
	// Output: GET /price run-3 import-7
}

func newProvider() (*sdk.TracerProvider, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return sdk.NewTracerProvider(sdk.WithSyncer(spans)), spans
}

// The span of a call is named after the route, and tells no query.
func ExampleNewTransport() {
	server := exchange()
	defer server.Close()
	provider, spans := newProvider()
	client := &http.Client{Transport: tracing.NewTransport(http.DefaultTransport, tracing.WithTracerProvider(provider),
		tracing.WithRoutes(func(_, path string) string {
			if strings.HasPrefix(path, "/users/") {
				return "/users/{user_id}"
			}
			return ""
		}))}
	get(client, server.URL+"/users/42?secret=1")
	fmt.Println(spans.GetSpans()[0].Name)
	// Output:
	// GET /users/42
	// GET /users/{user_id}
}

func ExampleWithRoutes() {
	server := exchange()
	defer server.Close()
	client := tracing.Client(context.Background(), tracing.WithRoutes(func(host, path string) string { return "/items/{id}" }),
		tracing.WithObserver(func(_ context.Context, c tracing.Call) { fmt.Println(c.Route, c.Status) }))
	get(client, server.URL+"/items/7")
	// Output:
	// GET /items/7
	// /items/{id} 200
}

// A client for a library whose calls take no context: one for each invocation.
func ExampleClient() {
	server := exchange("X-Correlation-ID", "X-Causation-ID")
	defer server.Close()
	invoke(func(ctx context.Context) {
		get(tracing.Client(ctx, tracing.WithHosts("127.0.0.1")), server.URL+"/v2/account")
	}, signal)
	// Output: GET /v2/account workflow-1 signal-1
}

func ExampleWithHosts() {
	server := exchange("X-Correlation-ID")
	defer server.Close()
	ctx := tracing.ContextWithIDs(context.Background(), "run-3", "")
	get(tracing.Client(ctx), server.URL+"/none")
	get(tracing.Client(ctx, tracing.WithHosts("*.example.com", "127.0.0.1")), server.URL+"/named")
	// Output:
	// GET /none -
	// GET /named run-3
}

func ExampleWithTracerProvider() {
	server := exchange()
	defer server.Close()
	provider, spans := newProvider()
	get(tracing.Client(context.Background(), tracing.WithTracerProvider(provider)), server.URL+"/")
	fmt.Println(spans.GetSpans()[0].Name)
	// Output:
	// GET /
	// GET
}

func ExampleWithPropagator() {
	server := exchange("traceparent")
	defer server.Close()
	invoke(func(ctx context.Context) {
		client := tracing.Client(ctx, tracing.WithHosts("127.0.0.1"), tracing.WithPropagator(constant{}))
		get(client, server.URL+"/")
	}, signal)
	// Output: GET / 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
}

// constant is a propagator that always writes the same: use propagation.TraceContext.
type constant struct{ propagation.TraceContext }

func (constant) Inject(_ context.Context, carrier propagation.TextMapCarrier) {
	carrier.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
}

func ExampleWithObserver() {
	server := exchange()
	defer server.Close()
	observe := func(_ context.Context, c tracing.Call) { fmt.Println(c.Host, c.Status, c.RateLimited) }
	get(tracing.Client(context.Background(), tracing.WithObserver(observe)), server.URL+"/v2/clock")
	// Output:
	// GET /v2/clock
	// 127.0.0.1 200 false
}

// What an API says of itself in the headers of its answers.
func ExampleWithHook() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Request-Id", "req_7") }))
	defer server.Close()
	hook := tracing.Hook{Answered: func(c *tracing.Call, h http.Header) { c.RequestID = h.Get("Request-Id") }, Headers: []string{"Request-Id"}}
	observe := func(_ context.Context, c tracing.Call) { fmt.Fprintln(os.Stdout, c.RequestID) }
	get(tracing.Client(context.Background(), tracing.WithHook(hook), tracing.WithObserver(observe)), server.URL+"/v1/charges")
	// Output: req_7
}

func ExampleWithTelemetry() {
	server := exchange("X-Correlation-ID")
	defer server.Close()
	settings := map[string]string{"THROUGHLINE_HTTP_HOSTS": "127.0.0.1", "TMPDIR": "/nowhere"}
	telemetry := export.Setup(aws.Config{}, func(name string) string { return settings[name] }) // os.Getenv, in a main
	ctx := tracing.ContextWithIDs(context.Background(), "run-3", "")
	get(tracing.Client(ctx, tracing.WithTelemetry(telemetry)), server.URL+"/price")
	// Output: GET /price run-3
}
