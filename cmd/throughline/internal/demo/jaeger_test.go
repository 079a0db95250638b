package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/peertest"
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
	sent := map[workflow.ID]*workflow.Span{}
	for i := range d.reported.spans {
		sent[d.reported.spans[i].ID] = &d.reported.spans[i]
	}
	for i := range spans {
		compareSpans(t, &spans[i], sent[spans[i].ID])
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

// compareSpans holds a span found in Jaeger to what was sent: its parent, each
// of its attributes and each of its links.
func compareSpans(t *testing.T, found, sent *workflow.Span) {
	t.Helper()
	if sent == nil {
		t.Errorf("%s: nobody sent it", found.Name)
		return
	}
	if found.Parent != sent.Parent || found.Name != sent.Name || found.Kind != sent.Kind || found.Service != sent.Service || found.Error != sent.Error {
		t.Errorf("in Jaeger %s %s at %s under %q, sent %s %s at %s under %q", found.Kind, found.Name, found.Service, found.Parent, sent.Kind, sent.Name, sent.Service, sent.Parent)
	}
	for key, value := range sent.Attributes {
		if got, want := plain(found.Attributes[key]), plain(value); got != want {
			t.Errorf("%s: its %s is %s in Jaeger, %s was sent", sent.Name, key, got, want)
		}
	}
	var theirs, ours []string // Jaeger keeps where a link points, and none of its attributes
	for _, l := range found.Links {
		theirs = append(theirs, l.To.Trace+" "+l.To.Span)
	}
	for _, l := range sent.Links {
		ours = append(ours, l.To.Trace+" "+l.To.Span)
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if !slices.Equal(theirs, ours) {
		t.Errorf("%s: its links are in Jaeger\n%s\nand were sent\n%s", sent.Name, strings.Join(theirs, "\n"), strings.Join(ours, "\n"))
	}
}

// plain is a value as text; Jaeger keeps lists as their JSON.
func plain(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	text, _ := json.Marshal(list)
	return string(text)
}
