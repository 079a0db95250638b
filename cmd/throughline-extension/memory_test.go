package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/handshake"
	"github.com/throughline/throughline/internal/hostile"
)

// built is the binary as the layer has it.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "throughline-extension")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -funcalign=16", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// lambda answers as Lambda's APIs do, and tells of no invocation.
func lambda(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/register"):
			w.Header().Set("Lambda-Extension-Identifier", "id")
			_, _ = io.WriteString(w, `{"functionName":"f"}`)
		case strings.HasSuffix(r.URL.Path, "/next"):
			<-r.Context().Done()
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `"OK"`)
		}
	}))
	s.Config.MaxHeaderBytes = 4 << 20
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// Whatever is sent to the endpoints, alone and a hundred at once, the memory is
// the function's.
func TestHostileRequestsStayWithinTheMemory(t *testing.T) {
	const most = 40_000_000
	binary := built(t)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(backend.Close)
	hostile.Within(t, most, func(t *testing.T) (int, map[string]string) {
		tmp := t.TempDir()
		cmd := exec.Command(binary)
		cmd.Env = []string{
			"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(lambda(t).URL, "http://"), "AWS_LAMBDA_EXEC_WRAPPER=/opt/throughline/wrapper",
			"THROUGHLINE_ENDPOINTS=otlp,events,alpaca,runtime", "THROUGHLINE_EVENTS_UPSTREAM=" + backend.URL, "THROUGHLINE_ALPACA_UPSTREAM=" + backend.URL, "OTEL_EXPORTER_OTLP_ENDPOINT=" + backend.URL,
			"TMPDIR=" + tmp, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_LAMBDA_INITIALIZATION_TYPE=lambda-managed-instances",
		}
		log, err := os.Create(filepath.Join(tmp, "log"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		var endpoints map[string]string
		for deadline := time.Now().Add(20 * time.Second); len(endpoints) < 4; time.Sleep(5 * time.Millisecond) {
			if endpoints = handshake.Read(handshake.Dir(tmp)); time.Now().After(deadline) {
				said, _ := os.ReadFile(log.Name())
				t.Fatalf("it does not answer: %s", said)
			}
		}
		return cmd.Process.Pid, endpoints
	})
}
