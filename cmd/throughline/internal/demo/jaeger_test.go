package demo

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/peertest"
)

// TestTradingDayInJaeger sends the day to a real Jaeger, reads it back over its
// query API and holds every link, parent and attribute found there to the
// bus's ledger.
func TestTradingDayInJaeger(t *testing.T) {
	collectorURL, queryURL := peertest.Jaeger(t)
	o := options(t)
	o.ForwardTo = collectorURL + "/v1/traces"
	d, err := play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d.passed != nil {
		t.Fatal(d.passed)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	jaeger := spanstore.Jaeger{URL: queryURL, Client: &http.Client{Transport: transport}, Window: spanstore.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}}
	var spans []workflow.Span
	for deadline := time.Now().Add(30 * time.Second); len(spans) < len(d.reported.spans) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if spans, err = jaeger.All(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(spans) != len(d.reported.spans) {
		t.Fatalf("%d spans in Jaeger, %d were sent", len(spans), len(d.reported.spans))
	}
	parents := map[workflow.ID]string{}
	for _, s := range d.reported.spans {
		parents[s.ID] = s.Parent
	}
	for _, s := range spans {
		if s.Parent != parents[s.ID] {
			t.Errorf("%s: its parent is %s in Jaeger, %s was sent", s.Name, s.Parent, parents[s.ID])
		}
	}
	id := "workflow-6513270e-269e-4d37-b2a7-4de452e6b438"
	var here, there bytes.Buffer
	if err := workflow.WriteText(&here, workflow.Build(d.reported.spans, id)); err != nil {
		t.Fatal(err)
	}
	if err := workflow.WriteText(&there, workflow.Build(spans, id)); err != nil {
		t.Fatal(err)
	}
	if here.String() != there.String() {
		t.Errorf("the tree in Jaeger is\n%s\nand was\n%s", there.String(), here.String())
	}
	d.reported.spans = spans
	if differences := verify(d.truth, d.reported, d.details); len(differences) > 0 {
		t.Errorf("in Jaeger differs:\n%s", strings.Join(differences, "\n"))
	}
}
