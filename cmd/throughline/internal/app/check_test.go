package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

// checked checks an application, and returns the items by ID, what was said, and the code.
func checked(t *testing.T, template string, f Flags) (items map[string]string, said string, code int) {
	t.Helper()
	peertest.Module(t, "boto3")
	peertest.Command(t, "node")
	f.extension = extension(t)
	if f.concurrency == 0 {
		f.concurrency = 1
	}
	var out, errs output
	cmd := &cobra.Command{RunE: func(cmd *cobra.Command, _ []string) error { return f.Check(cmd, template, t.TempDir(), true) }, SilenceErrors: true, SilenceUsage: true}
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(nil)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		var coded interface{ ExitCode() int }
		if code = terminal.CouldNot; errors.As(err, &coded) {
			code = coded.ExitCode()
		}
		errs.b.WriteString(err.Error())
	}
	var document struct {
		Items []struct{ ID, Status, Evidence string }
	}
	_ = json.Unmarshal([]byte(out.String()), &document) // it is empty if nothing was played
	items = map[string]string{}
	for _, i := range document.Items {
		items[i.ID] = i.Status + " " + i.Evidence
	}
	return items, errs.String(), code
}

const givenEvent = `{"source":"test","detail-type":"Given","detail":{"event_id":"given-1","correlation_id":"workflow-1"}}`

func TestCheckPasses(t *testing.T) {
	s := scene{t: t}
	items, said, code := checked(t, "testdata/ready/template.yaml", Flags{check: []string{s.file(givenEvent)}, faults: []string{"duplicate"}})
	if code != 0 {
		t.Errorf("it ends with %d\n%s\n%v", code, said, items)
	}
	for item, want := range map[string]string{"serialise": "pass", "replay": "pass", "dlq": "pass Given given-1 of rule TakeE, NO_PERMISSIONS", "correlation": "pass workflow-1", "targets": "pass", "bus": "pass ready", "loops": "pass", "timeouts": "pass", "metrics": "pass"} {
		if !strings.HasPrefix(items[item], want) {
			t.Errorf("%s: %s\n%s", item, items[item], said)
		}
	}
	if !strings.Contains(said, "playing 1 event with duplicate") || !strings.Contains(said, "as a replay") {
		t.Errorf("%s", said)
	}
}

// TestCheckFails: an application that does on a replay what it did before, without queues
// for what fails, is no application to go live.
func TestCheckFails(t *testing.T) {
	items, said, code := checked(t, "testdata/saga/template.yaml", Flags{check: []string{"samples"}})
	if code != terminal.Found || !strings.HasPrefix(items["replay"], "fail") || !strings.HasPrefix(items["targets"], "fail") || !strings.Contains(said, "playing 4 events with duplicate:20%, reorder=300ms:20%, http-delay=1s") {
		t.Errorf("it ends with %d: %v\n%s", code, items, said)
	}
	s := scene{t: t}
	items, said, code = checked(t, "testdata/ready/template.yaml", Flags{check: []string{s.file(givenEvent)}, set: map[string]string{"Fail": "yes"}})
	if code != terminal.Found || !strings.Contains(said, "invocations failed: Take") {
		t.Errorf("it ends with %d: %v\n%s", code, items, said)
	}
}

// TestCheckEnds although a function fails a message again and again that no dead-letter queue
// takes, and says so.
func TestCheckEnds(t *testing.T) {
	_, said, code := checked(t, "testdata/endless/template.yaml", Flags{check: []string{"samples"}, faults: []string{"duplicate"}})
	for _, want := range []string{"of the queue Orders 10 times, and dev dropped it", "Give the queue a RedrivePolicy", "invocations failed: Bill (", "name a file of events instead"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	if code != terminal.Found {
		t.Errorf("it ends with %d\n%s", code, said)
	}
}

func TestCheckRefuses(t *testing.T) {
	s := scene{t: t}
	for name, c := range map[string]struct {
		check, want string
		code        int
	}{
		"NoFile":  {"no-such-file.json", "name a file of events, or samples", terminal.Misused},
		"NoEvent": {s.file(`{"a":1}`), "the file has no event", terminal.Misused},
		"NoRule":  {s.file(`{"source":"x","detail-type":"Other","detail":{}}`), "no rule matches any of the events", terminal.CouldNot},
	} {
		t.Run(name, func(t *testing.T) {
			if _, said, code := checked(t, "testdata/ready/template.yaml", Flags{check: []string{c.check}}); code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("it ends with %d: %s", code, said)
			}
		})
	}
}
