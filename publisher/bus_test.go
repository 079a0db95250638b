package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// customBus stands in for a bus of another API: it is named once a request, takes
// up to 100 entries, and has no resources.
type customBus struct {
	requests [][]map[string]any
	seen     map[string]bool
}

func (b *customBus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		EventBusArn string
		Entries     []map[string]any
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &request); err != nil || request.EventBusArn == "" || len(request.Entries) < 1 || len(request.Entries) > 100 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ValidationException","message":"1 validation error detected"}`)
		return
	}
	b.requests = append(b.requests, request.Entries)
	var results []map[string]string
	failed := 0
	for i, e := range request.Entries {
		kind, _ := e["DetailType"].(string)
		key, _ := e["Detail"].(string)
		key, _, _ = strings.Cut(key, "_throughline")
		switch {
		case kind == "Bad":
			failed++
			results = append(results, map[string]string{"ErrorCode": "InvalidArgument", "ErrorMessage": "on purpose"})
		case b.seen[key]:
			results = append(results, map[string]string{"EventId": "first", "SuccessCode": "DEDUPLICATED"})
		default:
			b.seen[key] = true
			results = append(results, map[string]string{"EventId": fmt.Sprint(len(b.requests), "-", i), "SuccessCode": "PUBLISHED"})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": failed, "Entries": results})
}

// customBusClient is the adapter that an SDK for it would need.
type customBusClient struct{ url, arn string }

func (customBusClient) Limits() Limits             { return Limits{Entries: 100, Bytes: 1_000_000} }
func (customBusClient) Carrier() tracing.StampMode { return tracing.StampDetail }

func (c customBusClient) Put(ctx context.Context, entries []lineage.Entry) ([]Result, error) {
	var sent []map[string]any
	for _, e := range entries {
		sent = append(sent, map[string]any{"Source": e.Source, "DetailType": e.DetailType, "Detail": e.Detail})
	}
	body, err := json.Marshal(map[string]any{"EventBusArn": c.arn, "Entries": sent})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	var answer struct {
		Entries []struct{ EventID, SuccessCode, ErrorCode, ErrorMessage string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	results := make([]Result, len(answer.Entries))
	for i, e := range answer.Entries {
		results[i] = Result{EventID: e.EventID, SuccessCode: e.SuccessCode, ErrorCode: e.ErrorCode, ErrorMessage: e.ErrorMessage}
	}
	return results, nil
}

func TestABusOfAnotherAPI(t *testing.T) {
	bus := &customBus{seen: map[string]bool{}}
	server := httptest.NewServer(bus)
	t.Cleanup(server.Close)
	exporter := tracetest.NewInMemoryExporter()
	set := metrics.New(metrics.Config{})
	b := NewBus(customBusClient{server.URL, "arn:aws:events:us-east-1:123456789012:event-busv2/trading/0123456789abcdefghijklmno"}, WithMetrics(set),
		WithTracing(tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))}))
	var entries []lineage.Entry
	for i := range 230 {
		entries = append(entries, lineage.Entry{Source: "s", DetailType: "T", Detail: fmt.Sprintf(`{"n":%d}`, i%229)})
	}
	entries[150].DetailType = "Bad"
	results, err := b.Publish(t.Context(), entries)
	if err != nil || len(results) != 230 || len(bus.requests) != 3 || len(bus.requests[0]) != 100 || len(bus.requests[2]) != 30 {
		t.Fatalf("%d results, %v, %d requests", len(results), err, len(bus.requests))
	}
	if results[150].ErrorCode != "InvalidArgument" || results[228].SuccessCode != "PUBLISHED" || results[229].SuccessCode != "DEDUPLICATED" || results[229].ErrorCode != "" {
		t.Errorf("results %+v %+v %+v", results[150], results[228], results[229])
	}
	if got := sums(t, set, "EventsPublished", "EventsDeduplicated", "EventsFailed"); got != "[228 1 1]" {
		t.Errorf("counted %s", got)
	}
	first, _ := bus.requests[0][0]["Detail"].(string)
	if !strings.HasPrefix(first, `{"n":0,"_throughline":{"correlation":"`) || !strings.Contains(first, `"traceparent":"00-`) {
		t.Errorf("on the wire %s", first)
	}
	failed := 0
	for _, span := range exporter.GetSpans() {
		if span.Status.Code == codes.Error {
			failed++
		}
	}
	if failed != 2 { // the entry and its request
		t.Errorf("%d spans in error", failed)
	}
	server.Close()
	if results, err := b.Publish(t.Context(), entries[:1]); err == nil || results[0].ErrorCode != "RequestFailed" {
		t.Errorf("without the service: %v, %v", results, err)
	}
	if results, err := b.Publish(t.Context(), nil); err != nil || results != nil {
		t.Errorf("of nothing: %v, %v", results, err)
	}
}
