package spansource

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// open parses flags and opens the source that they name.
func open(t *testing.T, args ...string) (Source, error) {
	t.Helper()
	var f Flags
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }, SilenceErrors: true, SilenceUsage: true}
	f.Bind(cmd)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return Source{}, err
	}
	return f.Open(t.Context(), nil, time.Now(), spanstore.Tell{})
}

const span = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000000%[1]","spanId":"000000000000000%[1]","name":"send A","kind":4,` +
	`"startTimeUnixNano":"1795813267000000000","endTimeUnixNano":"1795813268000000000","attributes":[{"key":"throughline.correlation.id","value":{"stringValue":"workflow-%[1]"}}]}]}]}]}` + "\n"

// TestDev reads what throughline dev keeps: in the folder that is named, or by its port.
func TestDev(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("HOME", home)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for port, digit := range map[string]string{"4400": "1", "5000": "2"} {
		dir := spanstore.DevFolder(cache, port)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		half := span[:len(span)/2]
		for name, text := range map[string]string{"spans-1.jsonl": span, "spans-2.jsonl": half, "other.jsonl": "?"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "%[1]", digit)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for want, args := range map[string][]string{
		"workflow-1": {"--dev"}, "workflow-2": {"--dev=5000"}, "workflow-2 ": {"--dev=" + spanstore.DevFolder(cache, "5000")},
	} {
		source, err := open(t, args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		known, err := source.Workflows(t.Context(), false)
		if err != nil || len(known) != 1 || known[0].CorrelationID != strings.TrimSpace(want) {
			t.Errorf("%v: %v %v", args, known, err)
		}
	}
	if _, err := open(t, "--dev=4401"); err == nil || !strings.Contains(err.Error(), "start throughline dev") || !strings.Contains(err.Error(), "have spans: --dev=") {
		t.Errorf("a port where nothing is: %v", err)
	}
	if source, err := open(t, "--dev"); err != nil || !strings.HasSuffix(source.Hint, "; other folders of throughline dev have spans: --dev=5000") {
		t.Errorf("the hint %q %v", source.Hint, err)
	}
}

// TestOfIDTakesTheBeginning of an ID that AWS gave, where one begins with it alone.
func TestOfIDTakesTheBeginning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	text := ""
	for digit, id := range map[string]string{"1": "059f36b4-87a3", "2": "059f0000-0001"} {
		one := strings.ReplaceAll(span, "%[1]", digit)
		text += strings.Replace(one, `"attributes":[`, `"attributes":[{"key":"messaging.message.id","value":{"stringValue":"`+id+`"}},`, 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := open(t, "--file", file)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][2]string{"059f36b4-87a3": {"workflow-1", "059f36b4-87a3"}, "059f3": {"workflow-1", "059f36b4-87a3"}, "059f0": {"workflow-2", "059f0000-0001"}} {
		if got, whole, err := source.OfID(t.Context(), id); got != want[0] || whole != want[1] || err != nil {
			t.Errorf("%s: %s, %s, %v", id, got, whole, err)
		}
	}
	if _, _, err := source.OfID(t.Context(), "059f"); terminal.Code(err) != terminal.Misused || !strings.Contains(err.Error(), "several IDs begin with 059f") {
		t.Errorf("%v", err)
	}
	if _, _, err := source.OfID(t.Context(), "06"); terminal.Code(err) != terminal.Found {
		t.Errorf("%v", err)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"--since", "0s"}, {"--jaeger", "127.0.0.1:16686"}, {"--dev", "--xray"}, {"--jaeger", "http://127.0.0.1:1", "--file", "x"}} {
		if _, err := open(t, args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

func TestANoteIsToldOnce(t *testing.T) {
	var errs bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&errs)
	tell, end := Tell(cmd)
	for range 2 {
		tell.Note("%d spans were left out", 3)
	}
	end()
	if errs.String() != "note: 3 spans were left out\n" {
		t.Errorf("%q", errs.String())
	}
}
