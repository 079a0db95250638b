package lineage

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestSetHeaders(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=value")
	if err != nil {
		t.Fatal(err)
	}
	sc := mustParse(t, sampledContext).WithTraceState(state)
	ctx := ContextWithDelivery(trace.ContextWithSpanContext(t.Context(), sc), handledEvent())
	get := func(ctx context.Context, given http.Header) string {
		SetHeaders(ctx, trace.SpanContextFromContext(ctx), given)
		return strings.Join([]string{given.Get("traceparent"), given.Get("tracestate"), given.Get("X-Correlation-ID"), given.Get("X-Causation-ID")}, " ")
	}
	if got := get(ctx, http.Header{}); got != sampledContext+" vendor=value workflow-1 trade-1" {
		t.Error(got)
	}
	if got := get(ContextWithIDs(ctx, "c", "x"), http.Header{}); got != sampledContext+" vendor=value c x" {
		t.Error(got)
	}
	mine := http.Header{"Traceparent": {"t"}, "X-Correlation-Id": {"mine"}, "X-Causation-Id": {"mine"}}
	if got := get(ctx, mine); got != "t  mine mine" {
		t.Error(got)
	}
	if got := get(ContextWithIDs(t.Context(), "a\r\nInjected: b", strings.Repeat("x", 257)), http.Header{}); got != "   " {
		t.Error(got)
	}
	batch := handledEvent()
	batch.Events = append(batch.Events, batch.Events[0])
	if got := get(ContextWithDelivery(t.Context(), batch), http.Header{}); got != "  workflow-1 " {
		t.Error(got)
	}
}
