package demo

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/peertest"
)

// TestTradingDayInJaeger sends the day to a real Jaeger, reads it back over its
// query API and holds every link, parent and attribute found there to the
// bus's ledger.
func TestTradingDayInJaeger(t *testing.T) {
	collectorURL, queryURL := startJaeger(t)
	o := options(t)
	o.ForwardTo = collectorURL + "/v1/traces"
	d, err := play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d.passed != nil {
		t.Fatal(d.passed)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	jaeger := workflow.Jaeger{URL: queryURL, Client: &http.Client{Transport: transport}}
	var spans []workflow.Span
	for deadline := time.Now().Add(30 * time.Second); len(spans) < len(d.reported.spans) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if spans, err = jaeger.Spans(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(spans) != len(d.reported.spans) {
		t.Fatalf("%d spans in Jaeger, %d were sent", len(spans), len(d.reported.spans))
	}
	parents := map[workflow.ID]string{}
	for _, s := range d.reported.spans {
		parents[s.ID] = s.Parent
	}
	for _, s := range spans {
		if s.Parent != parents[s.ID] {
			t.Errorf("%s: its parent is %s in Jaeger, %s was sent", s.Name, s.Parent, parents[s.ID])
		}
	}
	id := "workflow-6513270e-269e-4d37-b2a7-4de452e6b438"
	var here, there bytes.Buffer
	if err := workflow.WriteText(&here, workflow.Build(d.reported.spans, id)); err != nil {
		t.Fatal(err)
	}
	if err := workflow.WriteText(&there, workflow.Build(spans, id)); err != nil {
		t.Fatal(err)
	}
	if here.String() != there.String() {
		t.Errorf("the tree in Jaeger is\n%s\nand was\n%s", there.String(), here.String())
	}
	d.reported.spans = spans
	if differences := verify(d.truth, d.reported, d.details); len(differences) > 0 {
		t.Errorf("in Jaeger differs:\n%s", strings.Join(differences, "\n"))
	}
}

// startJaeger runs the Jaeger that `make jaeger` builds, on free ports.
func startJaeger(t *testing.T) (collectorURL, queryURL string) {
	t.Helper()
	binary, err := filepath.Abs("../../../../bin/tools/jaeger")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		peertest.Missing(t, "Jaeger, which `make jaeger` builds,")
	}
	args := []string{"--collector.otlp.enabled=true"}
	addresses := map[string]string{}
	var held []net.Listener // all are taken until all are chosen
	for _, name := range []string{
		"collector.otlp.http.host-port", "collector.otlp.grpc.host-port", "query.http-server.host-port", "query.grpc-server.host-port",
		"collector.http-server.host-port", "collector.grpc-server.host-port", "admin.http.host-port",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses[name] = listener.Addr().String()
		args = append(args, fmt.Sprintf("--%s=%s", name, addresses[name]))
		held = append(held, listener)
	}
	for _, listener := range held {
		listener.Close()
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Jaeger said:\n%s", log.String())
		}
	})
	queryURL = "http://" + addresses["query.http-server.host-port"]
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := (&http.Client{Transport: transport}).Get(queryURL + "/api/services")
		if err == nil {
			resp.Body.Close()
			return "http://" + addresses["collector.otlp.http.host-port"], queryURL
		}
		if time.Now().After(deadline) {
			t.Fatalf("Jaeger does not answer: %v", err)
		}
	}
}
