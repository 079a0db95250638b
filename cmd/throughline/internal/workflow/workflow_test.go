package workflow

import (
	"bytes"
	"fmt"
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
	if want := (Counts{Events: 2, Handlings: 3, Calls: 1, Spans: 6, Gaps: 0}); w.Counts != want {
		t.Fatalf("got %+v:\n%s", w.Counts, text(t, w))
	}
	if got, want := shape(w), "signal-1(portfolio(plan-1(execution(POST /v2/orders) reports)))"; got != want {
		t.Errorf("wrong tree %s, want %s:\n%s", got, want, text(t, w))
	}
	for _, want := range []string{"workflow-1  2 events, 4 functions, 6 spans", "SignalGenerated  signal-1  from strategy  +0.0 ms  2.4 KB", "X-Request-ID req-7", "causation→b2", "lag 7.0 ms", "cold start"} {
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
	for _, want := range []string{"signal-1  from strategy  +0.0 ms  2.4 KB  [a1]  (no handling was reported)", "x-1  (publisher not seen)", "y-1  (publisher not sampled)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if want := "signal-1 x-1(portfolio) y-1(portfolio) z-1(portfolio)"; shape(w) != want {
		t.Errorf("got %s, want %s", shape(w), want)
	}
	if want := "z-1  (publisher not traced: the event has no stamp)"; !strings.Contains(got, want) || w.Counts.Gaps != 4 {
		t.Errorf("%d gaps, no %q in:\n%s", w.Counts.Gaps, want, got)
	}
}

func TestBuildShowsABatchUnderEachOfItsEvents(t *testing.T) {
	w := Build([]Span{
		publication("aa", "a1", "", "strategy", "A", "a", 0),
		publication("aa", "a2", "", "strategy", "B", "b", time.Millisecond),
		process("bb", "b1", "portfolio", "A", "a", 2*time.Millisecond, causedBy("aa", "a1", "a", true), causedBy("aa", "a2", "b", true)),
		publication("bb", "b2", "b1", "portfolio", "C", "c", 3*time.Millisecond),
	}, correlation)
	if want := "a(portfolio(c)) b(portfolio)"; shape(w) != want || w.Counts.Events != 3 || w.Counts.Spans != 4 || w.Counts.Handlings != 1 {
		t.Errorf("got %s, want %s:\n%s", shape(w), want, text(t, w))
	}
	if !strings.Contains(text(t, w), "the same batch as above") {
		t.Errorf("the second place does not say so:\n%s", text(t, w))
	}
	// What is caused by the second event stands below the second.
	w = Build([]Span{
		publication("aa", "a1", "", "strategy", "A", "a", 0),
		publication("aa", "a2", "", "strategy", "B", "b", time.Millisecond),
		process("bb", "b1", "portfolio", "A", "a", 2*time.Millisecond, causedBy("aa", "a1", "a", true), causedBy("aa", "a2", "b", true)),
		publication("bb", "b2", "b1", "portfolio", "C", "c", 3*time.Millisecond, causedBy("aa", "a2", "b", true)),
	}, correlation)
	if want := "a(portfolio) b(portfolio(c))"; shape(w) != want {
		t.Errorf("got %s, want %s:\n%s", shape(w), want, text(t, w))
	}
}

// shape is the tree in one line: what stands below a node in brackets.
func shape(w *Workflow) string {
	var b strings.Builder
	for i, n := range w.Nodes {
		last := -1
		if i > 0 {
			last = w.Nodes[i-1].Depth
		}
		switch {
		case n.Depth > last && i > 0:
			b.WriteString("(")
		case i > 0:
			b.WriteString(strings.Repeat(")", last-n.Depth) + " ")
		}
		switch {
		case n.Kind == KindEvent:
			b.WriteString(n.EventID)
		case n.Span == nil:
			b.WriteString("?")
		case n.Kind == KindHandling:
			b.WriteString(n.Span.Service)
		default:
			b.WriteString(n.Span.Name)
		}
	}
	if len(w.Nodes) > 0 {
		b.WriteString(strings.Repeat(")", w.Nodes[len(w.Nodes)-1].Depth))
	}
	return b.String()
}

// TestBuildPlacesWhatItCannotSee holds that what hangs below something missing
// stays below what caused that.
func TestBuildPlacesWhatItCannotSee(t *testing.T) {
	child := publication("cc", "c2", "lost", "execution", "C", "c", 30*time.Millisecond, causedBy("aa", "a1", "a", true))
	unseen := process("dd", "d1", "reports", "B", "b", 40*time.Millisecond, causedBy("99", "91", "b", true))
	unseen.Attributes["throughline.causation.id"] = "a"
	later := publication("ee", "e1", "gone", "hedge", "D", "d", 50*time.Millisecond)
	later.Attributes["throughline.hops"] = int64(3)
	schedule := process("ff", "f1", "strategy", "", "s", time.Minute)
	schedule.Attributes["faas.trigger"] = "timer"
	for name, tt := range map[string]struct {
		spans []Span
		shape string
		gaps  []Gap
	}{
		"AHandling":        {[]Span{child}, "a(?(c))", []Gap{HandlingNotSeen, NotHandled}},
		"APublisher":       {[]Span{unseen}, "a(b(reports))", []Gap{PublisherNotSeen}},
		"TheCause":         {[]Span{later}, "a d", []Gap{NotHandled, CauseNotSeen}},
		"ASchedule":        {[]Span{schedule}, "a s(strategy)", []Gap{NotHandled}},
		"NoLinksAreKept":   {[]Span{process("bb", "b1", "portfolio", "A", "a", time.Second)}, "a(portfolio)", nil},
		"DeliveredTwice":   {[]Span{publication("aa", "a1", "", "strategy", "A", "a", 0)}, "a", []Gap{NotHandled}},
		"AFailedPublisher": {[]Span{{ID: ID{"ff", "f1"}, Kind: "PRODUCER", Error: true, Start: t0, Attributes: child.Attributes}}, "a c", []Gap{NotHandled}},
	} {
		t.Run(name, func(t *testing.T) {
			w := Build(append([]Span{publication("aa", "a1", "", "strategy", "A", "a", 0)}, tt.spans...), correlation)
			var gaps []Gap
			for _, n := range w.Nodes {
				if n.Gap != "" {
					gaps = append(gaps, n.Gap)
				}
			}
			if shape(w) != tt.shape || !slices.Equal(gaps, tt.gaps) {
				t.Errorf("got %s with %v, want %s with %v:\n%s", shape(w), gaps, tt.shape, tt.gaps, text(t, w))
			}
		})
	}
}

func TestBuildEndsOnACycle(t *testing.T) {
	w := Build([]Span{
		publication("aa", "a1", "a2", "f", "A", "a", 0),
		process("aa", "a2", "f", "A", "a", 0, causedBy("aa", "a1", "a", true)),
		publication("bb", "b1", "b2", "f", "B", "b", 0),
		{ID: ID{"bb", "b2"}, Parent: "b3", Kind: "INTERNAL"}, {ID: ID{"bb", "b3"}, Parent: "b2", Kind: "INTERNAL"},
	}, correlation)
	if w.Counts.Events != 2 {
		t.Errorf("cycles give %d events:\n%s", w.Counts.Events, text(t, w))
	}
}

// TestAnEventWithoutAnIDOfItsOwn is known by the one that EventBridge gave it.
func TestAnEventWithoutAnIDOfItsOwn(t *testing.T) {
	p := publication("aa", "a1", "", "strategy", "A", "", 0)
	delete(p.Attributes, "throughline.event.id")
	p.Attributes["messaging.message.id"] = "bus-1"
	w := Build([]Span{p, process("bb", "b1", "portfolio", "A", "bus-1", time.Second)}, correlation)
	if want := "bus-1(portfolio)"; shape(w) != want || w.Counts.Gaps != 0 {
		t.Errorf("got %s, want %s:\n%s", shape(w), want, text(t, w))
	}
}

// TestADeepChainEnds holds that depth costs no stack and no width: of a
// workflow whose every event causes one more, none is lost and no line is long.
func TestADeepChainEnds(t *testing.T) {
	const deep = 20_000
	spans := make([]Span, 0, 2*deep)
	for i := range deep {
		id, trace, at := fmt.Sprint("e", i), fmt.Sprint("t", i), time.Duration(i)*time.Millisecond
		parent := ""
		if i > 0 {
			parent = "h"
		}
		spans = append(spans, publication(trace, "p", parent, "f", "A", id, at),
			process(fmt.Sprint("t", i+1), "h", "f", "A", id, at, causedBy(trace, "p", id, true)))
	}
	w := Build(spans, correlation)
	if w.Counts.Events != deep || w.Nodes[len(w.Nodes)-1].Depth != 2*deep-1 {
		t.Fatalf("got %d events, the last at depth %d", w.Counts.Events, w.Nodes[len(w.Nodes)-1].Depth)
	}
	for line := range strings.Lines(text(t, w)) {
		if len(line) > 500 {
			t.Fatalf("a line of %d bytes: %.200s", len(line), line)
		}
	}
	var out bytes.Buffer
	for name, write := range map[string]func() error{
		"JSON": func() error { return WriteJSON(&out, w) }, "Mermaid": func() error { return WriteMermaid(&out, w) },
		"HTML": func() error { return WriteHTML(&out, []*Workflow{w}) },
	} {
		if err := write(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuildLeavesOutOtherWorkflows(t *testing.T) {
	other := publication("ff", "f1", "", "strategy", "A", "other", 0)
	other.Attributes["throughline.correlation.id"] = "workflow-2"
	if w := Build([]Span{other}, correlation); w.Counts.Events != 0 {
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

func ExampleBuild() {
	spans := []Span{
		publication("aa", "a1", "", "strategy", "SignalGenerated", "signal-1", 0),
		process("bb", "b1", "portfolio", "SignalGenerated", "signal-1", 10*time.Millisecond, causedBy("aa", "a1", "signal-1", true)),
	}
	w := Build(spans, correlation)
	fmt.Println(w.Counts.Events, "event in", w.Functions)
	// Output: 1 event in [portfolio strategy]
}

// TestMermaidTakesNoOrders: a label cannot hold a directive, markup or a quote.
func TestMermaidTakesNoOrders(t *testing.T) {
	const order = `%%{init: {"securityLevel": "loose"}}%%"]; click n0 href "javascript:alert(1)" <b>` + "\n---\nconfig: x\n"
	publication := publication("aa", "a1", "", order, order, order, 0)
	handling := process("bb", "b1", order, order, order, time.Second, causedBy("aa", "a1", order, true))
	var out bytes.Buffer
	if err := WriteMermaid(&out, Build([]Span{publication, handling}, correlation)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "%%") || strings.Contains(line, "<b>") || strings.Count(line, `"`) > 2 || strings.HasPrefix(strings.TrimSpace(line), "config") || strings.HasPrefix(strings.TrimSpace(line), "click") || strings.ContainsAny(line, "{}") {
			t.Errorf("%s", line)
		}
	}
}
