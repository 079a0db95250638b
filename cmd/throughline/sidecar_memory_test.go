package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	requests "github.com/throughline/throughline/internal/hostile"
)

var answersAt = regexp.MustCompile(`(?m)(\w+) answers at http://(\S+)`)

// Whatever is sent to the sidecar's endpoints, alone and a hundred at once, its
// memory stays small beside an application's.
func TestSidecarStaysWithinItsMemory(t *testing.T) {
	const most = 60_000_000
	binary := filepath.Join(t.TempDir(), "throughline")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	backend.Config.MaxHeaderBytes = 4 << 20 // Lambda takes as much
	backend.Start()
	t.Cleanup(backend.Close)
	requests.Within(t, most, func(t *testing.T) (int, map[string]string) {
		var said text
		const free = "127.0.0.1:0"
		cmd := exec.Command(binary, "sidecar", "--endpoints", "otlp,events,alpaca,runtime", "--otlp-addr", free, "--events-addr", free, "--alpaca-addr", free, "--runtime-addr", free,
			"--events-upstream", backend.URL, "--alpaca-upstream", backend.URL, "--metrics", "full")
		cmd.Env = []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + backend.URL, "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(backend.URL, "http://"),
			"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true", "HOME=" + t.TempDir(),
		}
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		endpoints := map[string]string{}
		for deadline := time.Now().Add(20 * time.Second); len(endpoints) < 4; time.Sleep(5 * time.Millisecond) {
			for _, found := range answersAt.FindAllStringSubmatch(said.String(), -1) {
				endpoints[found[1]] = found[2]
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not answer: %s", said.String())
			}
		}
		return cmd.Process.Pid, endpoints
	})
}
