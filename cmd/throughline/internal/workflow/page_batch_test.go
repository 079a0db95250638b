package workflow_test

import (
	"slices"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/peertest"
)

// The page marks the handling of a batch below the events whose records failed, and in
// the timeline, where it is once.
func TestPageOfABatch(t *testing.T) {
	start := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	span := func(id, kind string, links ...workflow.Link) workflow.Span {
		return workflow.Span{ID: workflow.ID{Trace: id, Span: id}, Kind: kind, Service: "f-" + id, Start: start, End: start.Add(time.Second), Links: links,
			Attributes: map[string]any{lineage.AttrCorrelationID: "flow", lineage.AttrEventID: id, lineage.AttrEventType: "T"}}
	}
	to := func(id string) workflow.Link {
		return workflow.Link{To: workflow.ID{Trace: id, Span: id}, Why: "causation", Sampled: true, Attributes: map[string]any{"messaging.message.id": "m-" + id}}
	}
	batch := span("batch", "CONSUMER", to("a"), to("b"), to("c"))
	batch.Error, batch.Message = true, "1 of 3 records returned in batchItemFailures"
	for key, value := range map[string]any{"error.type": lineage.ErrorTypeItems, "messaging.batch.message_count": int64(3), lineage.AttrFailedCount: int64(1), lineage.AttrFailedIDs: []any{"m-b"}} {
		batch.Attributes[key] = value
	}
	b := peertest.Chromium(t)
	b.View(1440, 1000, false)
	b.Open(writePage(t, workflow.Build([]workflow.Span{span("a", "PRODUCER"), span("b", "PRODUCER"), span("c", "PRODUCER"), batch}, "flow")), ready)
	var page struct {
		Chips []string
		Bars  []string
		Hits  int
	}
	b.Eval(`({chips: nodes.filter(n => n.kind === 'handling').map(n => chips(n).map(c => (c.className.includes('error') ? '!' : '') + c.textContent).join(', ')),
		bars: bars.filter(r => nodes[r.i].kind === 'handling').map(r => r.kind), hits: nodes.filter(is.error).length})`, &page)
	want := []string{"1 of 3 failed, batch of 3", "!returned in batchItemFailures, same batch", "same batch"}
	if !slices.Equal(page.Chips, want) || !slices.Equal(page.Bars, []string{"error"}) || page.Hits != 1 {
		t.Errorf("%+v", page)
	}
}
