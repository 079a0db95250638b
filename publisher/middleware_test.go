package publisher

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

func config(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, Credentials: peertest.Credentials("AKIALOCAL", "local", "")}
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
	if got := sums(t, set, "EventsPublished"); got != "[2]" || len(s.entries()[0].Resources) != 4 {
		t.Errorf("counted %s, lines %v", got, s.entries()[0].Resources)
	}
}
