package workflow

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const correlation = "workflow-1"

var t0 = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

// publication and process make the spans that the decorator and the handler
// wrapper make, with the attributes of the design's §9.
func publication(trace, id, parent, service, eventType, eventID string, at time.Duration, links ...Link) Span {
	return Span{
		ID: ID{trace, id}, Parent: parent, Name: "send " + eventType, Kind: "PRODUCER", Service: service,
		Start: t0.Add(at), End: t0.Add(at + 3*time.Millisecond), Links: links,
		Attributes: map[string]any{
			"throughline.correlation.id": correlation, "throughline.event.id": eventID, "throughline.event.type": eventType,
			"throughline.entry.size": int64(2386),
		},
	}
}

func process(trace, id, service, eventType, eventID string, at time.Duration, links ...Link) Span {
	return Span{
		ID: ID{trace, id}, Name: "process " + eventType, Kind: "CONSUMER", Service: service,
		Start: t0.Add(at), End: t0.Add(at + 40*time.Millisecond), Links: links,
		Attributes: map[string]any{
			"throughline.correlation.id": correlation, "throughline.event.id": eventID, "throughline.event.type": eventType,
			"throughline.hops": int64(1), "throughline.lag_ms": 12.0, "faas.coldstart": true,
		},
	}
}

func causedBy(trace, span, eventID string, sampled bool) Link {
	return Link{To: ID{trace, span}, Why: "causation", Sampled: sampled, Attributes: map[string]any{"throughline.event.id": eventID}}
}

func text(t *testing.T, w *Workflow) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteText(&out, w); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBuildFollowsLinksAcrossTraces(t *testing.T) {
	spans := []Span{
		publication("aa", "a1", "a0", "strategy", "SignalGenerated", "signal-1", 0),
		process("bb", "b1", "portfolio", "SignalGenerated", "signal-1", 10*time.Millisecond, causedBy("aa", "a1", "signal-1", true)),
		publication("bb", "b2", "b1", "portfolio", "RebalancePlanned", "plan-1", 20*time.Millisecond, causedBy("aa", "a1", "signal-1", true)),
		process("cc", "c1", "execution", "RebalancePlanned", "plan-1", 30*time.Millisecond, causedBy("bb", "b2", "plan-1", true)),
		process("dd", "d1", "reports", "RebalancePlanned", "plan-1", 31*time.Millisecond, causedBy("bb", "b2", "plan-1", true)),
		{
			ID: ID{"cc", "c2"}, Parent: "c1", Name: "POST /v2/orders", Kind: "CLIENT", Service: "execution",
			Start: t0.Add(32 * time.Millisecond), End: t0.Add(35 * time.Millisecond),
			Attributes: map[string]any{
				"http.request.method": "POST", "http.response.status_code": int64(200), "throughline.correlation.id": correlation,
				"http.response.header.x-request-id": []any{"req-7"},
			},
		},
	}
	slices.Reverse(spans) // the order of arrival at a backend says nothing
	w := Build(spans, correlation)
	if len(w.Roots) != 1 || w.Events() != 2 || w.Spans != 6 {
		t.Fatalf("got %d roots, %d events, %d spans:\n%s", len(w.Roots), w.Events(), w.Spans, text(t, w))
	}
	plan := w.Roots[0].Handled[0].Published[0]
	if plan.ID != "plan-1" || len(plan.Handled) != 2 || plan.Handled[0].Span.Service != "execution" || len(plan.Handled[0].Outbound) != 1 {
		t.Errorf("wrong tree:\n%s", text(t, w))
	}
	for _, want := range []string{"workflow-1  2 events, 4 functions, 6 spans", "SignalGenerated  signal-1  from strategy  2.4 KB", "X-Request-ID req-7", "causation→b2", "lag 12 ms", "cold start"} {
		if !strings.Contains(text(t, w), want) {
			t.Errorf("no %q in:\n%s", want, text(t, w))
		}
	}
}

func TestBuildNamesGaps(t *testing.T) {
	w := Build([]Span{
		publication("aa", "a1", "", "strategy", "SignalGenerated", "signal-1", 0),
		process("bb", "b1", "portfolio", "X", "x-1", time.Millisecond, causedBy("99", "91", "x-1", true)),
		process("cc", "c1", "portfolio", "Y", "y-1", 2*time.Millisecond, causedBy("99", "92", "y-1", false)),
		process("dd", "d1", "portfolio", "Z", "z-1", 3*time.Millisecond),
	}, correlation)
	got := text(t, w)
	for _, want := range []string{"signal-1  from strategy  2.4 KB  [a1]  (no handling was reported)", "x-1  (publisher not seen)", "y-1  (publisher not sampled)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if len(w.Unlinked) != 1 || w.Unlinked[0].Span.ID.Span != "d1" {
		t.Errorf("the handling without a link is lost:\n%s", got)
	}
}

func TestBuildShowsABatchUnderEachOfItsEvents(t *testing.T) {
	w := Build([]Span{
		publication("aa", "a1", "", "strategy", "A", "a", 0),
		publication("aa", "a2", "", "strategy", "B", "b", time.Millisecond),
		process("bb", "b1", "portfolio", "A", "a", 2*time.Millisecond, causedBy("aa", "a1", "a", true), causedBy("aa", "a2", "b", true)),
		publication("bb", "b2", "b1", "portfolio", "C", "c", 3*time.Millisecond),
	}, correlation)
	if len(w.Roots) != 2 || len(w.Roots[0].Handled) != 1 || len(w.Roots[1].Handled) != 1 || w.Events() != 3 || w.Spans != 4 {
		t.Errorf("wrong tree:\n%s", text(t, w))
	}
}

func TestBuildEndsOnACycle(t *testing.T) {
	w := Build([]Span{
		publication("aa", "a1", "a2", "f", "A", "a", 0),
		process("aa", "a2", "f", "A", "a", 0, causedBy("aa", "a1", "a", true)),
	}, correlation)
	if w.Events() != 1 {
		t.Errorf("a cycle gives %d events:\n%s", w.Events(), text(t, w))
	}
}

func TestBuildLeavesOutOtherWorkflows(t *testing.T) {
	other := publication("ff", "f1", "", "strategy", "A", "other", 0)
	other.Attributes["throughline.correlation.id"] = "workflow-2"
	if w := Build([]Span{other}, correlation); w.Events() != 0 {
		t.Errorf("another workflow's event is in the tree:\n%s", text(t, w))
	}
}

func TestCorrelationsMostRecentFirst(t *testing.T) {
	a, b := publication("aa", "a1", "", "f", "A", "a", 0), publication("bb", "b1", "", "f", "A", "b", time.Second)
	b.Attributes["throughline.correlation.id"] = "workflow-2"
	if got := Correlations([]Span{a, b}); !slices.Equal(got, []string{"workflow-2", "workflow-1"}) {
		t.Errorf("got %v", got)
	}
}

const recorded = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"portfolio"}}]},"scopeSpans":[{"spans":[
{"traceId":"5b8aa5a2d2c872e8321cf37308d69df2","spanId":"051581bf3cb55c13","parentSpanId":"5fb397be34d26b51","name":"process SignalGenerated","kind":5,
"startTimeUnixNano":"1763930700000000000","endTimeUnixNano":1763930700040000000,"attributes":[{"key":"throughline.hops","value":{"intValue":"3"}},
{"key":"aws.xray.annotations","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}},{"key":"faas.coldstart","value":{"boolValue":true}},{"key":"throughline.lag_ms","value":{"doubleValue":1.5}}],
"links":[{"traceId":"aa","spanId":"bb","flags":257,"attributes":[{"key":"throughline.link","value":{"stringValue":"causation"}}]}],"status":{"code":2,"message":"boom"}}]}]}]}`

func TestReadJSON(t *testing.T) {
	spans, err := ReadJSON(strings.NewReader(strings.ReplaceAll(recorded, "\n", "") + "\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != 1 {
		t.Fatalf("got %d spans", len(spans))
	}
	s := spans[0]
	if s.Service != "portfolio" || s.Kind != "CONSUMER" || s.Text("throughline.hops") != "3" || s.Text("faas.coldstart") != "true" ||
		!s.Error || s.Message != "boom" || s.End.Sub(s.Start) != 40*time.Millisecond {
		t.Errorf("read %+v", s)
	}
	if len(s.Links) != 1 || s.Links[0].Why != "causation" || !s.Links[0].Sampled || s.Links[0].To != (ID{"aa", "bb"}) {
		t.Errorf("read links %+v", s.Links)
	}
}

func TestReadJSONNamesTheLine(t *testing.T) {
	_, err := ReadJSON(strings.NewReader("{\"resourceSpans\":[]}\n{half"))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

// TestJaegerKeepsTheTree plays Jaeger's query API: references without the
// attributes of links.
func TestJaegerKeepsTheTree(t *testing.T) {
	const traces = `{"data":[{"spans":[{"traceID":"aa","spanID":"a1","operationName":"send A","references":[],"startTime":1795466700000000,"duration":3000,"processID":"p1","tags":[
{"key":"span.kind","type":"string","value":"producer"},{"key":"throughline.correlation.id","type":"string","value":"workflow-1"},{"key":"throughline.event.id","type":"string","value":"a"},{"key":"throughline.event.type","type":"string","value":"A"},{"key":"throughline.entry.size","type":"int64","value":2386}]},
{"traceID":"bb","spanID":"b1","operationName":"process A","references":[{"refType":"FOLLOWS_FROM","traceID":"aa","spanID":"a1"},{"refType":"FOLLOWS_FROM","traceID":"aa","spanID":"a1"}],"startTime":1795466700010000,"duration":40000,"processID":"p2","tags":[
{"key":"span.kind","type":"string","value":"consumer"},{"key":"throughline.correlation.id","type":"string","value":"workflow-1"},{"key":"throughline.event.id","type":"string","value":"a"},{"key":"error","type":"bool","value":true},{"key":"otel.status_description","type":"string","value":"boom"}]},
{"traceID":"bb","spanID":"b2","operationName":"POST","references":[{"refType":"CHILD_OF","traceID":"bb","spanID":"b1"}],"startTime":1795466700020000,"duration":1000,"processID":"p2","tags":[
{"key":"span.kind","type":"string","value":"client"},{"key":"http.request.method","type":"string","value":"POST"},{"key":"http.response.header.x-request-id","type":"string","value":"[\"req-7\"]"}]}],
"processes":{"p1":{"serviceName":"strategy"},"p2":{"serviceName":"portfolio"}}}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/services" {
			_, _ = io.WriteString(w, `{"data":["strategy"]}`)
			return
		}
		if !strings.Contains(r.URL.Query().Get("tags"), "workflow-1") {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, traces)
	}))
	defer server.Close()
	spans, err := Jaeger{URL: server.URL, Client: server.Client()}.Spans(t.Context(), correlation)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, Build(spans, correlation))
	for _, want := range []string{"1 event, 2 functions, 3 spans", "A  a  from strategy  2.4 KB", "ERROR boom  [b1 causation→a1 correlation→a1]", "X-Request-ID req-7"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if strings.Count(got, "⇢") != 1 {
		t.Errorf("the handling stands more than once:\n%s", got)
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(recorded, "\n", "")))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":-1}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		spans, err := ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, id := range append(Correlations(spans), "") {
			if err := WriteText(&bytes.Buffer{}, Build(spans, id)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func ExampleBuild() {
	spans := []Span{
		publication("aa", "a1", "", "strategy", "SignalGenerated", "signal-1", 0),
		process("bb", "b1", "portfolio", "SignalGenerated", "signal-1", 10*time.Millisecond, causedBy("aa", "a1", "signal-1", true)),
	}
	w := Build(spans, correlation)
	fmt.Println(w.Events(), "event in", w.Functions)
	// Output: 1 event in [portfolio strategy]
}
