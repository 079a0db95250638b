package publisher

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// TestTheSDKsAttemptsAreVisibleAndCounted: what the SDK's own retryer sends
// again stands on our span, and what was throttled is counted each time.
func TestTheSDKsAttemptsAreVisibleAndCounted(t *testing.T) {
	for _, tt := range []struct {
		name     string
		codes    []string // of the first requests
		events   string
		counted  string // throttled, failed, published
		succeeds bool
	}{
		{"AtOnce", nil, "[]", "[0 0 2]", true},
		{"AtTheThird", []string{"ThrottlingException", "RequestTimeout"}, "[ThrottlingException RequestTimeout]", "[2 0 2]", true},
		{"Never", []string{"ThrottlingException", "ThrottlingException", "ThrottlingException"}, "[ThrottlingException ThrottlingException ThrottlingException]", "[6 2 0]", false},
		{"Final", []string{"AccessDeniedException"}, "[AccessDeniedException]", "[0 2 0]", false},
	} {
		for _, form := range []string{"Decorator", "Middleware", "Both"} {
			t.Run(tt.name+form, func(t *testing.T) {
				s := newServer(t)
				s.fault = func(n int) string {
					if n > len(tt.codes) {
						return ""
					}
					return tt.codes[n-1]
				}
				exporter := tracetest.NewInMemoryExporter()
				set := metrics.New(metrics.Config{Profile: metrics.Full})
				ours := []Option{WithMetrics(set), WithTracing(tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))})}
				cfg := config(s.URL)
				cfg.RetryMaxAttempts = 0
				cfg.Retryer = func() aws.Retryer {
					return retry.NewStandard(func(o *retry.StandardOptions) {
						o.MaxAttempts = 3
						o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
					})
				}
				if form != "Decorator" {
					cfg.APIOptions = append(cfg.APIOptions, Middleware(ours...))
				}
				var api API = eventbridge.NewFromConfig(cfg)
				if form != "Middleware" {
					api = New(api, ours...)
				}
				output, err := api.PutEvents(t.Context(), entries("A", "B"))
				if (err == nil) != tt.succeeds || tt.succeeds && outcomeCount(output) != 2 {
					t.Fatalf("output %+v, %v", output, err)
				}
				failed := []string{}
				for _, span := range exporter.GetSpans() {
					for _, e := range span.Events {
						if span.Name != "send trading" || e.Name != "request failed" {
							t.Errorf("%s on %s", e.Name, span.Name)
						}
						failed = append(failed, e.Attributes[0].Value.AsString())
					}
				}
				if got := fmt.Sprint(failed); got != tt.events {
					t.Errorf("attempts %s, want %s", got, tt.events)
				}
				if got := sums(t, set, "EventsThrottled", "EventsFailed", "EventsPublished"); got != tt.counted {
					t.Errorf("counted %s, want %s", got, tt.counted)
				}
				for _, h := range s.headers {
					if h.Get(stampedHeader) != "1" || len(h.Values(stampedHeader)) != 1 {
						t.Errorf("headers %v", h)
					}
				}
			})
		}
	}
}

func outcomeCount(output *eventbridge.PutEventsOutput) int {
	if output == nil {
		return 0
	}
	return len(output.Entries) - int(output.FailedEntryCount)
}
