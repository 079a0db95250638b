package spanstore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/lineage"
)

// hopping are the spans of functions that call each other off the bus, annotated for
// X-Ray as they are, and the correlation ID of the first workflow in them.
func hopping(tb testing.TB, n int) ([]workflow.Span, string) {
	tb.Helper()
	spans, ledger := workflowtest.Hops(n, 3, time.Now().Add(-time.Hour))
	for i := range spans {
		s := &spans[i]
		var attrs []attribute.KeyValue
		for key, value := range s.Attributes {
			switch v := value.(type) {
			case string:
				attrs = append(attrs, attribute.String(key, v))
			case []any:
				attrs = append(attrs, attribute.StringSlice(key, s.Texts(key)))
			}
		}
		slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) })
		for _, a := range lineage.AnnotateHop(attrs) {
			switch a.Key {
			case lineage.AttrHopIDs:
				s.Attributes[lineage.AttrHopIDs] = a.Value.AsString()
			case lineage.AttrXRayAnnotations:
				list := []any{}
				for _, name := range a.Value.AsStringSlice() {
					list = append(list, name)
				}
				s.Attributes[lineage.AttrXRayAnnotations] = list
			}
		}
	}
	return spans, ledger.Roots[0]
}

// outline is a tree as far as every store can tell it.
func outline(w *workflow.Workflow) string {
	var b strings.Builder
	for i := range w.Nodes {
		n := &w.Nodes[i]
		id := "missing"
		if n.Span != nil {
			id = n.Span.ID.Span
		}
		fmt.Fprintf(&b, "%s%s %s %s %s\n", strings.Repeat(" ", n.Depth), n.Kind, id, n.Edge.Via, n.Edge.How)
	}
	return b.String()
}

// Every store finds the spans at the other ends of hops, under whatever correlation ID
// or none: the tree is that of all spans.
func TestGatherFindsTheOtherEnds(t *testing.T) {
	spans, id := hopping(t, 120)
	whole := workflow.Build(spans, id)
	if len(whole.Joined) < 3 || whole.Counts.Hops < 20 {
		t.Fatalf("the workflow does not hold what it is for: %+v, joined %v", whole.Counts, whole.Joined)
	}
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(path, bytes.Join(spanstoretest.OTLPLines(t, spans), []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	jaeger := jaegerServer(t, spans)
	_, segments := spanstoretest.NewXRay(t, "")
	spanstoretest.PutSegments(t, segments, spans, true)
	_, logs := spanstoretest.NewLogs(t, spans)
	for name, store := range map[string]Store{
		"File":              File{Path: path},
		"Jaeger":            Jaeger{URL: jaeger.URL, Client: jaeger.Client(), Window: lastHours(24)},
		"XRay":              XRay{Client: segments, Window: lastHours(24)},
		"TransactionSearch": TransactionSearch{Client: logs, LogGroup: SpansLogGroup, Window: lastHours(24), Poll: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var said told
			found, err := Gather(t.Context(), store, id, said.tell())
			if err != nil {
				t.Fatal(err)
			}
			w := workflow.Build(found, id)
			if got, want := outline(w), outline(whole); got != want {
				t.Errorf("%d nodes of %d spans, want %d of %d: %s", len(w.Nodes), len(found), len(whole.Nodes), len(spans), firstDifference(got, want))
			}
			for i := range whole.Nodes { // by the ID of what was sent in it
				s, id := whole.Nodes[i].Span, ""
				if whole.Nodes[i].Kind != workflow.KindHop || s == nil || i%5 > 0 {
					continue
				}
				s.IDs(func(first string) bool { id = first; return true })
				if of, err := WorkflowOf(t.Context(), store, id); err != nil || !slices.Contains(append(whole.Joined, whole.CorrelationID), of) && (of != "" || name != "Jaeger") { // which finds no part of a list
					t.Errorf("%s is of %q, %v", id, of, err)
				}
			}
			if of, err := WorkflowOf(t.Context(), store, "no-such-id"); err != nil || of != "" {
				t.Errorf("an unknown ID is of %q, %v", of, err)
			}
		})
	}
}

// The request ID of an invocation without events is the correlation ID of its calls, and
// the invocation's span does not have it as such.
func TestWorkflowOfAnInvocationWithoutEvents(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	handling := workflow.Span{ID: workflow.ID{Trace: strings.Repeat("a", 32), Span: strings.Repeat("1", 16)}, Kind: "SERVER", Service: "entry", Start: at, End: at.Add(time.Second),
		Attributes: map[string]any{"faas.trigger": "other", "faas.invocation_id": "r-1"}}
	call := workflow.Span{ID: workflow.ID{Trace: handling.ID.Trace, Span: strings.Repeat("2", 16)}, Parent: handling.ID.Span, Kind: "PRODUCER", Service: "entry", Start: at, End: at.Add(time.Second),
		Attributes: map[string]any{"throughline.hop": "sqs", "throughline.message.ids": []any{"m-1"}, "throughline.correlation.id": "r-1"}}
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(path, bytes.Join(spanstoretest.OTLPLines(t, []workflow.Span{handling, call}), []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"r-1": "r-1", "m-1": "r-1", "r-2": ""} {
		if of, err := WorkflowOf(t.Context(), File{Path: path}, id); err != nil || of != want {
			t.Errorf("%s is of %q, %v", id, of, err)
		}
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is %q, want %q", i, a[i], b[i])
		}
	}
	return "one ends first"
}

// What is asked for is bounded, and said where it is not all.
func TestGatherIsBounded(t *testing.T) {
	store := &endless{}
	var said told
	found, err := Gather(t.Context(), store, "workflow-1", said.tell())
	if err != nil || len(found) == 0 {
		t.Fatalf("%d spans, %v", len(found), err)
	}
	if store.ends > maxEnds || store.rounds > maxRounds || !slices.ContainsFunc(said.lines, func(s string) bool { return strings.Contains(s, "not searched") }) {
		t.Errorf("%d IDs in %d rounds, said %q", store.ends, store.rounds, said.lines)
	}
}

// endless is a store in which each question leads to many more.
type endless struct {
	Store
	ends, rounds int
}

func (e *endless) Spans(context.Context, string) ([]workflow.Span, error) {
	return e.sends(1), nil
}

func (e *endless) Find(_ context.Context, q Query) ([]workflow.Span, error) {
	e.rounds++
	e.ends += len(q.Ends)
	return e.sends(600), nil
}

func (e *endless) sends(n int) (spans []workflow.Span) {
	for i := range n {
		id := fmt.Sprintf("%d-%d", e.rounds, i)
		spans = append(spans, workflow.Span{
			ID: workflow.ID{Trace: id, Span: id}, Kind: "CLIENT", Name: "send q", Start: time.Unix(1_764_237_600, 0), End: time.Unix(1_764_237_600, 0),
			Attributes: map[string]any{"throughline.hop": "sqs", lineage.AttrCorrelationID: "workflow-1", lineage.AttrMessageIDs: []any{"m-" + id, "n-" + id}},
		})
	}
	return spans
}
