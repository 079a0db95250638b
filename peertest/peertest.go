// Package peertest finds the programs that tests run against: moto,
// interpreters of other languages, and command-line tools. If a program is
// missing, the test is skipped with a message; with CI set the test fails, so
// that no check is skipped unnoticed.
package peertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Command returns the path of the named executable on PATH.
// It skips the test where there is none, or fails it when CI is set.
func Command(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(tb, name)
	}
	return path
}

// Missing skips the test for want of what, or fails it when CI is set.
func Missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s not found, and CI must run this test", what)
	}
	tb.Skipf("%s not found: test skipped", what)
}

// Python returns an interpreter of the given version ("3.12"), looked for on
// PATH and among pyenv's versions, or "" where there is none. Which versions a
// machine has differs, so the caller decides whether an absence matters.
func Python(version string) string {
	candidates := []string{}
	if path, err := exec.LookPath("python" + version); err == nil {
		candidates = append(candidates, path)
	}
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		candidates = append(candidates, glob(root, version)...)
	}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, glob(filepath.Join(home, ".pyenv"), version)...)
	}
	for _, path := range candidates {
		// A pyenv shim is on PATH for versions that are not selected, and only fails when run.
		if exec.Command(path, "-c", "").Run() == nil {
			return path
		}
	}
	return ""
}

func glob(root, version string) []string {
	found, _ := filepath.Glob(filepath.Join(root, "versions", version+"*", "bin", "python"+version))
	return found
}

var moto struct {
	once sync.Once
	url  string
	err  error
}

// Moto starts moto_server once a test process, on a free loopback port, and
// returns its URL. The server ends with the test process. Safe for concurrent
// use by tests. It skips, or with CI set fails, where moto is not installed.
func Moto(tb testing.TB) string {
	tb.Helper()
	Command(tb, "moto_server")
	python := Module(tb, "moto")
	moto.once.Do(func() { moto.url, moto.err = startMoto(python) })
	if moto.err != nil {
		tb.Fatalf("start moto: %v", moto.err)
	}
	return moto.url
}

// MotoCall makes one call to moto at url in AWS's JSON protocol, unsigned, and
// returns its answer; the test fails where that is an error. target is the
// operation as X-Amz-Target names it: DynamoDB_20120810.CreateTable.
func MotoCall(tb testing.TB, url, target string, in any) map[string]any {
	tb.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		tb.Fatal(err)
	}
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url+"/", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	api, _, _ := strings.Cut(target, ".")
	service := map[string]string{"DynamoDB_20120810": "dynamodb", "AWSEvents": "events", "AmazonSQS": "sqs"}[api]
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261123/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s %s", target, resp.Status, data)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil && len(data) > 0 {
		tb.Fatal(err)
	}
	return out
}

// MotoTable makes a DynamoDB table in moto whose key is the string attribute
// key, and returns its name: no other of this process has it.
func MotoTable(tb testing.TB, url, name, key string) string {
	tb.Helper()
	name = fmt.Sprint(name, "-", tables.Add(1))
	MotoCall(tb, url, "DynamoDB_20120810.CreateTable", map[string]any{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{map[string]string{"AttributeName": key, "AttributeType": "S"}},
		"KeySchema":            []any{map[string]string{"AttributeName": key, "KeyType": "HASH"}},
	})
	return name
}

var tables atomic.Int64

// motoServer is moto_server with PutCompositeAlarm: moto keeps composite alarms and its
// server lacks the operation alone.
const motoServer = `
import sys
from moto.cloudwatch.responses import CloudWatchResponse
if not hasattr(CloudWatchResponse, "put_composite_alarm"):
    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm
from moto.server import main
main(sys.argv[1:])
`

func startMoto(python string) (url string, err error) {
	// Another process may take the port between its choice and moto's start.
	for range 5 {
		if url, err = startMotoOnce(python); err == nil {
			return url, nil
		}
	}
	return "", err
}

func startMotoOnce(python string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return "", fmt.Errorf("release the port: %w", err)
	}
	cmd := exec.Command(python, "-c", motoServer, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run moto: %w", err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return "", fmt.Errorf("moto did not answer on %s within a minute", url)
		case <-time.After(100 * time.Millisecond):
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/", nil)
		if err != nil {
			return "", err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url, nil
			}
			_ = cmd.Process.Kill()
			return "", fmt.Errorf("%s is somebody else's: it answers moto's page with %s", url, resp.Status)
		}
	}
}

// Module returns a Python interpreter that has the named module.
// It skips the test where there is none, or fails it when CI is set.
func Module(tb testing.TB, name string) string {
	tb.Helper()
	python := Command(tb, "python3")
	if exec.Command(python, "-c", "import "+name).Run() != nil {
		Missing(tb, "Python's module "+name)
	}
	return python
}
