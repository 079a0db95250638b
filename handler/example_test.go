package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// invoke calls a wrapped handler as Lambda would.
func invoke(wrapped any, request string, payload []byte) {
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: request})
	if answer, err := lambda.NewHandler(wrapped).Invoke(ctx, payload); err != nil {
		fmt.Println("error:", err)
	} else if len(answer) > 0 && string(answer) != "null" {
		fmt.Println("answer:", string(answer))
	}
}

func plan(context.Context, events.EventBridgeEvent) error { return nil }

func ExampleWrap() {
	planned := func(_ context.Context, e events.EventBridgeEvent) (string, error) { return "planned for " + e.ID, nil }
	invoke(handler.Wrap(planned), "request-1", event(1)) // lambda.Start(handler.Wrap(planned)), in a main
	// Output: answer: "planned for env-1"
}

// What export.Setup found goes to the handler as one option.
func ExampleWithTelemetry() {
	telemetry := export.Setup(aws.Config{}, func(string) string { return "" }) // the config of AWS's SDK and os.Getenv, in a main
	invoke(handler.Wrap(func() (string, error) { return "planned", nil }, handler.WithTelemetry(telemetry), handler.WithMetrics(nil, io.Discard)), "request-1", event(1))
	// Output: answer: "planned"
}

func ExampleWithTracing() {
	spans := tracetest.NewInMemoryExporter()
	cfg := tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))} // of export.Setup, in a main
	invoke(handler.Wrap(plan, handler.WithTracing(cfg)), "request-1", event(1))
	s := spans.GetSpans()[0]
	fmt.Println(s.Name, "linked to", s.Links[0].SpanContext.SpanID())
	// Output: process Signal linked to 0000000000000001
}

// metric tells whether a metric was written.
func metric(out *bytes.Buffer, name metrics.Name) bool {
	return strings.Contains(out.String(), `"`+string(name)+`":`)
}

func ExampleWithMetrics() {
	var out bytes.Buffer // os.Stdout, in a main
	set := metrics.New(metrics.Config{Service: "portfolio"})
	invoke(handler.Wrap(plan, handler.WithMetrics(set, &out)), "request-1", event(1))
	fmt.Println(metric(&out, metrics.ColdStart), metric(&out, metrics.HandlerDuration))
	// Output: true true
}

func ExampleWithExtension() {
	var out bytes.Buffer
	set := metrics.New(metrics.Config{Service: "portfolio"})
	invoke(handler.Wrap(plan, handler.WithMetrics(set, &out), handler.WithExtension(true)), "request-1", event(1))
	fmt.Println(metric(&out, metrics.Duration), metric(&out, metrics.HandlerDuration)) // the first is the extension's to count
	// Output: false true
}

func ExampleWithInitKind() {
	var out bytes.Buffer
	set := metrics.New(metrics.Config{Service: "portfolio"})
	invoke(handler.Wrap(plan, handler.WithMetrics(set, &out), handler.WithInitKind("snap-start")), "request-1", event(1))
	fmt.Println(strings.Contains(out.String(), `"ColdStart_snap-start":1`))
	// Output: true
}

func ExampleWithDedupe() {
	var out bytes.Buffer
	set := metrics.New(metrics.Config{Service: "portfolio"})
	wrapped := handler.Wrap(plan, handler.WithMetrics(set, &out), handler.WithDedupe(dedupe.New(dedupe.Config{})))
	invoke(wrapped, "request-1", event(1))
	invoke(wrapped, "request-2", event(1))
	for line := range strings.Lines(out.String()) {
		var repeat struct{ Throughline, Message, Kind string }
		if json.Unmarshal([]byte(line), &repeat) == nil && repeat.Throughline != "" {
			fmt.Println(repeat.Throughline, repeat.Kind, repeat.Message)
		}
	}
	// Output: repeat redelivery already processed
}

func ExampleWithFlush() {
	flush := func(ctx context.Context) error { // telemetry.Flush of export.Setup, in a main
		_, bounded := ctx.Deadline()
		fmt.Println("flushing, bounded:", bounded)
		return nil
	}
	invoke(handler.Wrap(func() (string, error) { return "done", nil }, handler.WithFlush(flush)), "request-1", event(1))
	// Output:
	// flushing, bounded: true
	// answer: "done"
}

// Two environments of a function share a store: what the one handled the other
// does not handle again.
func ExampleWithSuppression() {
	store := new(dedupe.Memory) // in Lambda, a dynamo.Table
	order := func() (string, error) {
		fmt.Println("order placed")
		return "order-7", nil
	}
	for _, request := range []string{"request-1", "request-2"} {
		wrapped := handler.Wrap(order, handler.WithDedupe(dedupe.New(dedupe.Config{Store: store})), handler.WithSuppression())
		invoke(wrapped, request, event(1))
	}
	// Output:
	// order placed
	// answer: "order-7"
	// answer: "order-7"
}

func ExampleMeasureCalls() {
	var out bytes.Buffer
	set := metrics.New(metrics.Config{Service: "execution"})
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	defer exchange.Close()
	trade := func(ctx context.Context) error {
		resp, err := tracing.Client(ctx, handler.MeasureCalls(set)).Get(exchange.URL + "/v2/clock")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	invoke(handler.Wrap(trade, handler.WithMetrics(set, &out)), "request-1", event(1))
	fmt.Println(strings.Contains(out.String(), `"RateLimited":1`))
	// Output: true
}

// cabinet is a claim store in memory; claimcheck/s3 is one in a bucket.
type cabinet map[string]string

func (c cabinet) Put(_ context.Context, o claimcheck.Object) (string, error) {
	c[o.Key] = o.Data
	return "cabinet", nil
}

func (c cabinet) Get(_ context.Context, claim claimcheck.Claim) ([]byte, error) {
	return []byte(c[claim.Key]), nil
}

func ExampleWithClaims() {
	store := cabinet{}
	claims, err := claimcheck.New(claimcheck.Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	sent, err := claims.Put(context.Background(), `{"event_id":"plan-1","orders":["AAPL","MSFT"]}`, claimcheck.Names{EventType: "Planned", EventID: "plan-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := func(e events.EventBridgeEvent) (json.RawMessage, error) { return e.Detail, nil }
	invoke(handler.Wrap(h, handler.WithClaims(store)), "request-1", []byte(`{"id":"env-1","detail-type":"Planned","source":"s","detail":`+sent+`}`))
	// Output: answer: {"event_id":"plan-1","orders":["AAPL","MSFT"]}
}
