package extension

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/hostile"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

// Lambda's largest payloads, six of them handled at once, are read as they pass:
// spans, links, repeats and counts are those that the library makes of the same
// payloads, which it is handed whole.
func TestLargeBatchesAreRead(t *testing.T) {
	for _, p := range hostile.Payloads() {
		t.Run(p.Name, func(t *testing.T) {
			atOnce := 6
			if p.Events != 10_000 && p.Name != "long IDs" {
				atOnce = 2 // what six of each take is told by the test of memory
			}
			layer, library := handledByLayer(t, p, atOnce), handledByLibrary(t, p, atOnce)
			cut := p.Name == "long IDs" // there is no room for all of them
			if unread := layer.sums["InvocationsUnread_busy"]; (unread > 0) != cut {
				t.Errorf("%v unread", unread)
			}
			if cut {
				return
			}
			if got := layer.sums["EventsReceived"]; got != float64(p.Events*atOnce) || !maps.Equal(layer.sums, library.sums) {
				t.Errorf("%v of %d events\n got %v\nwant %v", got, p.Events*atOnce, layer.sums, library.sums)
			}
			if len(layer.spans) != atOnce || len(library.spans) != atOnce {
				t.Fatalf("%d and %d spans", len(layer.spans), len(library.spans))
			}
			for n := range layer.spans {
				compareSpans(t, &layer.spans[n], &library.spans[n])
			}
		})
	}
}

// outcome is what was told of some invocations and their events.
type outcome struct {
	spans []lineagetest.Span // by request ID
	sums  map[string]float64
}

func (d *desk) outcome() (o outcome) {
	o.sums = map[string]float64{}
	for name, sum := range d.sums() {
		switch base, _, _ := strings.Cut(name, "_"); base {
		case "EventsReceived", "DuplicateEvents", "RetriedEvents", "ReplayedEvents", "OutOfOrderEvents", "LoopSuspected", "UncorrelatedReceived", "HopCount", "InvocationsUnread", "count":
			o.sums[name] = sum
		}
	}
	for _, request := range d.spans {
		var told lineagetest.Span
		read(d.t.(*testing.T), request, &told)
		o.spans = append(o.spans, told)
	}
	slices.SortFunc(o.spans, func(a, b lineagetest.Span) int {
		return slices.Compare(a.Attributes["faas.invocation_id"], b.Attributes["faas.invocation_id"])
	})
	return o
}

func compareSpans(t *testing.T, got, want *lineagetest.Span) {
	t.Helper()
	for _, s := range []*lineagetest.Span{got, want} {
		for name := range s.Attributes {
			if strings.Contains(name, "first.time") || strings.Contains(name, "lag") || name == lineage.AttrInvokeParent {
				delete(s.Attributes, name)
			}
		}
		for n := range s.Links {
			if s.Links[n].Why == lineage.LinkRepeat {
				s.Links[n].To = "" // a span that was handled in the same test
			}
		}
	}
	if got.Name != want.Name || got.Kind != want.Kind || !reflect.DeepEqual(got.Attributes, want.Attributes) {
		t.Errorf("%s %s\n got %v\nwant %v", got.Name, got.Kind, got.Attributes, want.Attributes)
	}
	if !slices.Equal(got.Links, want.Links) {
		t.Errorf("%d links, want %d", len(got.Links), len(want.Links))
	}
}

// handledByLayer hands payloads to a runtime and answers them once all were
// handed over, in order.
func handledByLayer(t *testing.T, p hostile.Payload, atOnce int) outcome {
	t.Helper()
	var mu sync.Mutex
	n := 0
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/next") {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		mu.Lock()
		n++
		id := n
		mu.Unlock()
		payload := p.Make(id)
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("r-", id))
		w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
		if p.Breaks {
			payload = payload[:len(payload)/2]
		}
		_, _ = w.Write(payload)
	}))
	t.Cleanup(l.Close)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	for id := 1; id <= atOnce; id++ {
		resp, err := http.Get(url + runtimePath + "next")
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); !p.Breaks && string(body) != string(p.Make(id)) {
			t.Errorf("%d bytes are handed on, not as they came", len(body))
		}
		_ = resp.Body.Close()
	}
	for id := 1; id <= atOnce; id++ {
		post(t, fmt.Sprint(url, runtimePath, "r-", id, "/response"), "{}")
	}
	if !d.budget.Take(requestBudget) {
		t.Error("what was read is still held")
	}
	return d.outcome()
}

func handledByLibrary(t *testing.T, p hostile.Payload, atOnce int) outcome {
	t.Helper()
	d := newDesk(t, nil)
	var all []*handling.Invocation
	for id := 1; id <= atOnce; id++ {
		payload := p.Make(id)
		if p.Breaks {
			payload = nil
		}
		all = append(all, d.handling.Begin(t.Context(), payload, lineage.Invocation{FunctionName: "portfolio", RequestID: fmt.Sprint("r-", id), ColdStart: id == 1}, true))
	}
	for _, i := range all {
		i.End(nil)
	}
	return d.outcome()
}
