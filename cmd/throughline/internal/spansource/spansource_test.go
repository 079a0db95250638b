package spansource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// open parses flags and opens the source that they name.
func open(t *testing.T, args ...string) (Source, error) {
	t.Helper()
	return opened(t, spanstore.Tell{}, args...)
}

func opened(t *testing.T, tell spanstore.Tell, args ...string) (Source, error) {
	t.Helper()
	var f Flags
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }, SilenceErrors: true, SilenceUsage: true}
	f.Bind(cmd)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return Source{}, err
	}
	return f.Open(t.Context(), nil, time.Now(), tell)
}

func folderOf(t *testing.T, port string) string {
	t.Helper()
	dir, err := devfolder.Of(port)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// played makes the folder of a port that of a running application.
func played(t *testing.T, port, template string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	data, err := json.Marshal(devfolder.Application{Page: "http://" + listener.Addr().String(), Template: template})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folderOf(t, port), devfolder.ApplicationFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

const span = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000000%[1]","spanId":"000000000000000%[1]","name":"send A","kind":4,` +
	`"startTimeUnixNano":"1795813267000000000","endTimeUnixNano":"1795813268000000000","attributes":[{"key":"throughline.correlation.id","value":{"stringValue":"workflow-%[1]"}}]}]}]}]}` + "\n"

// TestNoFile advises the demo only where no file was named.
func TestNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{"there is no file nope.jsonl: name another": {"--file", "nope.jsonl"}, "no spans at build/demo/spans.jsonl: run `make demo`, or name a file with --file": nil} {
		source, err := open(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Workflows(t.Context(), false); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestDev reads what throughline dev keeps: in the folder that is named, or by its port.
func TestDev(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("HOME", home)
	for port, digit := range map[string]string{"4400": "1", "5000": "2"} {
		dir := folderOf(t, port)
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
		"workflow-1": {"--dev"}, "workflow-2": {"--dev=5000"}, "workflow-2 ": {"--dev=" + folderOf(t, "5000")},
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
	for port, at := range map[string]string{"5000": t.TempDir(), "4400": t.TempDir()} {
		played(t, port, filepath.Join(at, "template.yaml"))
		t.Chdir(at)
		source, err := open(t, "--dev")
		if err != nil || source.Where != "in "+folderOf(t, port) {
			t.Errorf("beside the template of %s: %v %s", port, err, source.Where)
		}
		if err := os.Remove(filepath.Join(folderOf(t, port), devfolder.ApplicationFile)); err != nil {
			t.Fatal(err)
		}
	}
	played(t, "5000", "/elsewhere/template.yaml")
	var notes []string
	source, err := opened(t, spanstore.Tell{Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }}, "--dev")
	if err != nil || source.Where != "in "+folderOf(t, "5000") || len(notes) != 1 || notes[0] != "reading the spans of /elsewhere/template.yaml; select others with --dev=PORT" {
		t.Errorf("with one application, in another folder: %v %s %q", err, source.Where, notes)
	}
	if err := os.Remove(filepath.Join(folderOf(t, "5000"), devfolder.ApplicationFile)); err != nil {
		t.Fatal(err)
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

// TestAFailureWithoutAWorkflow: of an invocation that failed before it received an event
// there is no workflow, and the errors say that it failed.
func TestAFailureWithoutAWorkflow(t *testing.T) {
	failure := func(trace, end, more string) string {
		return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"Fulfil"}}]},"scopeSpans":[{"spans":[{"traceId":"` + strings.Repeat(trace, 32) + `","spanId":"0000000000000003","name":"Fulfil","kind":2,` +
			`"startTimeUnixNano":"1795813268000000000","endTimeUnixNano":"` + end + `","status":{"code":2},"attributes":[` + more + `{"key":"faas.invocation_id","value":{"stringValue":"r"}},{"key":"error.type","value":{"stringValue":"Runtime.ImportModuleError"}}]}]}]}]}` + "\n"
	}
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	write := func(lines ...string) Source {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := open(t, "--file", file)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	const says = ": an invocation of Fulfil failed at 21:41:10Z, and no span says that it received an event (Runtime.ImportModuleError); see the function's log"
	source := write(failure("a", "1795815670000000000", ""))
	if err := source.None(t.Context()); terminal.Code(err) != terminal.Found || err.Error() != "no span has a correlation ID in "+file+says {
		t.Errorf("%v", err)
	}
	if _, _, err := source.OfEvent(t.Context(), "o-1"); terminal.Code(err) != terminal.Found || !strings.Contains(err.Error(), "event_id or eventId in its detail") || !strings.HasSuffix(err.Error(), says) {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		lines []string
		notes int
	}{
		"Later":      {[]string{strings.ReplaceAll(span, "%[1]", "1"), failure("a", "1795815670000000000", "")}, 1},
		"Earlier":    {[]string{strings.ReplaceAll(span, "%[1]", "1"), failure("a", "1795813267500000000", "")}, 0},
		"OfWorkflow": {[]string{failure("a", "1795815670000000000", ""), failure("a", "1795815670000000000", `{"key":"throughline.correlation.id","value":{"stringValue":"w"}},`)}, 0},
	} {
		source, notes := write(c.lines...), 0
		source.tell.Note = func(string, ...any) { notes++ }
		if source.NoteFailure(t.Context(), time.Unix(1795813268, 0)); notes != c.notes {
			t.Errorf("%s: %d notes", name, notes)
		}
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
