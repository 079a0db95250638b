package whycmd

import (
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// A handling of a batch failed for the records that its handler returned as failed.
func TestTrailOfABatch(t *testing.T) {
	publication := func(id string) workflow.Span {
		return workflow.Span{ID: workflow.ID{Trace: id, Span: id}, Kind: "PRODUCER", Attributes: map[string]any{lineage.AttrCorrelationID: "flow", lineage.AttrEventID: id, lineage.AttrEventType: "T"}}
	}
	to := func(id, record string) workflow.Link {
		return workflow.Link{To: workflow.ID{Trace: id, Span: id}, Why: "causation", Sampled: true, Attributes: map[string]any{"messaging.message.id": record}}
	}
	batch := workflow.Span{ID: workflow.ID{Trace: "b", Span: "b"}, Kind: "CONSUMER", Service: "f", Error: true, Message: "1 of 2 records returned in batchItemFailures", Links: []workflow.Link{to("e-1", "m-1"), to("e-2", "m-2")},
		Attributes: map[string]any{lineage.AttrCorrelationID: "flow", "error.type": lineage.ErrorTypeItems, lineage.AttrFailedCount: int64(1), lineage.AttrFailedIDs: []any{"m-2"}}}
	w := workflow.Build([]workflow.Span{publication("e-1"), publication("e-2"), batch}, "flow")
	for id, want := range map[string]string{"e-1": "", "e-2": "returned in batchItemFailures"} {
		trail := trailOf(w, id)
		if len(trail.Handlings) != 1 || trail.Handlings[0].Error != want || trail.Handlings[0].Failed != (want != "") {
			t.Errorf("%s: %+v", id, trail.Handlings)
		}
	}
	if out := trailOf(w, "e-2").Published; out == nil || strings.Contains(out.Error, "batch") {
		t.Errorf("%+v", out)
	}
}

// TestTheWorkflowOfTheEnvelope: an event's own ID can be in several workflows.
func TestTheWorkflowOfTheEnvelope(t *testing.T) {
	earlier := strings.NewReplacer("env-order-1", "env-earlier", "flow-1", "flow-0").Replace(handles(1, "order-1", "fulfil", "no stock", ""))
	spans := write(t, "spans.jsonl", earlier, handles(2, "order-1", "fulfil", "", ""))
	out, code := run(t, "order-1", "--events", write(t, "e.json", event("order-1", "OrderPlaced", "")), "--file", spans)
	if code != 0 || !strings.Contains(out, "of workflow flow-1\n") || !strings.Contains(out, "It was handled.") || strings.Contains(out, "no stock") {
		t.Errorf("%d %s", code, out)
	}
}

// The events of a log are listed in the same order each time.
func TestEventsOfALogAreInOrder(t *testing.T) {
	s := newScan()
	for _, id := range []string{"e", "b", "d", "a", "c"} {
		s.steps = append(s.steps, Step{EventID: id, Bus: "orders"})
	}
	for range 20 {
		var got string
		for _, e := range s.logged(func(string) bool { return true }) {
			got += e.ID
		}
		if got != "abcde" {
			t.Fatal(got)
		}
	}
}
