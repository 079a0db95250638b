package devcmd

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/peertest"
)

const root = "../../../.."

var addressLine = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serveExample starts an example with the variables that dev prints, and returns its address,
// which is in what it says, and what ends it.
func serveExample(t *testing.T, s started, service, dir string, env []string, command ...string) (url string, end func()) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), s.variables()...), append(env, "OTEL_SERVICE_NAME="+service, "PORT=0")...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	said := make(chan string, 1)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at := addressLine.FindString(lines.Text()); at != "" {
				said <- at
				break
			}
			t.Logf("%s: %s", service, lines.Text())
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	end = func() {
		_ = cmd.Process.Signal(os.Interrupt) // it sends what it has
		ended := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		for range said { // the pipe is read to its end
		}
		_ = out.Close()
	}
	t.Cleanup(end)
	select {
	case url = <-said:
	case <-time.After(2 * time.Minute):
	}
	if url == "" {
		t.Fatalf("%s does not answer", service)
	}
	return url, end
}

// TestExamples runs the services of examples/otlp with OpenTelemetry's distributions: one
// request is one trace over the three, under their names, and its tree is in the browser
// soon after the spans came.
func TestExamples(t *testing.T) {
	python, express := filepath.Join(root, "build/otlp/python/bin"), filepath.Join(root, "build/otlp/express/node_modules")
	for _, path := range []string{filepath.Join(python, "opentelemetry-instrument"), express} {
		if _, err := os.Stat(path); err != nil {
			peertest.Missing(t, "OpenTelemetry's distributions, which `make otlp` installs,")
		}
	}
	node := peertest.Command(t, "node")
	price := filepath.Join(t.TempDir(), "price")
	build := exec.Command("go", "build", "-o", price, ".")
	build.Dir, build.Env = filepath.Join(root, "examples/otlp/go"), append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the Go example: %v\n%s", err, out)
	}
	abs := func(path string) string {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	s, _ := begin(t, "--dir", t.TempDir())
	prices, endPrices := serveExample(t, s, "price", ".", nil, price)
	stock, endStock := serveExample(t, s, "stock", filepath.Join(root, "examples/otlp/express"), []string{"PRICE_URL=" + prices, "NODE_PATH=" + abs(express)},
		node, "--require", "@opentelemetry/auto-instrumentations-node/register", "app.js")
	shop, endShop := serveExample(t, s, "shop", filepath.Join(root, "examples/otlp/flask"), []string{"STOCK_URL=" + stock, "PATH=" + abs(python) + ":" + os.Getenv("PATH")},
		abs(filepath.Join(python, "opentelemetry-instrument")), "flask", "--app", "app", "run", "--port", "0")
	b := peertest.Chromium(t)
	b.View(1300, 800, false)
	b.Open(s.Page+"/", "document.getElementById('state')")
	began := time.Now()
	resp, err := http.Get(shop + "/orders/tea")
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(answer) != "tea is ordered: 3 left, 2.50 each\n" {
		t.Fatalf("it answers %q", answer)
	}
	until(t, b, "[...document.querySelectorAll('#list a')].some((a) => a.textContent.includes('shop') && a.textContent.includes('GET /orders/'))")
	t.Logf("in the list %v after the request", time.Since(began).Round(time.Millisecond))
	endShop()
	endStock()
	endPrices()
	l := workflows(t, s.Page+"/api/workflows")
	i := slices.IndexFunc(l.Workflows, func(r row) bool { return strings.HasPrefix(r.Name, "GET /orders/") })
	if i < 0 {
		t.Fatalf("%+v", l)
	}
	trace := l.Workflows[i]
	functions := slices.Sorted(slices.Values(trace.Functions))
	if fmt.Sprint(functions) != "[price shop stock]" || trace.Errors > 0 || trace.Spans < 5 {
		t.Errorf("%+v", trace)
	}
	began = time.Now()
	b.Eval("document.querySelector('#list a[href=\"#t="+trace.TraceID+"\"]').click()", nil)
	until(t, b, "['shop', 'stock', 'price'].every((name) => "+inFrame("rows")+".includes(name))")
	t.Logf("opened in %v", time.Since(began).Round(time.Millisecond))
	_, tree := get(t, s.Page+"/api/workflow?trace="+trace.TraceID)
	for _, want := range []string{`"function":"shop"`, `"function":"stock"`, `"function":"price"`} {
		if !strings.Contains(tree, want) {
			t.Errorf("the tree has no %s:\n%s", want, tree)
		}
	}
	if !regexp.MustCompile(`"depth":[3-9]`).MatchString(tree) {
		t.Errorf("the services are not below each other:\n%s", tree)
	}
}
