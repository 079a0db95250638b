package spanstore

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/peertest"
)

func TestXRay(t *testing.T) {
	for name, dots := range map[string]bool{"DotsInAnnotations": true, "NoDots": false} {
		t.Run(name, func(t *testing.T) {
			spans, truth := generated()
			_, client := spanstoretest.NewXRay(t, "")
			spanstoretest.PutSegments(t, client, spans, dots)
			var l told
			store := XRay{Client: client, Window: lastHours(24), Tell: l.tell()}
			checkStore(t, store, truth, false)
			checkWorkflows(t, store, truth)
			if len(l.lines) == 0 {
				t.Error("it says nothing of how far it is")
			}
		})
	}
}

// TestXRayOfMoto puts the segments into moto and has it hand out the traces;
// summaries are the stand-in's, for moto knows no filter expressions.
func TestXRayOfMoto(t *testing.T) {
	t.Parallel()
	spans, truth := workflowtest.Workflow(150, time.Now().Add(-time.Hour))
	_, client := spanstoretest.NewXRay(t, peertest.MotoAccount(t))
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	spanstoretest.PutSegments(t, client, spans, true)
	found, err := XRay{Client: client, Window: lastHours(24)}.Spans(t.Context(), truth.CorrelationID)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := truth.Check(workflow.Build(found, truth.CorrelationID), false); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
}

func TestXRayEndsWithItsContext(t *testing.T) {
	spans, truth := workflowtest.Workflow(200, time.Now().Add(-time.Hour))
	_, client := spanstoretest.NewXRay(t, "")
	spanstoretest.PutSegments(t, client, spans, true)
	ctx, cancel := context.WithCancel(t.Context())
	store := XRay{Client: client, Window: lastHours(1), Tell: Tell{Progress: func(format string, _ ...any) {
		if strings.HasPrefix(format, "reading") {
			cancel()
		}
	}}}
	if _, err := store.Spans(ctx, truth.CorrelationID); err == nil {
		t.Error("an ended context does not end the reading")
	}
}
