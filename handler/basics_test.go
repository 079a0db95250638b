package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

const publisherContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// envelope is an event as EventBridge delivers it, stamped.
func envelope(id, eventID string, more ...string) []byte {
	lines := []string{"correlation:workflow-1", "traceparent:" + publisherContext, "origin:" + publisherContext, "hops:1"}
	resources, _ := json.Marshal(append(lines, more...))
	return fmt.Appendf(nil, `{"version":"0","id":%q,"detail-type":"SignalGenerated","source":"alchemiser.strategy","account":"123456789012",`+
		`"time":"2026-11-23T20:45:00Z","region":"us-east-1","resources":%s,"detail":{"event_id":%q}}`, id, resources, eventID)
}

// bench is a wrapped handler and what it reports.
type bench struct {
	spans   *tracetest.InMemoryExporter
	tracing tracing.Config
	set     *metrics.Set
	out     bytes.Buffer
	handler lambda.Handler
}

func newBench(h any, options ...Option) *bench {
	b := &bench{spans: tracetest.NewInMemoryExporter(), set: metrics.New(metrics.Config{Service: "portfolio", Profile: metrics.Full})}
	b.tracing = tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(b.spans))}
	base := []Option{WithTracing(b.tracing), WithMetrics(b.set, &b.out), WithDedupe(dedupe.New(dedupe.Config{}))}
	b.handler = lambda.NewHandler(Wrap(h, append(base, options...)...))
	return b
}

func invocationContext(t testing.TB, request string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: request, InvokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:portfolio"})
}

func (b *bench) invoke(t testing.TB, request string, payload []byte) ([]byte, error) {
	t.Helper()
	return b.handler.Invoke(invocationContext(t, request), payload)
}

// last is the span of the last invocation.
func (b *bench) last() tracetest.SpanStub {
	spans := b.spans.GetSpans()
	return spans[len(spans)-1]
}

func attributeOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

func linksOf(s tracetest.SpanStub, why string) (n int) {
	for _, l := range s.Links {
		for _, a := range l.Attributes {
			if a.Key == "throughline.link" && a.Value.AsString() == why {
				n++
			}
		}
	}
	return n
}

func nothing(context.Context, json.RawMessage) error { return nil }

func TestAnswersPassThrough(t *testing.T) {
	failed := errors.New("no")
	type in struct {
		Detail struct {
			ID string `json:"event_id"`
		} `json:"detail"`
	}
	for name, h := range map[string]any{
		"NoArguments": func() (string, error) { return "done", nil },
		"Typed":       func(i in) (string, error) { return i.Detail.ID, nil },
		"WithContext": func(_ context.Context, i in) (map[string]any, error) { return map[string]any{"id": i.Detail.ID}, nil },
		"EventBridge": func(_ context.Context, e events.EventBridgeEvent) (string, error) { return e.DetailType, nil },
		"Error":       func() error { return failed },
		"AHandler":    lambda.NewHandler(func() (int, error) { return 7, nil }),
		"NotAHandler": "nonsense",
		"PartialBatch": func() (any, error) {
			return map[string]any{"batchItemFailures": []any{map[string]string{"itemIdentifier": "m"}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			payload := envelope("env-1", "signal-1")
			want, wantErr := lambda.NewHandler(h).Invoke(invocationContext(t, "r-1"), payload)
			got, err := newBench(h).invoke(t, "r-1", payload)
			if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) || errors.Is(wantErr, failed) != errors.Is(err, failed) {
				t.Errorf("got %s, %v; without us %s, %v", got, err, want, wantErr)
			}
		})
	}
}

func TestPanicsPassThrough(t *testing.T) {
	b := newBench(func() error { panic("boom") })
	defer func() {
		if reason := recover(); reason != "boom" {
			t.Errorf("recovered %v", reason)
		}
		if s := b.last(); s.Status.Code != codes.Error {
			t.Errorf("the span's status is %v", s.Status)
		}
	}()
	_, _ = b.invoke(t, "r-1", envelope("env-1", "signal-1"))
	t.Error("the panic is gone")
}

func TestProcessSpan(t *testing.T) {
	var handled *tracing.Delivery
	b := newBench(func(ctx context.Context, _ json.RawMessage) error {
		handled = tracing.DeliveryFromContext(ctx)
		return nil
	})
	for i, cold := range []string{"true", "false"} {
		if _, err := b.invoke(t, fmt.Sprint("r-", i), envelope(fmt.Sprint("env-", i), fmt.Sprint("signal-", i))); err != nil {
			t.Fatal(err)
		}
		s := b.last()
		for key, want := range map[string]string{
			"throughline.correlation.id": "workflow-1", "throughline.event.id": fmt.Sprint("signal-", i), "throughline.hops": "1",
			"faas.coldstart": cold, "faas.invocation_id": fmt.Sprint("r-", i), "messaging.system": "aws.eventbridge",
		} {
			if got := attributeOf(s, key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
		if s.Name != "process SignalGenerated" || linksOf(s, "causation") != 1 || s.Links[0].SpanContext.SpanID().String() != "b7ad6b7169203331" || s.Parent.IsValid() {
			t.Errorf("span %s with links %v", s.Name, s.Links)
		}
	}
	if handled == nil || handled.Events[0].ID != "signal-1" {
		t.Errorf("the handler saw %+v", handled)
	}
}

func TestRepeatsAreFlagged(t *testing.T) {
	b := newBench(nothing)
	for _, step := range []struct {
		request   string
		payload   []byte
		kind      string
		duplicate bool
	}{
		{"r-1", envelope("env-1", "signal-1"), "", false},
		{"r-1", envelope("env-1", "signal-1"), "retry", false},
		{"r-2", envelope("env-1", "signal-1"), "redelivery", true},
		{"r-3", envelope("env-2", "signal-1"), "republish", true},
		{"r-4", bytes.Replace(envelope("env-1", "signal-1"), []byte(`"region"`), []byte(`"replay-name":"monday","region"`), 1), "replay", true},
	} {
		b.out.Reset()
		if _, err := b.invoke(t, step.request, step.payload); err != nil {
			t.Fatal(err)
		}
		s := b.last()
		if got := attributeOf(s, "throughline.repeat.kind"); got != step.kind {
			t.Errorf("kind %q, want %q", got, step.kind)
		}
		if (linksOf(s, "repeat") == 1) != (step.kind != "") {
			t.Errorf("%s: links %v", step.kind, s.Links)
		}
		line := strings.Contains(b.out.String(), `"throughline":"repeat","message":"already processed"`)
		if line != (step.kind != "") || strings.Contains(b.out.String(), "DuplicateEvents_"+step.kind) != step.duplicate {
			t.Errorf("%s: wrote %s", step.kind, b.out.String())
		}
	}
}

func TestOutOfOrderAndLoop(t *testing.T) {
	b := newBench(nothing)
	child := envelope("env-2", "child-1", "parent:signal-1")
	for _, payload := range [][]byte{child, envelope("env-1", "signal-1")} {
		if _, err := b.invoke(t, "r", payload); err != nil {
			t.Fatal(err)
		}
	}
	if attributeOf(b.last(), "throughline.order.early_ms") == "" || !strings.Contains(b.out.String(), `"throughline":"out-of-order"`) {
		t.Errorf("not flagged: %s", b.out.String())
	}
	far := bytes.Replace(envelope("env-3", "far-1"), []byte("hops:1"), []byte("hops:99"), 1)
	if _, err := b.invoke(t, "r-3", far); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.out.String(), `"throughline":"loop"`) {
		t.Errorf("the loop is not flagged: %s", b.out.String())
	}
}

// TestLoopWithoutDedupe: the hop limit needs no memory.
func TestLoopWithoutDedupe(t *testing.T) {
	b := newBench(func() {}, WithDedupe(nil))
	if _, err := b.invoke(t, "r-1", bytes.Replace(envelope("env-1", "signal-1"), []byte("hops:1"), []byte("hops:17"), 1)); err != nil {
		t.Fatal(err)
	}
	if out := b.out.String(); !strings.Contains(out, `"throughline":"loop"`) || strings.Contains(out, `"throughline":"repeat"`) {
		t.Errorf("wrote %s", out)
	}
}

// gone is a store that nobody reaches.
type gone struct{ dedupe.Store }

func (gone) Claim(context.Context, string, dedupe.Record, time.Time) (dedupe.Record, bool, error) {
	return dedupe.Record{}, false, errors.New("connection refused")
}

// TestUnknownIsCounted: of an event that memory does not know and the store does
// not tell, that is said, and nothing else.
func TestUnknownIsCounted(t *testing.T) {
	for name, more := range map[string][]Option{"Beside": nil, "Once": {WithSuppression()}} {
		b := newBench(func() (string, error) { return "done", nil }, append([]Option{WithDedupe(dedupe.New(dedupe.Config{Store: gone{}, Wait: time.Minute}))}, more...)...)
		if out, err := b.invoke(t, "r-1", envelope("env-1", "signal-1")); err != nil || string(out) != `"done"` {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		if kind := attributeOf(b.last(), lineage.AttrRepeatKind); kind != "unknown" {
			t.Errorf("%s: the span says %q", name, kind)
		}
		if out := b.out.String(); !strings.Contains(out, `"DuplicateEvents":0`) || !strings.Contains(out, `"DuplicateEvents_unknown":1`) || strings.Contains(out, `"throughline":"repeat"`) {
			t.Errorf("%s: wrote %s", name, out)
		}
	}
}

func TestABatchKeepsEveryLink(t *testing.T) {
	b := newBench(func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "m-3"}}}, nil
	})
	var batch events.SQSEvent
	for i := range 100 {
		stamped := bytes.Replace(envelope(fmt.Sprint("env-", i), fmt.Sprint("signal-", i)), []byte("b7ad6b7169203331"), fmt.Appendf(nil, "%016x", i+1), 1)
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: fmt.Sprint("m-", i), Body: string(stamped), EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:123456789012:plans",
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	payload, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.invoke(t, "r-1", payload)
	if err != nil || string(answer) != `{"batchItemFailures":[{"itemIdentifier":"m-3"}]}` {
		t.Errorf("answer %s, %v", answer, err)
	}
	if n := linksOf(b.last(), "causation"); n != 100 {
		t.Errorf("%d causation links", n)
	}
	if !strings.Contains(b.out.String(), `"SoftErrors":1`) {
		t.Errorf("the failed item is not counted: %s", b.out.String())
	}
	if s := b.last(); s.Status.Description != "1 of 100 records returned in batchItemFailures" || attributeOf(s, lineage.AttrFailedIDs) != `["m-3"]` {
		t.Errorf("the span says %v, %s", s.Status, attributeOf(s, lineage.AttrFailedIDs))
	}
}

func TestFlushIsBoundedAndItsFaultsStayHere(t *testing.T) {
	for name, flush := range map[string]func(context.Context) error{
		"Hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"Fails":  func(context.Context) error { return errors.New("backend is down") },
		"Panics": func(context.Context) error { panic("exporter") },
	} {
		t.Run(name, func(t *testing.T) {
			var bound time.Duration
			b := newBench(func() (string, error) { return "done", nil }, WithFlush(func(ctx context.Context) error {
				deadline, ok := ctx.Deadline()
				if !ok {
					t.Error("a flush without a deadline")
				}
				bound = time.Until(deadline)
				return flush(ctx)
			}))
			answer, err := b.invoke(t, "r-1", envelope("env-1", "signal-1"))
			if string(answer) != `"done"` || err != nil || bound > flushBudget {
				t.Errorf("answer %s, %v, bound %v", answer, err, bound)
			}
		})
	}
}

// brokenProvider is a tracer provider that panics.
type brokenProvider struct{ trace.TracerProvider }

func TestATracerThatPanicsStaysHere(t *testing.T) {
	b := newBench(func() (string, error) { return "done", nil }, WithTracing(tracing.Config{TracerProvider: brokenProvider{}}))
	answer, err := b.invoke(t, "r-1", envelope("env-1", "signal-1"))
	if string(answer) != `"done"` || err != nil {
		t.Errorf("answer %s, %v", answer, err)
	}
}

func TestTheExtensionCountsTheFunction(t *testing.T) {
	for attached, want := range map[bool]bool{true: false, false: true} {
		b := newBench(nothing, WithExtension(attached))
		if _, err := b.invoke(t, "r-1", envelope("env-1", "signal-1")); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.out.String(), `"ColdStart":1`) && strings.Contains(b.out.String(), `"Duration":`); got != want {
			t.Errorf("attached %v: wrote %s", attached, b.out.String())
		}
		if parent := b.last().Parent.IsValid(); parent != attached {
			t.Errorf("attached %v: the span has a parent: %v", attached, parent)
		}
	}
}

func TestManyInvocationsAtOnce(t *testing.T) {
	b := newBench(func(ctx context.Context, e events.EventBridgeEvent) (string, error) {
		d := tracing.DeliveryFromContext(ctx)
		if d.Events[0].EnvelopeID != e.ID {
			return "", fmt.Errorf("handling %s, and the context says %s", e.ID, d.Events[0].EnvelopeID)
		}
		return e.ID, nil
	}, WithMetrics(nil, nil))
	var wg sync.WaitGroup
	for i := range 64 {
		ctx := invocationContext(t, fmt.Sprint("r-", i))
		wg.Go(func() {
			id := fmt.Sprint("env-", i)
			if answer, err := b.handler.Invoke(ctx, envelope(id, fmt.Sprint("signal-", i))); err != nil || string(answer) != `"`+id+`"` {
				t.Errorf("answer %s, %v", answer, err)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, s := range b.spans.GetSpans() {
		ids[attributeOf(s, "throughline.event.id")] = true
	}
	if len(ids) != 64 {
		t.Errorf("%d events on spans", len(ids))
	}
}

func FuzzPayload(f *testing.F) {
	f.Add(envelope("env-1", "signal-1"))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:sqs","body":"{"}]}`))
	f.Add([]byte(`not json`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		h := func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }
		want, wantErr := lambda.NewHandler(h).Invoke(invocationContext(t, "r-1"), payload)
		got, err := newBench(h).invoke(t, "r-1", payload)
		if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("got %s, %v; without us %s, %v", got, err, want, wantErr)
		}
	})
}
