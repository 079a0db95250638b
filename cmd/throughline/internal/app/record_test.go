package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/local/buslocal"
)

// TestSentEvents: the workflow that send prints is the one that functions see, also for an
// event with an ID of its own, and the events are kept, to be played back.
func TestSentEvents(t *testing.T) {
	s := playing(t, "testdata/fan-out/template.yaml", Flags{})
	out := s.must("", "send", s.file(`{"source":"web","detail-type":"OrderPlaced","detail":{"event_id":"e-1","order_id":"o-1","total":5,"customer":"gold"}}`))
	_, workflow, _ := strings.Cut(strings.SplitN(out, "\n", 2)[0], "its workflow is ")
	if !strings.HasPrefix(out, "OrderPlaced "+workflow+" was sent") {
		t.Errorf("the workflow is not that of the envelope: %s", out)
	}
	s.must("", "send", s.file("{\"source\":\"web\",\"detail-type\":\"Nobody\",\"detail\":{\n\"order_id\":\"o-2\"}}"), "--bus", "shop")
	s.says("audited o-1 by Placed")
	kept := filepath.Join(s.dir, devfolder.EventsFile)
	for range 2 { // events that are played back are not kept again
		if out := s.must("", "replay", kept); out != "2 events played back, 1 matched a rule\n" {
			t.Error(out)
		}
	}
	const elsewhere = `{"EventBusName":"elsewhere","id":"9","source":"web","detail-type":"T","detail":{}}`
	if out, err := s.run("", "replay", s.file(elsewhere)); err == nil || !strings.Contains(err.Error(), "dev replay: there is no bus elsewhere: the buses are ") {
		t.Errorf("%v %s", err, out)
	}
	if out := s.must("", "replay", s.file(elsewhere+`{"EventBusName":"shop","id":"8","source":"web","detail-type":"T","detail":{}}`)); !strings.HasPrefix(out, "1 event played back, 0 matched a rule\n1 event left out: there is no bus elsewhere") {
		t.Error(out)
	}
	s.settle()
	s.close()
	_, spans, err := s.collector.Spans()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, span := range spans {
		if span.Text("throughline.event.id") == "e-1" && span.Text("throughline.event.type") == "OrderPlaced" {
			if seen++; span.Correlation() != workflow {
				t.Errorf("%s is of workflow %s, not %s", span.Name, span.Correlation(), workflow)
			}
		}
	}
	if seen == 0 {
		t.Error("no span is of the event")
	}
}

func TestKeptEventsAreBounded(t *testing.T) {
	var told []string
	r := newRecorder(t.TempDir(), func(text string) { told = append(told, text) })
	r.max = 1000
	add := func(n int) {
		detail := fmt.Sprintf("{\n \"n\": %d}", n)
		r.add(buslocal.Event{ID: fmt.Sprint(n), Bus: "shop", DetailType: "T", Envelope: []byte(`{"id":"` + fmt.Sprint(n) + `","source":"s","detail-type":"T","detail":` + detail + `}`)})
	}
	for n := range 100 {
		add(n)
	}
	file, err := os.Open(r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() > r.max {
		t.Errorf("%v: the file has %d bytes", err, info.Size())
	}
	events, err := eventfile.Read(file)
	if n := len(events); err != nil || n < 4 || events[n-1].ID != "99" || events[0].ID != fmt.Sprint(100-n) || events[0].Bus != "shop" {
		t.Errorf("%v: %+v", err, events)
	}
	if r.path = filepath.Join(r.path, "no"); len(told) != 0 {
		t.Error(told)
	}
	add(1)
	add(2)
	if len(told) != 1 || !strings.Contains(told[0], "keep the event 1: ") {
		t.Errorf("a file that cannot be written: %q", told)
	}
}
