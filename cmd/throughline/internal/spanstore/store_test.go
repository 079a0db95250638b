package spanstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// events is the size of the workflow that each backend must give back right.
var events = func() int {
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		return 2000
	}
	return 400
}()

// generated is that workflow, an hour old, beside a smaller and later one.
func generated() (spans []workflow.Span, truth workflowtest.Truth) {
	spans, truth = workflowtest.Workflow(events, time.Now().Add(-time.Hour))
	others, _ := workflowtest.Workflow(3, time.Now().Add(-time.Minute))
	return append(spans, others...), truth
}

const lastWorkflow = "workflow-3-events"

func lastHours(n int) Window {
	return Window{time.Now().Add(-time.Duration(n) * time.Hour), time.Now().Add(time.Minute)}
}

// checkStore holds a store that has generated spans to their truth, and to its
// answers by event and by time.
func checkStore(t *testing.T, store Store, truth workflowtest.Truth, keepsFlags bool) {
	t.Helper()
	spans, err := store.Spans(t.Context(), truth.CorrelationID)
	if err != nil {
		t.Fatal(err)
	}
	w := workflow.Build(spans, truth.CorrelationID)
	if wrong := truth.Check(w, keepsFlags); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
	one := fmt.Sprintf("event-%04d", events*3/4)
	if id, err := store.CorrelationOf(t.Context(), one); err != nil || id != truth.CorrelationID {
		t.Errorf("%s is of %q, %v", one, id, err)
	}
	for _, tt := range []struct {
		prefix string
		events bool
		want   []string
	}{
		{truth.CorrelationID[:len(truth.CorrelationID)-3], false, []string{truth.CorrelationID}},
		{"workflow-none", false, nil},
		{one[:len(one)-1], true, tens(one[:len(one)-1], truth)},
	} {
		if got, err := store.Complete(t.Context(), tt.prefix, tt.events); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s begins %v, %v, want %v", tt.prefix, got, err, tt.want)
		}
	}
	if spans, err := store.Spans(t.Context(), "workflow-unknown"); err != nil || len(workflow.Build(spans, "workflow-unknown").Nodes) != 0 {
		t.Errorf("an unknown workflow has spans, or gives %v", err)
	}
}

// tens are the events whose IDs have one more digit.
func tens(prefix string, truth workflowtest.Truth) (ids []string) {
	for n := range 10 {
		if id := prefix + strconv.Itoa(n); truth.Handlings[id] > 0 || truth.Gaps[id] != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func checkWorkflows(t *testing.T, store Store, truth workflowtest.Truth) {
	t.Helper()
	last, err := store.Workflows(t.Context(), true)
	if err != nil || len(last) == 0 || last[0].CorrelationID != lastWorkflow {
		t.Errorf("the last is %v, %v", last, err)
	}
	all, err := store.Workflows(t.Context(), false)
	if err != nil || len(all) != 2 || all[1].CorrelationID != truth.CorrelationID || all[1].End.Sub(all[1].Start) < 10*time.Second {
		t.Errorf("there are %v, %v", all, err)
	}
}

func TestFile(t *testing.T) {
	spans, truth := generated()
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(path, bytes.Join(spanstoretest.OTLPLines(t, spans), []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	store := File{Path: path}
	checkStore(t, store, truth, true)
	checkWorkflows(t, store, truth)
	for name, text := range fileForms(t, spans) {
		t.Run(name, func(t *testing.T) {
			var said told
			store := File{Path: filepath.Join(t.TempDir(), "spans"), Tell: said.tell()}
			if err := os.WriteFile(store.Path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			checkStore(t, store, truth, name != "AWSSpans")
			checkWorkflows(t, store, truth)
			if left := slices.Contains(said.lines, "skipped in %s: %s"); left != (name == "Mixed") {
				t.Errorf("it says %v", said.lines)
			}
		})
	}
	if _, err := (File{Path: path + "-not"}).Spans(t.Context(), "x"); err == nil || err.Error() != "there is no file "+path+"-not: name another with --file" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Spans(ctx, "x"); err == nil {
		t.Error("an ended context does not end the reading")
	}
}

// fileForms are files of the spans as people have them.
func fileForms(t *testing.T, spans []workflow.Span) map[string][]byte {
	lines := spanstoretest.OTLPLines(t, spans)
	var zipped, mixed, export bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for _, line := range lines {
		_, _ = z.Write(append(line, "\r\n"...))
		mixed.Write(append(line, "\nSTART RequestId: 1\n{\"resourceMetrics\":[]}\n"...))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	mixed.WriteString(`{"resourceSpans":[{"resource":{"attr`)
	events := []spanstoretest.Object{}
	for _, s := range spans {
		events = append(events, spanstoretest.Object{"timestamp": s.Start.UnixMilli(), "message": spanstoretest.SpanRecord(t, s)})
	}
	if err := json.Indent(&export, spanstoretest.Encode(t, spanstoretest.Object{"events": events}), "", "  "); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"Gzip": zipped.Bytes(), "Mixed": mixed.Bytes(), "AWSSpans": export.Bytes()}
}

// jaegerServer speaks Jaeger's query API: a search gives the latest traces of a
// service in a window, up to a limit.
func jaegerServer(t *testing.T, spans []workflow.Span) *httptest.Server {
	traces := spanstoretest.JaegerTraces(spans)
	type indexed struct {
		start    int64
		services []string
		tags     []string
		trace    json.RawMessage
	}
	var index []indexed
	for _, trace := range traces {
		x := indexed{trace: spanstoretest.Encode(t, trace)}
		for _, s := range trace["spans"].([]spanstoretest.Object) {
			x.start = max(x.start, s["startTime"].(int64))
			x.services = append(x.services, trace["processes"].(spanstoretest.Object)[s["processID"].(string)].(spanstoretest.Object)["serviceName"].(string))
			for _, tag := range s["tags"].([]spanstoretest.Object) {
				if text, ok := tag["value"].(string); ok {
					x.tags = append(x.tags, tag["key"].(string)+"="+text)
				}
			}
		}
		index = append(index, x)
	}
	slices.SortFunc(index, func(a, b indexed) int { return int(b.start - a.start) })
	mux := http.NewServeMux()
	mux.HandleFunc("/api/services", func(w http.ResponseWriter, _ *http.Request) {
		names := map[string]bool{}
		for i := range spans {
			names[spans[i].Service] = true
		}
		list := []string{}
		for name := range names {
			list = append(list, name)
		}
		_, _ = w.Write(spanstoretest.Encode(t, spanstoretest.Object{"data": list}))
	})
	mux.HandleFunc("/api/traces", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		number := func(name string) int64 { n, _ := strconv.ParseInt(q.Get(name), 10, 64); return n }
		tags := map[string]string{}
		_ = json.Unmarshal([]byte(q.Get("tags")), &tags)
		found := []json.RawMessage{}
		for _, x := range index {
			matches := slices.Contains(x.services, q.Get("service")) && x.start >= number("start") && x.start <= number("end")
			for k, v := range tags {
				matches = matches && slices.Contains(x.tags, k+"="+v)
			}
			if matches && len(found) < int(number("limit")) {
				found = append(found, x.trace)
			}
		}
		_, _ = w.Write(spanstoretest.Encode(t, spanstoretest.Object{"data": found}))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestJaeger(t *testing.T) {
	spans, truth := generated()
	server := jaegerServer(t, spans)
	store := Jaeger{URL: server.URL + "/", Client: server.Client(), Window: lastHours(24), Limit: 100}
	checkStore(t, store, truth, false)
	checkWorkflows(t, store, truth)
	store.Client = &http.Client{Transport: answering(http.StatusBadGateway, "")}
	if _, err := store.Spans(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v", err)
	}
}

// TestRealJaeger sends the workflow to a Jaeger, and reads it back.
func TestRealJaeger(t *testing.T) {
	collectorURL, queryURL := peertest.Jaeger(t)
	spans, truth := generated()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for _, line := range spanstoretest.OTLPLines(t, spans) {
		resp, err := client.Post(collectorURL+"/v1/traces", "application/json", bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("Jaeger answers %s", resp.Status)
		}
	}
	store := Jaeger{URL: queryURL, Client: client, Window: lastHours(24)}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if all, err := store.All(t.Context()); err == nil && len(all) == len(spans) {
			break
		}
	}
	checkStore(t, store, truth, false)
	checkWorkflows(t, store, truth)
}

// answering is a transport whose every answer is this.
func answering(status int, body string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.WriteHeader(status)
		_, _ = w.WriteString(body)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestJaegerInfersWhy gives links in Jaeger's form, and holds the reasons found.
func TestJaegerInfersWhy(t *testing.T) {
	to := func(trace string) workflow.Link {
		return workflow.Link{To: workflow.ID{Trace: trace, Span: "s"}, Attributes: map[string]any{}}
	}
	attrs := func(id string) map[string]any {
		return map[string]any{lineage.AttrEventID: id, lineage.AttrEventType: "A"}
	}
	spans := []workflow.Span{
		{ID: workflow.ID{Trace: "first", Span: "s"}, Kind: "PRODUCER", Attributes: attrs("a")},
		{ID: workflow.ID{Trace: "handled", Span: "s"}, Kind: "CONSUMER", Attributes: attrs("a"), Links: []workflow.Link{to("first"), to("first")}},
		{ID: workflow.ID{Trace: "again", Span: "s"}, Kind: "CONSUMER", Attributes: attrs("a"), Links: []workflow.Link{to("first"), to("first"), to("handled")}},
		{ID: workflow.ID{Trace: "second", Span: "s"}, Kind: "PRODUCER", Attributes: attrs("b"), Links: []workflow.Link{to("first"), to("first")}},
		{ID: workflow.ID{Trace: "unseen", Span: "s"}, Kind: "CONSUMER", Attributes: attrs("c"), Links: []workflow.Link{to("lost"), to("first")}},
		{ID: workflow.ID{Trace: "lambda", Span: "s"}, Kind: "CONSUMER", Attributes: map[string]any{}, Links: []workflow.Link{to("lost")}},
		{
			ID: workflow.ID{Trace: "batch", Span: "s"}, Kind: "CONSUMER", Attributes: map[string]any{lineage.AttrEventType: "A", "messaging.batch.message_count": int64(2)},
			Links: []workflow.Link{to("second"), to("lost"), to("first")},
		},
	}
	inferLinks(spans)
	want := map[string]string{
		"handled": "causation correlation", "again": "causation correlation repeat", "second": "causation correlation", "unseen": "causation correlation",
		"lambda": "trace", "batch": "causation causation correlation",
	}
	for _, s := range spans[1:] {
		var why []string
		for _, l := range s.Links {
			why = append(why, l.Why)
		}
		if got := strings.Join(why, " "); got != want[s.ID.Trace] {
			t.Errorf("%s: links are %s, want %s", s.ID.Trace, got, want[s.ID.Trace])
		}
	}
}

func TestQueriesHoldNoProgram(t *testing.T) {
	for _, id := range []string{`a" or "1" = "1`, `a\`, "a\nb"} {
		for _, store := range []Store{XRay{Window: lastHours(1)}, TransactionSearch{Window: lastHours(1)}} {
			if _, err := store.Spans(t.Context(), id); err == nil {
				t.Errorf("%T asks for %q", store, id)
			}
			if _, err := store.CorrelationOf(t.Context(), id); err == nil {
				t.Errorf("%T asks for the event %q", store, id)
			}
		}
	}
}

// told collects what a store says.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) tell() Tell {
	add := func(format string, _ ...any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, format)
	}
	return Tell{Progress: add, Note: add}
}

// A span that cannot be read is said to be left out also where it is the only one of
// its trace, and one without times is a workflow's all the same.
func TestFileSaysWhatItLeavesOut(t *testing.T) {
	span := func(trace, start string) string {
		return `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"` + strings.Repeat(trace, 32) + `","spanId":"` + strings.Repeat(trace, 16) + `","name":"send A","kind":4` + start +
			`,"attributes":[{"key":"throughline.correlation.id","value":{"stringValue":"w1"}}]}]}]}]}` + "\n"
	}
	var notes []string
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(span("a", "") + span("b", `,"startTimeUnixNano":"1797784800040000000000"`) + span("c", `,"startTimeUnixNano":"1797784800040000","endTimeUnixNano":"1797784800050000"`))), nil
	}
	f := File{Path: "spans.jsonl", Open: open, Tell: Tell{Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }}}
	spans, err := f.Spans(t.Context(), "w1")
	if err != nil || len(spans) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "2 spans") {
		t.Errorf("%d spans, %q, %v", len(spans), notes, err)
	}
	if known, err := f.Workflows(t.Context(), false); err != nil || len(known) != 1 || known[0].CorrelationID != "w1" {
		t.Errorf("%+v, %v", known, err)
	}
}
