package lineage

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The first user's events, as they are published: every way of stamping is read
// back by every way of delivery, and no byte of the detail changes but for the
// member that was asked for.
func TestFirstUsersEvents(t *testing.T) {
	files, err := filepath.Glob("../../testdata/events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no events: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var given Entry
			if err := json.Unmarshal(data, &given); err != nil {
				t.Fatal(err)
			}
			for _, mode := range []StampMode{StampResources, StampDetail, StampBoth} {
				cfg := Config{Stamp: mode}
				entry, done, l := apply(t, cfg, given, handledEvent())
				if done.Skipped != "" || mode == StampResources && entry.Detail != given.Detail || !strings.HasPrefix(entry.Detail, given.Detail[:len(given.Detail)-1]) {
					t.Fatalf("mode %d: skipped %q", mode, done.Skipped)
				}
				resources, err := json.Marshal(entry.Resources)
				if err != nil {
					t.Fatal(err)
				}
				envelope := `{"version":"0","id":"env-1","detail-type":` + quoted(entry.DetailType) + `,"source":` + quoted(entry.Source) +
					`,"time":"2026-02-13T20:45:12Z","resources":` + string(resources) + `,"detail":` + entry.Detail + `}`
				payloads := []string{envelope, records(sqsRecord(envelope)), records(snsRecord(envelope)), records(sqsRecord(snsBody(envelope)))}
				if mode != StampResources {
					payloads = append(payloads, entry.Detail, records(sqsRecord(entry.Detail)))
				}
				for _, payload := range payloads {
					d := NewReader(cfg).Read([]byte(payload))
					if len(d.Events) != 1 || d.Malformed != 0 {
						t.Fatalf("mode %d: %d events, %d malformed", mode, len(d.Events), d.Malformed)
					}
					e := d.Events[0]
					got := e.Lineage
					if string(e.Detail) != entry.Detail || got.CorrelationID != l.CorrelationID || got.CausationID != l.CausationID || got.ParentID != "trade-1" ||
						got.Hops != 4 || !sameSpan(got.Publisher, l.Publisher) || !got.Stamped || !got.Correlated {
						t.Errorf("mode %d: %+v, want %+v", mode, got, l)
					}
				}
			}
		})
	}
}
