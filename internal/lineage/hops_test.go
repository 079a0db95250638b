package lineage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

func TestCarry(t *testing.T) {
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	span, _ := ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	unsampled := span.WithTraceFlags(0)
	ofToday, _ := ParseTraceparent(fmt.Sprintf("00-%08x77b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", now.Unix()))
	const (
		root    = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700"
		lambdas = root + ";Parent=9a9197af755a6300"
		ours    = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7"
	)
	for name, tt := range map[string]struct {
		present, invocations string
		span                 trace.SpanContext
		toXRay               bool
		want                 string // empty: left alone
	}{
		"lineage is kept":          {lambdas + ";Lineage=25:3c8f1a2b:0", lambdas + ";Lineage=25:3c8f1a2b:0", span, false, ours + ";Lineage=25:3c8f1a2b:0"},
		"as boto3 writes it":       {lambdas + ";Lineage=2%7C3c8f1a2b:0%7Cab:1", lambdas + ";Lineage=2|3c8f1a2b:0|ab:1", span, false, ours + ";Lineage=2%7C3c8f1a2b:0%7Cab:1"},
		"not sampled":              {lambdas + ";Sampled=0;Lineage=a:0", lambdas + ";Sampled=0;Lineage=a:0", span, false, ours + ";Sampled=0;Lineage=a:0"},
		"undecided":                {lambdas + ";Sampled=?", lambdas + ";Sampled=?", span, false, ours + ";Sampled=?"},
		"no decision":              {lambdas, lambdas, span, false, ours},
		"passed through":           {root, root, span, false, ours},
		"more that X-Ray may add":  {lambdas + ";Self=1-x", lambdas + ";Self=1-x", span, false, ours + ";Self=1-x"},
		"none is sent":             {"", lambdas + ";Sampled=0", span, false, ours + ";Sampled=0"},
		"none there is":            {"", "", span, false, ours},
		"X-Ray records":            {lambdas + ";Sampled=1", lambdas + ";Sampled=1", span, false, ""},
		"X-Ray records ours":       {lambdas + ";Sampled=1", lambdas + ";Sampled=1", ofToday, true, fmt.Sprintf("Root=1-%08x-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1", now.Unix())},
		"another tracer's":         {ours + ";Sampled=1", lambdas + ";Sampled=0", span, false, ""},
		"another tracer's outside": {lambdas, "", span, false, ""},
		"malformed":                {"Root=2-x", "Root=2-x", span, false, ""},
		"unprintable":              {lambdas + ";Lineage=a\nb", lambdas + ";Lineage=a\nb", span, false, ""},
		"over the limit":           {lambdas + ";Lineage=" + strings.Repeat("a", MaxTraceHeader), lambdas + ";Lineage=" + strings.Repeat("a", MaxTraceHeader), span, false, ""},
		"a span that is not kept":  {lambdas, lambdas, unsampled, false, ""},
		"no span":                  {lambdas, lambdas, trace.SpanContext{}, false, ""},
		"a root like X-Ray's":      {lambdas, lambdas, ofToday, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Carry(tt.present, tt.invocations, tt.span, tt.toXRay, now)
			if ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("%q %t, want %q", got, ok, tt.want)
			}
		})
	}
}

// Whatever it is made of, a header that is carried is well formed and names the span.
func FuzzCarry(f *testing.F) {
	span, _ := ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300;Sampled=0;Lineage=a:0")
	f.Add("Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;root=x;;=;Parent")
	f.Fuzz(func(t *testing.T, present string) {
		header, ok := Carry(present, present, span, false, time.Unix(0, 0))
		if !ok {
			return
		}
		got, well := ParseTraceHeader(header)
		was, _ := ParseTraceHeader(present)
		if !well || got.Context.TraceID() != span.TraceID() || got.Context.SpanID() != span.SpanID() || got.Sampled != was.Sampled || got.Lineage != was.Lineage || len(header) > MaxTraceHeader {
			t.Errorf("%q became %q", present, header)
		}
	})
}

func TestWithCurrent(t *testing.T) {
	event := func(id, correlation string) Event {
		return Event{ID: id, Lineage: Lineage{CorrelationID: correlation}}
	}
	request := &Delivery{}
	request.Identify("r-1")
	for name, tt := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"nothing":           {t.Context(), ""},
		"an event":          {ContextWithDelivery(t.Context(), &Delivery{Events: []Event{event("e-1", "w")}}), "w w e-1 e-1"},
		"given":             {ContextWithIDs(ContextWithDelivery(t.Context(), &Delivery{Events: []Event{event("e-1", "w")}}), "x", "y"), "x x y e-1"},
		"one workflow":      {ContextWithDelivery(t.Context(), &Delivery{Events: []Event{event("e-1", "w"), event("e-2", "w")}}), "w w"},
		"several workflows": {ContextWithDelivery(t.Context(), &Delivery{Events: []Event{event("e-1", "w"), event("e-2", "v")}}), ""},
		"no event":          {ContextWithDelivery(t.Context(), request), "r-1 r-1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range WithCurrent(tt.ctx, nil) {
				if a.Key != keyAnnotations {
					got = append(got, a.Value.AsString())
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
