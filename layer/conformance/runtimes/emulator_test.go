package runtimes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/peertest"
)

// layer is the layer for both architectures as Lambda unpacks it into /opt, with
// shims that wait for the extension for longer than a function may.
func layer(t testing.TB) string {
	t.Helper()
	opt, binary := t.TempDir(), extensionBinary(t)
	if err := os.CopyFS(filepath.Join(opt, "throughline"), os.DirFS("../../throughline")); err != nil {
		t.Fatal(err)
	}
	stands.Patient(t, filepath.Join(opt, "throughline"))
	entry, err := os.ReadFile("../../entry/throughline-extension")
	if err != nil {
		t.Fatal(err)
	}
	put(t, entry, opt, "extensions", "throughline-extension")
	for _, arch := range []string{"amd64", "arm64"} {
		put(t, elf(t, binary), opt, "throughline", arch, "throughline-extension")
	}
	own, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	put(t, own, opt, "throughline", runtime.GOARCH, "throughline-extension")
	if err := os.Chmod(filepath.Join(opt, "throughline", "wrapper"), 0o755); err != nil {
		t.Fatal(err)
	}
	return opt
}

func put(t testing.TB, content []byte, elements ...string) {
	t.Helper()
	path := filepath.Join(elements...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// emulation is a run of AWS's emulator.
type emulation struct {
	client  client
	opt     string // what /opt holds; "" for no layer
	managed int    // AWS_LAMBDA_MAX_CONCURRENCY; 0 for the ordinary mode
	env     []string
	outside *stands.Outside
	plant   func(tmp string)
}

// emulator is AWS's emulator, running.
type emulator struct {
	url string
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (e *emulator) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.out.Write(p)
}

func (e *emulator) log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.out.String()
}

// surround is Lambda's file system, in a namespace of the emulator's own. /tmp
// is last: it hides the test's folders. Node.js finds packages in node_modules beside the function.
const surround = `set -e
mount -t tmpfs -o mode=755 tmpfs /var
mkdir /var/task /var/lang /var/node_modules
mount --bind "$TASK" /var/task
[ -z "$LANGUAGE_DIR" ] || mount --bind "$LANGUAGE_DIR" /var/lang
[ -z "$LIBRARIES" ] || mount --bind "$LIBRARIES" /var/node_modules
mount --bind "$HOSTS" /etc/hosts
mount --bind "$OPT" /opt
cd /
mount --bind "$TMP" /tmp
unset TASK LANGUAGE_DIR LIBRARIES HOSTS OPT TMP
exec "$@"`

// emulate starts the emulator, which ends with the test.
func emulate(t *testing.T, e emulation) *emulator {
	t.Helper()
	binary := installed(t, "emulator", "bin", "tools", "aws-lambda-rie")
	if os.Geteuid() != 0 {
		peertest.Missing(t, "the right to mount folders (root has it)")
	}
	command, variables := e.client.in("/var/task", "/var/lang", "/var/node_modules")
	// Lambda runs the wrapper; the emulator leaves that to the image.
	put(t, []byte("#!/bin/sh\ncd /var/task\nexec $AWS_LAMBDA_EXEC_WRAPPER '"+strings.Join(command, "' '")+"'\n"), e.client.task, "bootstrap")
	tmp, opt, hosts := t.TempDir(), e.opt, filepath.Join(t.TempDir(), "hosts")
	if err := errors.Join(os.Chmod(tmp, 0o777|os.ModeSticky), os.WriteFile(hosts, []byte("127.0.0.1 localhost sandbox.localdomain\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if opt == "" {
		opt = t.TempDir()
	} else {
		variables["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/throughline/wrapper"
	}
	if e.plant != nil {
		e.plant(tmp)
	}
	maps.Copy(variables, map[string]string{
		"TASK": e.client.task, "LANGUAGE_DIR": e.client.lang, "LIBRARIES": e.client.libraries, "HOSTS": hosts, "OPT": opt, "TMP": tmp, "PATH": "/usr/bin:/bin", "HOME": "/tmp",
		"API": e.outside.API, "AWS_ENDPOINT_URL_EVENTBRIDGE": e.outside.API, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "AKIDOURS", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_TIMEOUT": "120",
		"AWS_EXECUTION_ENV": e.client.executionEnv, "LAMBDA_TASK_ROOT": "/var/task", "_HANDLER": e.client.handler, "THROUGHLINE_LOG": "info", "THROUGHLINE_HTTP_HOSTS": "127.0.0.1",
	})
	if e.managed > 0 {
		variables["AWS_LAMBDA_MAX_CONCURRENCY"] = fmt.Sprint(e.managed)
	}
	run := &emulator{}
	for range 5 { // another process may take a port between its choice and its use
		address, api := free(t), free(t)
		run.url = "http://" + address + "/2015-03-31/functions/function/invocations"
		run.cmd = exec.Command("/bin/sh", "-c", surround, "sh", binary, "--runtime-api-address", api, "--runtime-interface-emulator-address", address)
		run.cmd.Env = nil
		for name, value := range variables {
			run.cmd.Env = append(run.cmd.Env, name+"="+value)
		}
		run.cmd.Env = append(run.cmd.Env, e.env...)
		run.cmd.Stdout, run.cmd.Stderr = run, run
		run.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS} // its processes end with it
		if err := run.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = run.cmd.Wait()
			close(ended)
		}()
		stop := func() {
			_ = run.cmd.Process.Kill()
			<-ended
		}
		if listens(address, ended) {
			t.Cleanup(stop)
			return run
		}
		stop()
	}
	t.Fatalf("the emulator does not listen\n%s", run.log())
	return nil
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func listens(address string, ended <-chan struct{}) bool {
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// invoke returns what the caller sees. Lambda's front end waits for an idle
// runtime; the emulator leaves that to its caller.
func (e *emulator) invoke(t *testing.T, payload string) string {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		answer := e.try(t, payload)
		if !strings.Contains(answer, "Runtime.Unavailable") || t.Context().Err() != nil {
			return answer
		}
		if time.Since(begun) > 2*time.Minute {
			t.Errorf("%.200s: the environment is unavailable for two minutes\n%.4000s", payload, e.log())
			return answer
		}
	}
}

func (e *emulator) try(t *testing.T, payload string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Errorf("%.200s: %v\n%.4000s", payload, err, e.log())
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%.200s: %v", payload, err)
	}
	return fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Error-Type"), uuids.ReplaceAll(body, []byte("…")))
}

// tasks are what the function is told to do, one after the other.
var tasks = []string{
	`{"do":"publish","id":"a"}`,
	`{"do":"call","id":"b"}`,
	`{"do":"fail","id":"c"}`,
	`{"do":"fail","id":"d","text":"` + strings.Repeat("long ", 40_000) + `"}`,
	`{"do":"large","id":"e","text":"` + strings.Repeat("y", 4<<20) + `"}`,
	`{"do":"publish","id":"f","detail-type":"T","source":"s","version":"0","detail":{"event_id":"f"}}`,
}

// stamps are what the layer adds to entries that have no resources of their own.
var stamps = regexp.MustCompile(`,"Resources":\["correlation:[^\]]*"traceparent:[^\]]*\]`)

// uuids are request IDs, which differ from run to run.
var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// published are the events that arrived, and how many of them are stamped.
func published(outside *stands.Outside) (bodies []string, stamped int) {
	for _, r := range outside.Received() {
		if r.Header.Get("X-Amz-Target") == "" {
			continue
		}
		if stamps.Match(r.Body) {
			stamped++
		}
		bodies = append(bodies, r.Signed+" "+stamps.ReplaceAllString(string(r.Body), ""))
	}
	slices.Sort(bodies)
	return bodies, stamped
}

func shorten(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%.400s\n", line)
	}
	return b.String()
}

// TestEmulator: AWS's emulator answers every invocation with the layer as
// without it, one at a time.
func TestEmulator(t *testing.T) {
	oldest, newest := pythonClients(t)
	for _, c := range []client{goClient(t), nodeClient(t), oldest, newest, javaClient(t)} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outside := stands.NewOutside(t)
			play := func(opt string) (seen, events []string, stamped int, e *emulator) {
				outside.Begin(stands.Bus{})
				e = emulate(t, emulation{client: c, opt: opt, outside: outside})
				for _, task := range tasks {
					seen = append(seen, e.invoke(t, task))
				}
				events, stamped = published(outside)
				return seen, events, stamped, e
			}
			want, wanted, _, _ := play("")
			got, events, stamped, e := play(layer(t))
			if !slices.Equal(got, want) {
				t.Errorf("with the layer\n%s\nwithout\n%s", shorten(got), shorten(want))
			}
			if !slices.Equal(events, wanted) || len(events) != 2 {
				t.Errorf("published %q, without the layer %q", events, wanted)
			}
			if c.stamps && stamped != 2 || !strings.Contains(e.log(), "throughline: registered for INVOKE and SHUTDOWN") {
				t.Errorf("%d stamped\n%.4000s", stamped, e.log())
			}
		})
	}
}

// TestEmulatorManaged: the same with several invocations at once, in its
// Managed Instances mode.
func TestEmulatorManaged(t *testing.T) {
	_, newest := pythonClients(t)
	for _, c := range []client{goClient(t), nodeClient(t), newest} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outside := stands.NewOutside(t)
			play := func(opt string) (seen, events []string, stamped int, e *emulator) {
				outside.Begin(stands.Bus{})
				e = emulate(t, emulation{client: c, opt: opt, outside: outside, managed: 4})
				seen = atOnce(t, e)
				events, stamped = published(outside)
				return seen, events, stamped, e
			}
			want, wanted, _, _ := play("")
			got, events, stamped, e := play(layer(t))
			if !slices.Equal(got, want) {
				t.Errorf("with the layer\n%s\nwithout\n%s\n%.4000s", shorten(got), shorten(want), e.log())
			}
			if !slices.Equal(events, wanted) || len(events) != 8 {
				t.Errorf("published %q, without the layer %q", events, wanted)
			}
			if c.stamps && stamped != 8 || !strings.Contains(e.log(), "throughline: registered for SHUTDOWN") {
				t.Errorf("%d stamped\n%.4000s", stamped, e.log())
			}
		})
	}
}

// atOnce invokes as many at once as the environment takes, and returns what the
// callers saw.
func atOnce(t *testing.T, e *emulator) []string {
	var all sync.WaitGroup
	var mu sync.Mutex
	var seen []string
	for n := range 4 {
		all.Go(func() {
			for _, do := range []string{"publish", "rest", "fail", "publish"} {
				answer := e.invoke(t, fmt.Sprintf(`{"do":%q,"id":"e-%d","seconds":0.2}`, do, n))
				mu.Lock()
				seen = append(seen, fmt.Sprintf("%s %d: %s", do, n, answer))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(seen)
	return seen
}
