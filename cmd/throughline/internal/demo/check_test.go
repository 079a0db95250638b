package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// checkChecklist goes through the checklist with the files of a day that was
// really played: what the day does wrong on purpose fails, and nothing else does.
func checkChecklist(t *testing.T, dir string) {
	var out bytes.Buffer
	cmd := checkcmd.New(config.LoadDefaultConfig, time.Now)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--demo", dir, "--json"})
	if err := cmd.ExecuteContext(t.Context()); terminal.Code(err) != terminal.Found {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var document struct{ Items []judge.Result }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ status, evidence string }{
		"serialise":   {"pass", "12 events published, none refused; all 21 that were delivered parse"},
		"size":        {"fail", "SignalGenerated from strategy: 222406 bytes (signal-a03f2a2b-4cde-4e5a-9053-0be24f33b0ee), the limit is 200000"},
		"replay":      {"fail", "hedge handled the replay of all-trades-completed-112d4095-eced-4ded-abfa-1f10856aab1d and published HedgeEvaluationCompleted hedge-evaluation-completed-2d2cb4cf-2197-41e5-9a7e-357479d14ba0"},
		"dlq":         {"pass", "of rule schedules, NO_PERMISSIONS"},
		"durations":   {"pass", "slowest of 22 invocations is "},
		"correlation": {"pass", " runs through 6 functions: "},
		"delay":       {"skip", "execution makes up to 3 calls an invocation: 2s more each would come to"},
		"loops":       {"pass", "the deepest event is at hop 4 of 16"},
		"bus":         {"pass", bus + ", with 7 rules"},
		"resources":   {"pass", "7 rules, none matches on resources"},
		"targets":     {"pass", "9 targets, each with a queue: dead-letters"},
		"policies":    {"skip", "the local bus"},
		"timeouts":    {"fail", "reports timed out after 1s once"},
		"logs":        {"skip", "the local Lambda"},
		"metrics":     {"pass", "metrics of 7 of 7 functions"},
		"names":       {"pass", "names in the catalogue"},
	}
	if len(document.Items) != len(want) {
		t.Errorf("%d items, want %d", len(document.Items), len(want))
	}
	for _, r := range document.Items {
		if w := want[r.ID]; string(r.Status) != w.status || !strings.Contains(r.Evidence, w.evidence) {
			t.Errorf("%s: %s: %s %s\nwant %s: %s", r.ID, r.Status, r.Evidence, r.Details, w.status, w.evidence)
		}
	}
}
