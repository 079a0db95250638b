package workflow

import (
	"testing"
	"time"
)

func TestOfTrace(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	span := func(trace, id, parent, name, kind string, after int) Span {
		start := at.Add(time.Duration(after) * time.Millisecond)
		return Span{ID: ID{trace, id}, Parent: parent, Name: name, Kind: kind, Service: "shop", Start: start, End: start.Add(time.Millisecond)}
	}
	spans := []Span{
		span("t", "c", "b", "SELECT", "CLIENT", 3), span("t", "b", "a", "load", "INTERNAL", 2), span("t", "a", "elsewhere", "GET /", "SERVER", 1), span("t", "b", "a", "load", "INTERNAL", 2),
		span("t", "d", "a", "render", "INTERNAL", 1), span("u", "x", "", "other", "SERVER", 0), span("t", "p", "q", "p", "INTERNAL", 9), span("t", "q", "p", "q", "INTERNAL", 10), span("t", "s", "s", "itself", "INTERNAL", 11),
	}
	w := OfTrace(spans, "t")
	got := ""
	for _, n := range w.Nodes {
		got += n.Span.Name + " " + string(n.Kind) + " " + string(rune('0'+n.Depth)) + ", "
	}
	if want := "GET / span 0, render span 1, load span 1, SELECT call 2, itself span 0, p span 0, q span 1, "; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if w.TraceID != "t" || w.Counts.Spans != 7 || w.Counts.Calls != 1 || len(w.Functions) != 1 {
		t.Errorf("%+v", w.Counts)
	}
}

func TestLoops(t *testing.T) {
	// A is handled by f, which publishes B, which is handled by g, which publishes A again.
	spans := []Span{
		publication("1", "p1", "", "start", "A", "a-1", 0), process("2", "h1", "f", "A", "a-1", 1e6, Link{To: ID{"1", "p1"}, Why: "causation", Sampled: true}),
		publication("2", "p2", "h1", "f", "B", "b-1", 2e6), process("3", "h2", "g", "B", "b-1", 3e6, Link{To: ID{"2", "p2"}, Why: "causation", Sampled: true}),
		publication("3", "p3", "h2", "g", "A", "a-2", 4e6), publication("2", "p4", "h1", "f", "C", "c-1", 5e6),
	}
	spans[5].Attributes["throughline.hops"] = int64(17)
	w := Build(spans, correlation)
	got := map[string]Loop{}
	for _, n := range w.Nodes {
		if n.Loop != "" {
			got[n.EventID] = n.Loop
		}
	}
	if len(got) != 2 || got["a-2"] != LoopType || got["c-1"] != LoopHops || w.Counts.Loops != 2 {
		t.Errorf("%v %+v\n%s", got, w.Counts, text(t, w))
	}
}
