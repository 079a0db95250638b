package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/handshake"
	"github.com/throughline/throughline/internal/hostile"
)

// atOnce is how many batches are handled at the same time.
const atOnce = 6

// Lambda's largest payloads, six of them handled at once, as an environment of
// Managed Instances does: the memory is the function's, and every byte passes.
func TestLargeBatchesStayWithinTheMemory(t *testing.T) {
	const most = 40_000_000
	binary := built(t)
	for _, p := range hostile.Payloads() {
		for _, slow := range []bool{false, true} {
			if slow && p.Events != 5_500 && p.Events != 10 {
				continue // a slow reader of many records and one of a few large ones
			}
			name := p.Name
			if slow {
				name += ", slowly read"
			}
			t.Run(name, func(t *testing.T) {
				least := 0
				for range 3 { // as for hostile requests: how far a heap grows depends on what else runs
					peak := peakOfBatches(t, binary, p, slow)
					if least == 0 || peak < least {
						least = peak
					}
					if least <= most {
						break
					}
				}
				t.Logf("%.1f MB", float64(least)/1e6)
				if least == 0 || least > most {
					t.Errorf("it took %.1f MB", float64(least)/1e6)
				}
			})
		}
	}
}

// peakOfBatches is the most memory that a new extension takes for two rounds of
// batches that are all handled at once.
func peakOfBatches(t *testing.T, binary string, p hostile.Payload, slow bool) int {
	t.Helper()
	tmp := t.TempDir()
	var n atomic.Int64
	lambda := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/register"):
			w.Header().Set("Lambda-Extension-Identifier", "id")
			_, _ = io.WriteString(w, `{"functionName":"f"}`)
		case strings.HasSuffix(r.URL.Path, "/runtime/invocation/next"):
			id := int(n.Add(1))
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("r-", id))
			payload := p.Make(id)
			w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
			if p.Breaks {
				payload = payload[:len(payload)/2]
			}
			_, _ = w.Write(payload)
		case strings.HasSuffix(r.URL.Path, "/next"):
			<-r.Context().Done()
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(lambda.Close)
	cmd := exec.Command(binary)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(lambda.URL, "http://"), "AWS_LAMBDA_EXEC_WRAPPER=/opt/throughline/wrapper", "THROUGHLINE_ENDPOINTS=otlp,runtime",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "TMPDIR=" + tmp, "AWS_REGION=eu-west-1", "AWS_LAMBDA_INITIALIZATION_TYPE=lambda-managed-instances",
	}
	log, err := os.Create(filepath.Join(tmp, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = log.Close() }()
	var endpoints map[string]string
	for deadline := time.Now().Add(20 * time.Second); endpoints["runtime"] == ""; time.Sleep(5 * time.Millisecond) {
		if endpoints = handshake.Read(handshake.Dir(tmp)); time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("it does not answer: %s", said)
		}
	}
	for range 2 {
		ids := make(chan string, atOnce)
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() { ids <- next(t, endpoints["runtime"], p, slow) })
		}
		all.Wait()
		close(ids)
		for id := range ids { // no batch is done before all were handed over
			resp, err := http.Post("http://"+endpoints["runtime"]+"/2018-06-01/runtime/invocation/"+id+"/response", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				continue
			}
			_ = resp.Body.Close()
		}
	}
	return hostile.Peak(cmd.Process.Pid)
}

// next asks for a payload and compares what comes with what Lambda sent. A slow
// reader is one whose machine is busy: it takes little at a time.
func next(t *testing.T, address string, p hostile.Payload, slow bool) (id string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Get("http://" + address + "/2018-06-01/runtime/invocation/next")
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	id = resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	number, _ := strconv.Atoi(strings.TrimPrefix(id, "r-"))
	want := p.Make(number)
	body := io.Reader(resp.Body)
	if slow {
		body = slowly{body}
	}
	got, err := io.ReadAll(body)
	if resp.ContentLength != int64(len(want)) || (err != nil) != p.Breaks || !bytes.HasPrefix(want, got) || !p.Breaks && len(got) != len(want) {
		t.Errorf("%s: %d bytes of %d, announced as %d: %v", id, len(got), len(want), resp.ContentLength, err)
	}
	return id
}

type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 64<<10)])
}
