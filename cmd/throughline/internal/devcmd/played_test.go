package devcmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/peertest"
)

// extension is the layer's binary, built once for the tests that play an application.
var extension = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "throughline-dev")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "throughline-extension")
	cmd := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-o", path, "github.com/throughline/throughline/cmd/throughline-extension")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

// playable is the arguments that play a template, where this machine has what that takes.
func playable(t *testing.T, template string, flags ...string) []string {
	t.Helper()
	peertest.Module(t, "boto3")
	peertest.Command(t, "node")
	path, err := extension()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{template, "--extension", path, "--quiet"}, flags...)
}

// ask asks the application that is played, as the commands do.
func ask(t *testing.T, s started, method, path, body string, out any) {
	t.Helper()
	at, err := url.Parse(s.App)
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(at.Fragment, "token=")
	req, err := http.NewRequestWithContext(t.Context(), method, s.Page+"/app/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(tokenHeader, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(b.Bytes(), out) != nil {
		t.Fatalf("%s: %v %s %s", path, err, resp.Status, &b)
	}
}

// TestAnEventFromThePage: an event is sent from the page, and its workflow grows on the
// screen across Python, Go and Node.js.
func TestAnEventFromThePage(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, playable(t, "../../../../examples/sam/template.yaml", "--dir", t.TempDir())...)
	b.View(1200, 900, false)
	b.Open(s.App, "document.getElementById('state')")
	frame := "document.getElementById('tree').contentDocument"
	field := func(id string) string { return frame + ".getElementById('" + id + "')" }
	until(t, b, field("type")+" && "+field("type")+".value === 'SignalGenerated'")
	var shown string
	if b.Eval("location.href", &shown); strings.Contains(shown, "token") {
		t.Errorf("the token stays in %s", shown)
	}
	for _, view := range []struct {
		width int
		dark  bool
	}{{390, false}, {1200, true}} {
		b.View(view.width, 900, view.dark)
		for _, wrong := range b.Axe("../../../..") {
			t.Errorf("at %d: %s", view.width, wrong)
		}
	}
	b.View(1200, 900, false)
	b.Eval(field("detail")+`.value = '{"event_id": "signal-1", "correlation_id": "workflow-of-the-page", "signals": {"AAPL": "0.6", "MSFT": "0.4"}}'`, nil)
	began := time.Now()
	b.Eval(field("send")+".requestSubmit()", nil)
	until(t, b, "location.hash === '#w=workflow-of-the-page'")
	tree := "(" + frame + ".location.pathname === '/workflow' && " + frame + ".body ? " + frame + ".body.textContent : '')"
	until(t, b, tree+".includes('Portfolio')")
	t.Logf("the first tree came after %s", time.Since(began))
	until(t, b, "["+`'SignalGenerated', 'Portfolio', 'RebalancePlanned', 'Execution', 'POST /v2/orders', 'TradeExecuted', 'Notifications'`+"].every((name) => "+tree+".includes(name))")
	t.Logf("the whole tree came after %s", time.Since(began))
	if said := b.Said(); len(said) > 0 {
		t.Errorf("it said %v", said)
	}
}

func TestFlagsOfAnApplicationNeedOne(t *testing.T) {
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--allow", "example.com"})
	var coded terminal.Exit
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--allow needs an application: name its template") {
		t.Errorf("%v", err)
	} else if !errors.As(err, &coded) || coded.Code != terminal.Misused {
		t.Errorf("%v ends with another code", err)
	}
}

// TestAWrongTemplateLeavesNothing: what cannot be played leaves no folder, in which other
// commands would look for spans.
func TestAWrongTemplateLeavesNothing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(empty, []byte("Resources: {Q: {Type: AWS::SQS::Queue}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable() // stands for the extension, which is not started
	if err != nil {
		t.Fatal(err)
	}
	const sam = "../../../../examples/sam/template.yaml"
	for want, args := range map[string][]string{
		"read the template":               {"nope.yaml"},
		"has no function that can be":     {empty},
		"has no parameter Nope":           {sam, "--set", "Nope=1"},
		"--fault fail@Nope matches":       {sam, "--fault", "fail@Nope"},
		"--fault \"explode\" is":          {sam, "--check", "samples", "--fault", "explode"},
		"read the template: open no.yaml": {"no.yaml", "--check", "samples"},
	} {
		cmd := New()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(args, "--addr", "127.0.0.1:0", "--otlp-addr", "127.0.0.1:0", "--extension", own))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if left, err := os.ReadDir(cache); err == nil && len(left) > 0 {
		t.Errorf("%s has %v", cache, left)
	}
}

// descendants are the processes that a process and those below it have started.
func descendants(pid int) map[int]string {
	parents, names := map[int]int{}, map[int]string{}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		head, tail, ok := bytes.Cut(data, []byte(") "))
		fields := bytes.Fields(tail)
		if !ok || len(fields) < 2 || fields[0][0] == 'Z' {
			continue
		}
		id, name, _ := strings.Cut(string(head), " (")
		child, _ := strconv.Atoi(id)
		parents[child], _ = strconv.Atoi(string(fields[1]))
		names[child] = name
	}
	below := map[int]string{}
	for child := range parents {
		for at := parents[child]; at > 1; at = parents[at] {
			if at == pid {
				below[child] = names[child]
			}
		}
	}
	return below
}

// TestNoProcessIsLeft: whichever way dev ends, what it started ends too.
func TestNoProcessIsLeft(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("what processes there are is read from /proc: test skipped")
	}
	for name, signal := range map[string]os.Signal{"Interrupt": os.Interrupt, "Kill": os.Kill} {
		t.Run(name, func(t *testing.T) {
			p := run(t, playable(t, "../app/testdata/layers/template.yaml", "--dir", t.TempDir())...)
			for _, function := range []string{"Py", "Js"} {
				var out any
				ask(t, p.started, http.MethodPost, "invoke?function="+function, "{}", &out)
			}
			below := descendants(p.Process.Pid)
			if len(below) < 4 { // two runtimes, two extensions
				t.Fatalf("it has started %v", below)
			}
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				left := ""
				for pid, name := range below {
					if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !bytes.Contains(data, []byte(") Z ")) && bytes.Contains(data, []byte("("+name+")")) {
						left = cmp.Or(left, name)
					}
				}
				if left == "" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is left of %v", left, below)
				}
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// state is what the application tells of itself.
type state struct {
	Functions []struct {
		Name                string
		Invocations, Errors int
	}
	Queues []struct {
		Name                       string
		Visible, InFlight, Delayed int
	}
	Bus     struct{ Events, Deliveries int }
	Waiting int
	Faults  []struct {
		Rule  string
		Count int
	}
}

// TestManyEventsWithFaults: of many events, some of which are delivered twice, later, or not
// at the first attempt, and some of whose functions are killed, the page has each workflow
// with what the ledgers of the stands have of it, in bounded memory.
func TestManyEventsWithFaults(t *testing.T) {
	events := 10_000
	if os.Getenv("THROUGHLINE_SOAK") == "" {
		events /= 20
	}
	p := run(t, playable(t, "testdata/volume/template.yaml", "--dir", t.TempDir(), "--limit", "2000", "--concurrency", "2",
		"--fault", "duplicate:5%@Relay", "--fault", "reorder=500ms:10%", "--fault", "fail:5%", "--fault", "kill:1%@Relay", "--fault", "throttle:5%@PutEvents")...)
	var at state
	for n := range events {
		detail := fmt.Sprintf(`{"source":"test","detail-type":"Placed","detail":{"event_id":"e-%d","correlation_id":"workflow-%[1]d"}}`, n)
		body, _ := json.Marshal(map[string]string{"event": detail})
		var sent []struct{ Rules []string }
		if ask(t, p.started, http.MethodPost, "send", string(body), &sent); len(sent) != 1 || len(sent[0].Rules) != 1 {
			t.Fatalf("%+v", sent)
		}
	}
	// Nothing happens any more once each number stays.
	for quiet, before := 0, ""; quiet < 20; time.Sleep(100 * time.Millisecond) {
		at = state{}
		ask(t, p.started, http.MethodGet, "state", "", &at)
		now := fmt.Sprint(at.Functions, at.Bus, at.Queues)
		if quiet++; now != before || at.Waiting > 0 {
			quiet, before = 0, now
		}
	}
	struck := 0
	for _, f := range at.Faults {
		t.Logf("%s struck %d times", f.Rule, f.Count)
		struck += f.Count
	}
	if struck == 0 {
		t.Error("nothing went wrong")
	}
	if l := workflows(t, p.Page+"/api/workflows"); l.Found != events {
		t.Errorf("the page has %d workflows of %d", l.Found, events)
	}
	t.Logf("dev took %d MB at most", p.peak()>>20)
	if most := int64(300 << 20); p.peak() > most {
		t.Errorf("dev took %d MB", p.peak()>>20)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // what is still to be exported is
	invocations, handlings, relayed, seen := map[string]int{}, map[string]int{}, 0, map[workflow.ID]bool{}
	if err := spanstore.Each(t.Context(), spanstore.Folder(p.started.Dir, spanstore.Tell{}), spanstore.Tell{}, func(s *workflow.Span) error {
		switch {
		case seen[s.ID]:
		case s.Kind == "SERVER" && s.Name == s.Service:
			invocations[s.Service]++
		case strings.HasPrefix(s.Name, "process "):
			handlings[s.Service]++
		case s.Name == "send Relayed":
			relayed++
		}
		seen[s.ID] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range at.Functions {
		t.Logf("%s: %d invocations, %d errors; of spans %d and %d handlings", f.Name, f.Invocations, f.Errors, invocations[f.Name], handlings[f.Name])
		if invocations[f.Name] != f.Invocations {
			t.Errorf("%s was invoked %d times, and the page has %d invocations", f.Name, f.Invocations, invocations[f.Name])
		}
		// One whose runtime was killed before it fetched its event has no handling of it.
		if n := handlings[f.Name]; n > f.Invocations || n < f.Invocations-f.Errors {
			t.Errorf("%s was invoked %d times, of which %d failed, and the page has %d handlings", f.Name, f.Invocations, f.Errors, n)
		}
	}
	killed := 0 // and maybe while it published
	for _, f := range at.Functions {
		killed += f.Errors
	}
	if want := at.Bus.Events - events; relayed < want-killed || relayed > want+killed {
		t.Errorf("%d events were relayed, and the page has %d", want, relayed)
	}
}
