package devcmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/peertest"
)

// asCommand names the variable with which the test's binary is the command itself.
const asCommand = "THROUGHLINE_TEST_DEV"

// process is the command in a process of its own.
type process struct {
	*exec.Cmd
	started
}

// run starts the command as a process.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], append([]string{"--json", "--addr", "127.0.0.1:0", "--otlp-addr", "127.0.0.1:0"}, args...)...)}
	p.Env = append(os.Environ(), asCommand+"=1")
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&p.started); err != nil {
		t.Fatalf("it does not begin: %v", err)
	}
	return p
}

// peak is the most memory that the process had, in bytes; 0 where nothing tells.
func (p *process) peak() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	kb := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if kb == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(kb[1]), 10, 64)
	return n << 10
}

// batch is a request with the spans from one number to another, in workflows of perWorkflow.
func batch(from, to, perWorkflow int) string {
	var b bytes.Buffer
	for n := from; n < to; n++ {
		one := request(fmt.Sprint("workflow-", n/perWorkflow), n)
		const list = `"spans":[`
		at := strings.Index(one, list) + len(list)
		if n == from {
			b.WriteString(one[:at])
		} else {
			b.WriteByte(',')
		}
		b.WriteString(strings.TrimSuffix(one[at:], "]}]}]}"))
	}
	return b.String() + "]}]}]}"
}

// send posts a request and tells whether it was acknowledged.
func send(url, body string) bool {
	resp, err := http.Post(url+"/v1/traces", "application/json", strings.NewReader(body))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestKilledAndNothingIsLost sends spans from several senders at once while the process
// is killed again and again: every span that was acknowledged is there, and the memory is
// small.
func TestKilledAndNothingIsLost(t *testing.T) {
	total, kills := 5_000, 3
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		total, kills = 100_000, 10
	}
	const senders, size, most = 4, 50, 250_000_000
	dir := t.TempDir()
	p := run(t, "--dir", dir)
	var mu sync.Mutex // of url
	url := p.OTLP
	var acknowledged [senders]map[int]bool
	var sent atomic.Int64
	var all sync.WaitGroup
	for sender := range senders {
		acknowledged[sender] = map[int]bool{}
		all.Go(func() {
			for from := sender * total / senders; from < (sender+1)*total/senders; from += size {
				for to := min(from+size, (sender+1)*total/senders); ; time.Sleep(10 * time.Millisecond) {
					mu.Lock()
					at := url
					mu.Unlock()
					if send(at, batch(from, to, 20)) {
						for n := from; n < to; n++ {
							acknowledged[sender][n] = true
						}
						sent.Add(int64(to - from))
						break
					}
				}
			}
		})
	}
	largest := int64(0)
	for kill := range kills {
		for deadline := time.Now().Add(5 * time.Minute); sent.Load() < int64((kill+1)*total/(kills+1)); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing is taken any more")
			}
		}
		largest = max(largest, p.peak())
		_ = p.Process.Kill()
		_ = p.Wait()
		p = run(t, "--dir", dir)
		mu.Lock()
		url = p.OTLP
		mu.Unlock()
	}
	all.Wait()
	largest = max(largest, p.peak())
	http.DefaultClient.CloseIdleConnections()
	l := workflows(t, p.Page+"/api/workflows")
	if l.Found != total/20 {
		t.Errorf("%d workflows of %d", l.Found, total/20)
	}
	_ = p.Process.Kill()
	_ = p.Wait()
	kept := map[string]bool{}
	err := spanstore.Each(t.Context(), spanstore.Folder(dir, spanstore.Tell{}), spanstore.Tell{}, func(s *workflow.Span) error {
		kept[s.EventID()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, numbers := range acknowledged {
		for n := range numbers {
			if !kept[fmt.Sprint("event-", n)] {
				lost++
			}
		}
	}
	t.Logf("%d spans, killed %d times, at most %d MB of memory", total, kills, largest/1e6)
	if lost > 0 || sent.Load() != int64(total) || largest > most {
		t.Errorf("%d of %d acknowledged spans are lost; %d MB of memory", lost, sent.Load(), largest/1e6)
	}
}

// TestMemoryAtTheLimit sends several times what is kept: neither the folder nor the
// memory grows with it, with the page and the map asked for all the while.
func TestMemoryAtTheLimit(t *testing.T) {
	total := 30_000
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		total = 300_000
	}
	const limit, most = 5_000_000, 250_000_000
	dir := t.TempDir()
	p := run(t, "--dir", dir, "--limit", "5")
	for from := 0; from < total; from += 500 {
		if !send(p.OTLP, batch(from, from+500, 20)) {
			t.Fatal("it takes no more")
		}
		if from%5000 == 0 {
			_, _ = get(t, p.Page+"/map")
			_, _ = get(t, p.Page+"/workflow?id=workflow-"+strconv.Itoa(from/20))
		}
	}
	size := int64(0)
	paths, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	l := workflows(t, p.Page+"/api/workflows")
	t.Logf("%d spans, %d workflows in %.1f MB, %d MB of memory", total, l.Found, float64(size)/1e6, p.peak()/1e6)
	if size > limit || size < limit/2 || p.peak() > most || len(l.Workflows) == 0 || l.Workflows[0].CorrelationID != fmt.Sprint("workflow-", total/20-1) {
		t.Errorf("%d bytes, %d of memory", size, p.peak())
	}
}

// TestItEndsAtOnce where it is told to, with a page that waits, and leaves no process.
func TestItEndsAtOnce(t *testing.T) {
	p := run(t, "--dir", t.TempDir())
	version := workflows(t, p.Page+"/api/workflows").Version
	waits := make(chan bool)
	go func() {
		resp, err := http.Get(fmt.Sprint(p.Page, "/api/workflows?after=", version))
		if err == nil {
			_ = resp.Body.Close()
		}
		close(waits)
	}()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	<-waits
	http.DefaultClient.CloseIdleConnections()
}

// TestThePageOfManySpans follows 50 000 spans in a browser, without a reload.
func TestThePageOfManySpans(t *testing.T) {
	const total = 50_000
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	b.View(1200, 800, false)
	b.Open(s.Page+"/", "document.getElementById('state')")
	b.Eval("window.stays = true", nil)
	began := time.Now()
	for from := 0; from < total; from += 500 {
		if status := post(t, s, batch(from, from+500, 20)); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	taken := time.Since(began)
	until(t, b, "document.getElementById('state').textContent.startsWith('2,500 workflows')")
	shown := time.Since(began)
	var list struct{ Rows, Tabs int }
	b.Eval("({rows: document.querySelectorAll('#list a').length, tabs: document.querySelectorAll('#list a[tabindex=\"0\"]').length})", &list)
	if list.Rows != listed || list.Tabs != 1 {
		t.Errorf("%+v", list)
	}
	began = time.Now()
	b.Eval("location.hash = '#w=workflow-2499'", nil)
	until(t, b, inFrame("summary")+".includes('workflow-2499') && "+inFrame("summary")+".includes('20events')")
	opened := time.Since(began)
	began = time.Now()
	post(t, s, request("workflow-2499", total))
	until(t, b, inFrame("summary")+".includes('21events')")
	renewed := time.Since(began)
	began = time.Now()
	b.Eval("document.getElementById('find').value = 'workflow-1234'; document.getElementById('find').dispatchEvent(new Event('input'))", nil)
	until(t, b, "document.querySelectorAll('#list a').length === 1")
	var stays bool
	if b.Eval("window.stays === true", &stays); !stays {
		t.Error("the page was loaded again")
	}
	t.Logf("50 000 spans taken in %v, listed after %v; a workflow opened in %v, renewed in %v; a search in %v", taken, shown, opened, renewed, time.Since(began))
	if said := b.Said(); len(said) > 0 {
		t.Errorf("it said %v", said)
	}
}

// inFrame is the text of an element of what is chosen.
func inFrame(id string) string {
	return "((document.getElementById('tree').contentDocument && document.getElementById('tree').contentDocument.getElementById('" + id + "')) || {textContent: ''}).textContent"
}

// until waits for what is true of the page.
func until(t *testing.T, b *peertest.Browser, what string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var is bool
		if b.Eval("Boolean("+what+")", &is); is {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s; it said %v", what, b.Said())
		}
	}
}
