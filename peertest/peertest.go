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
// If there is none, the test is skipped, or fails with CI set.
func Command(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(tb, name)
	}
	return path
}

// Missing skips the test because what is missing. With CI set, the test fails.
func Missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s not found, and CI must run this test", what)
	}
	tb.Skipf("%s not found: test skipped", what)
}

// Python returns an interpreter of the given version ("3.12") from PATH or pyenv's
// versions, or "" if there is none. The caller decides whether a missing version
// matters.
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
		// pyenv puts shims on PATH also for versions that are not selected. They fail when run.
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

// Moto starts moto_server once in each test process, on a free loopback port, and
// returns its URL. The server ends with the test process. Safe for concurrent use by
// tests. If moto is not installed, the test is skipped, or fails with CI set.
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

// MotoCall makes one unsigned call to moto at url in AWS's JSON protocol and
// returns the response; an error fails the test. target is the operation as in
// X-Amz-Target: DynamoDB_20120810.CreateTable.
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

// MotoTable creates a DynamoDB table in moto whose key is the string attribute key,
// and returns its name, which is unique in this process.
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

// motoServer is moto_server with the operation PutCompositeAlarm: moto supports composite
// alarms, and its server lacks only this operation.
const motoServer = `
import sys
from moto.cloudwatch.responses import CloudWatchResponse
if not hasattr(CloudWatchResponse, "put_composite_alarm"):
    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm
from moto.server import main
main(sys.argv[1:])
`

func startMoto(python string) (url string, err error) {
	// Another process may use the port before moto starts.
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
// If there is none, the test is skipped, or fails with CI set.
func Module(tb testing.TB, name string) string {
	tb.Helper()
	python := Command(tb, "python3")
	if exec.Command(python, "-c", "import "+name).Run() != nil {
		Missing(tb, "Python's module "+name)
	}
	return python
}
