package peertest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Jaeger runs the Jaeger that `make jaeger` builds, on free ports, until the test
// ends. If it is not built, the test is skipped, or fails with CI set.
func Jaeger(tb testing.TB) (collectorURL, queryURL string) {
	tb.Helper()
	binary := built(tb, "jaeger")
	if binary == "" {
		Missing(tb, "Jaeger, which `make jaeger` builds,")
	}
	args := []string{"--collector.otlp.enabled=true"}
	addresses := map[string]string{}
	var held []net.Listener // open until all ports are chosen
	for _, name := range []string{
		"collector.otlp.http.host-port", "collector.otlp.grpc.host-port", "query.http-server.host-port", "query.grpc-server.host-port",
		"collector.http-server.host-port", "collector.grpc-server.host-port", "admin.http.host-port",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
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
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if tb.Failed() {
			tb.Logf("Jaeger said:\n%s", log.String())
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
			tb.Fatalf("Jaeger does not answer: %v", err)
		}
	}
}

// built returns the path of a tool in bin/tools, "" if there is none.
func built(tb testing.TB, name string) string {
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			path := filepath.Join(dir, "bin", "tools", name)
			if _, err := os.Stat(path); err != nil {
				return ""
			}
			return path
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}
