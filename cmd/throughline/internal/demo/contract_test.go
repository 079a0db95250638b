package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/queries"
	"github.com/throughline/throughline/cmd/throughline/internal/render"
	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/metrics"
)

// emitted is what a run of the extension, the handler wrapper, the publisher and
// the transport wrote: metrics with the names of their dimensions, and members.
type emitted struct {
	metrics map[string]bool
	members map[string]bool
}

func watch(t *testing.T, env map[string]string) emitted {
	t.Helper()
	o := options(t)
	o.Env = env
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d, err := play(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write(o.Dir); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(o.Dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return read(string(file))
}

// read takes the metrics and the members out of lines.
func read(lines string) emitted {
	e := emitted{map[string]bool{}, map[string]bool{}}
	for line := range strings.Lines(lines) {
		var members map[string]json.RawMessage
		var doc struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if json.Unmarshal([]byte(line), &members) != nil || json.Unmarshal([]byte(line), &doc) != nil {
			continue
		}
		for name := range members {
			e.members[name] = true
		}
		for _, group := range doc.AWS.CloudWatchMetrics {
			for _, set := range group.Dimensions {
				for _, m := range group.Metrics {
					e.metrics[key(group.Namespace, m.Name, set)] = true
				}
			}
		}
	}
	return e
}

// givenUp is what the sidecar writes when it is sent what it has no place for.
func givenUp(t *testing.T, profile metrics.Profile) emitted {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out strings.Builder // written before Sidecar returns, read after
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	config := extension.Config{OTLPAddr: "127.0.0.1:0", Region: "us-east-1", Out: &out, Now: time.Now, TempDir: t.TempDir()}
	config.Metrics.Profile = profile
	go func() { done <- extension.Sidecar(ctx, config, func(a map[string]string) { addresses <- a }) }()
	select {
	case a := <-addresses:
		resp, err := http.Post("http://"+a["otlp"]+"/v1/metrics", "application/x-protobuf", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	case err := <-done:
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return read(out.String())
}

func key(namespace, name string, dimensions []string) string {
	return fmt.Sprint(namespace, " ", name, " ", slices.Sorted(slices.Values(dimensions)))
}

func (e emitted) add(other emitted) {
	for k := range other.metrics {
		e.metrics[k] = true
	}
	for k := range other.members {
		e.members[k] = true
	}
}

// unmet are the metrics of the set's panels that nothing wrote, and how many of
// ours were looked for.
func (e emitted) unmet(s alarms.Set) (unmet []string, looked int) {
	for _, panel := range render.Panels(s) {
		for _, a := range panel.Alarms {
			for _, stat := range a.Stats() {
				if stat.Namespace != s.Namespace {
					continue
				}
				var names []string
				for _, d := range stat.Dimensions {
					names = append(names, d.Name)
				}
				looked++
				if !e.metrics[key(stat.Namespace, stat.Metric, names)] {
					unmet = append(unmet, fmt.Sprintf("%s watches %s by %v, which nothing emits", a.Name, stat.Metric, names))
				}
			}
		}
	}
	return unmet, looked
}

// unread are the fields of a query that no line has.
func (e emitted) unread(q queries.Query) []string {
	var unread []string
	for _, field := range q.Fields() {
		if !e.members[field] {
			unread = append(unread, fmt.Sprintf("query %s reads %s, which no line has", q.Name, field))
		}
	}
	return unread
}

// TestContract fails where an alarm, a panel or a query names a metric, a set of
// dimensions or a member that no run of the emitting packages writes.
func TestContract(t *testing.T) {
	// Some counters stand in a line only where there is something to count: a
	// backend that is gone, signals that have no backend.
	dead := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
	all := emitted{map[string]bool{}, map[string]bool{}}
	for _, profile := range []metrics.Profile{metrics.Basic, metrics.Full} {
		name := map[metrics.Profile]string{metrics.Basic: "basic", metrics.Full: "full"}[profile]
		wrote := watch(t, map[string]string{"THROUGHLINE_METRICS": name})
		dead["THROUGHLINE_METRICS"] = name
		wrote.add(watch(t, dead))
		wrote.add(givenUp(t, profile))
		all.add(wrote)
		s, err := alarms.Compile([]byte("name: c\nprofile: " + name + "\nresources:\n- {kind: events, service: s, detailTypes: [T]}\n- {kind: extension, service: s, function: f}\noverrides: [{match: {kind: extension}, enable: [cold-starts]}]"))
		if err != nil {
			t.Fatal(err)
		}
		unmet, looked := wrote.unmet(s)
		for _, message := range unmet {
			t.Errorf("%s: %s", name, message)
		}
		if looked < 20 {
			t.Errorf("%s: only %d metrics were looked for", name, looked)
		}
		// A wrong name or a wrong set of dimensions anywhere is found: each metric in turn.
		for i := range s.Alarms {
			for _, spoil := range []func(*alarms.Stat){
				func(stat *alarms.Stat) { stat.Metric += "s" },
				func(stat *alarms.Stat) { stat.Dimensions = stat.Dimensions[:0] },
				func(stat *alarms.Stat) { stat.Dimensions[0].Name = "Servise" },
			} {
				a := s.Alarms[i].Normalize()
				at := slices.IndexFunc(a.Queries, func(q alarms.Query) bool { return q.Stat != nil && q.Stat.Namespace == s.Namespace })
				spoil(a.Queries[at].Stat)
				if found, _ := wrote.unmet(alarms.Set{Namespace: s.Namespace, Alarms: []alarms.Alarm{a}}); len(found) != 1 {
					t.Errorf("%s: %s with a wrong name passes: %v", name, a.Name, found)
				}
			}
		}
	}
	for _, q := range queries.OfFunctions() {
		for _, message := range all.unread(q) {
			t.Error(message)
		}
		for _, field := range q.Fields() {
			wrong := q
			wrong.Text = strings.ReplaceAll(q.Text, field, field+"x")
			if len(all.unread(wrong)) == 0 {
				t.Errorf("query %s with %sx in the place of %s passes", q.Name, field, field)
			}
		}
	}
}
