package nodeshim

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// sdkCase is one way to configure an SDK, and what its call meets.
type sdkCase struct {
	how     string
	env     []string
	file    string // the shared config file
	bus     stands.Bus
	stamped int    // requests
	reason  string // why others are not
	only    string // the program that knows this way
}

var sdkCases = []sdkCase{
	{how: "as it comes", stamped: 1},
	{how: "large", stamped: 1},
	{how: "FIPS by variable", env: []string{"AWS_USE_FIPS_ENDPOINT=true"}, stamped: 1},
	{how: "FIPS by file", file: "use_fips_endpoint = true", stamped: 1},
	{how: "FIPS in code", stamped: 1},
	{how: "dual-stack by variable", env: []string{"AWS_USE_DUALSTACK_ENDPOINT=true"}, stamped: 1},
	{how: "dual-stack by file", file: "use_dualstack_endpoint = true", stamped: 1},
	{how: "dual-stack in code", stamped: 1},
	{how: "endpoint by variable", env: []string{"AWS_ENDPOINT_URL_EVENTBRIDGE=$API"}, stamped: 1},
	{how: "endpoint by general variable", env: []string{"AWS_ENDPOINT_URL=$API"}, stamped: 1},
	{how: "endpoint by file", file: "endpoint_url = $API", stamped: 1},
	{how: "endpoint in code", stamped: 1},
	{how: "another region", stamped: 1},
	{how: "another key", reason: "key"},
	{how: "SigV4a", reason: "algorithm", only: "v3.cjs"},
	{how: "proxy in code", stamped: 1},
	{how: "proxy by variable", env: []string{"HTTPS_PROXY=$PROXY", "https_proxy=$PROXY", "NODE_USE_ENV_PROXY=1"}, stamped: 1},
	{how: "a short timeout", stamped: 1},
	{how: "one socket", env: []string{"MORE=5"}, stamped: 6, only: "v3.mjs"},
	{how: "clock", bus: stands.Bus{Skew: time.Hour}, stamped: 2},
	{how: "throttled", bus: stands.Bus{Fail: 2, Code: "ThrottlingException", Status: 400}, stamped: 3},
	{how: "failing", bus: stands.Bus{Fail: 1, Code: "InternalFailure", Status: 500}, stamped: 2},
	{how: "refused", bus: stands.Bus{Fail: 9, Code: "AccessDeniedException", Status: 400}, stamped: 1},
	{how: "failing in part", bus: stands.Bus{Partly: true}, stamped: 1},
}

// programs are the ways to load an SDK; bundled.cjs is made of v3.mjs.
var programs = []string{"v3.mjs", "v3.cjs", "v2.cjs", "bundled.cjs"}

// AWS's SDKs publish with the shim as without it, however they are configured.
func TestSDKs(t *testing.T) {
	for _, version := range nodes() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			world := newWorld(t, version)
			world.patient()
			world.bundle()
			for _, name := range programs {
				t.Run(name, func(t *testing.T) {
					for _, tt := range sdkCases {
						// Each way is tried with each SDK, loaded in one way; all ways to load are tried as it comes.
						first := name == "v3.mjs" || name == "v2.cjs" && !strings.Contains(tt.how, "dual-stack in code")
						if tt.how == "SigV4a" && version < "22" { // its signer is among today's packages alone
							continue
						}
						if tt.only != "" && tt.only != name || tt.only == "" && !first && tt.how != "as it comes" {
							continue
						}
						t.Run(tt.how, func(t *testing.T) {
							w := *world
							w.T = t
							w.publish(name, &tt)
						})
					}
				})
			}
		})
	}
}

func (w *world) publish(name string, tt *sdkCase) {
	expand := strings.NewReplacer("$API", w.outside.API, "$PROXY", w.outside.Proxy)
	env := []string{"HOW=" + tt.how, "THROUGHLINE_HTTP_HOSTS=none"}
	for _, setting := range tt.env {
		env = append(env, expand.Replace(setting))
	}
	if tt.file != "" {
		path := filepath.Join(w.TempDir(), "config")
		if err := os.WriteFile(path, []byte("[default]\n"+expand.Replace(tt.file)+"\n"), 0o600); err != nil {
			w.Fatal(err)
		}
		env = append(env, "AWS_CONFIG_FILE="+path, "AWS_SDK_LOAD_CONFIG=1")
	}
	with, outcomes := w.prompt(program{args: []string{"--require", "./led.cjs", name}, env: env, bus: tt.bus}, -1)
	if len(with.received) == 0 {
		w.Error("nothing arrived")
	}
	stamped := 0
	for i, r := range with.received {
		if isStamped(r.Body) {
			if stamped++; r.Signed != "yes" {
				w.Errorf("the signature of a stamped request: %q", r.Signed)
			}
		}
		if i < len(outcomes) && (outcomes[i].Outcome != "answered" || outcomes[i].Stamped != isStamped(r.Body) || outcomes[i].Reason != tt.reason) {
			w.Errorf("told %+v", outcomes[i])
		}
	}
	if stamped != tt.stamped {
		w.Errorf("%d of %d requests are stamped, want %d", stamped, len(with.received), tt.stamped)
	}
}

// bundle makes one file of v3.mjs and its packages, as esbuild does for functions.
func (w *world) bundle() {
	w.Helper()
	w.esbuild("v3.cjs", "--outfile=bundled.cjs", "--external:@aws-sdk/signature-v4a")
}

// esbuild bundles a program.
func (w *world) esbuild(args ...string) {
	w.Helper()
	cmd := exec.Command(installed(w, "new", "node_modules", "esbuild", "bin", "esbuild"), append(args, "--bundle", "--platform=node", "--log-level=error")...)
	cmd.Dir = w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("esbuild %v: %v\n%s", args, err, out)
	}
}

// A call is made as without the shim where the extension does not answer as it
// should, and a hung one is asked once.
func TestExtensionThatFails(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request, _ []byte) bool { <-r.Context().Done(); return true }
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, []byte) bool
		env    []string
		speak  func(net.Conn, <-chan struct{}) // in the extension's place, not HTTP
		asks   int                             // questions; below 0 for any number
	}{
		"slow": {asks: 1, answer: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			return true
		}},
		"closing":   {asks: -1, speak: func(c net.Conn, _ <-chan struct{}) { _ = c.Close() }},
		"resetting": {asks: -1, speak: func(c net.Conn, _ <-chan struct{}) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }},
		"speaking first": {asks: -1, speak: func(c net.Conn, _ <-chan struct{}) {
			_, _ = io.WriteString(c, "SSH-2.0-x\r\n")
			_, _ = io.Copy(io.Discard, c)
		}},
		"speaking at length": {asks: -1, speak: func(c net.Conn, _ <-chan struct{}) {
			for err := error(nil); err == nil; _, err = c.Write(make([]byte, 1<<16)) {
			}
		}},
		"reading nothing": {asks: -1, speak: func(_ net.Conn, done <-chan struct{}) { <-done }},
		"half an answer": {asks: -1, speak: func(c net.Conn, done <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
			<-done
		}},
		"two answers": {asks: -1, speak: func(c net.Conn, _ <-chan struct{}) {
			_, _ = io.WriteString(c, strings.Repeat("HTTP/1.1 204 No Content\r\n\r\n", 2))
			_, _ = io.Copy(io.Discard, c)
		}},
		"gone":                     {env: []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"}},
		"no address":               {env: []string{"AWS_LAMBDA_RUNTIME_API=nonsense"}},
		"hung":                     {answer: hang, asks: 1},
		"another server":           {answer: answer(200, "<html>"), asks: 4},
		"not found":                {answer: answer(404, "no"), asks: 4},
		"busy":                     {answer: answer(503, "busy"), asks: 4},
		"fields that are no text":  {answer: answer(200, `{"headers":{"authorization":5},"changes":[[1,0,1]]}`+"\n "), asks: 4},
		"a field that breaks out":  {answer: answer(200, `{"headers":{"authorization":"a\r\nb: c"},"changes":[[1,0,1]]}`+"\n "), asks: 4},
		"a field that is new":      {answer: answer(200, `{"headers":{"authorization":"a","x-new":"a"},"changes":[[1,0,1]]}`+"\n "), asks: 4},
		"no signature":             {answer: answer(200, `{"headers":{},"changes":[[1,0,1]]}`+"\n "), asks: 4},
		"no changes":               {answer: answer(200, `{"headers":{"authorization":"a"}}`+"\n "), asks: 4},
		"a change past the end":    {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[1000000,0,1]]}`+"\n "), asks: 4},
		"a change before the last": {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[1,3,1],[2,0,0]]}`+"\n "), asks: 4},
		"a change without a size":  {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[1,0]]}`+"\n "), asks: 4},
		"texts that are too short": {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[1,0,2]]}`+"\n "), asks: 4},
		"texts that are too long":  {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[1,0,1]]}`+"\n  "), asks: 4},
		"nothing is left":          {answer: answer(200, `{"headers":{"authorization":"a"},"changes":[[0,1000000,0]]}`+"\n"), asks: 4},
		"killed in the middle": {asks: -1, answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"headers":`))
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			versions := nodes()
			w := newWorld(t, versions[len(versions)-1])
			if tt.speak != nil {
				tt.env = append(tt.env, "AWS_LAMBDA_RUNTIME_API="+speaking(t, tt.speak))
			}
			bare := program{args: []string{"--require", "./led.cjs", "v3.mjs"}, env: append([]string{"HOW=large", "MORE=3"}, tt.env...)}
			w.extension.Begin(nil)
			without := w.run(false, bare)
			var with seen
			asked := -1
			for range 6 { // on a busy machine the first answer can be late, and is the last for a while
				w.extension.Begin(tt.answer)
				with = w.run(true, bare)
				paths, _, _ := w.extension.Told()
				asked = len(slices.DeleteFunc(paths, func(path string) bool { return path != "/throughline/v1/sign" }))
				if asked >= tt.asks {
					break
				}
			}
			if with.code != without.code || with.stdout != without.stdout || with.stderr != without.stderr || !slices.Equal(raw(with.received), raw(without.received)) {
				t.Errorf("with the shim: %d\n%s%s%q\nwithout: %d\n%s%s%q", with.code, with.stdout, with.stderr, raw(with.received), without.code, without.stdout, without.stderr, raw(without.received))
			}
			for _, r := range with.received {
				if isStamped(r.Body) || r.Signed != "yes" {
					t.Errorf("stamped %t, signed %q", isStamped(r.Body), r.Signed)
				}
			}
			if tt.asks >= 0 && asked != tt.asks {
				t.Errorf("asked %d times, want %d", asked, tt.asks)
			}
		})
	}
}

// An extension whose answer came after all is asked again soon, and one that gave
// none is not.
func TestLateAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		comes bool
		pause time.Duration // before the third call
		third string
	}{
		"the answer comes":                {true, 4 * time.Second, "stamped "},
		"the answer comes, and at once":   {true, 0, "as it is unreachable"},
		"the answer does not come at all": {false, 4 * time.Second, "as it is unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			versions := nodes()
			w := newWorld(t, versions[len(versions)-1])
			w.waits(time.Second)
			var asked atomic.Int32
			w.extension.Begin(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
				if asked.Add(1) > 1 {
					return false
				}
				if !tt.comes {
					<-r.Context().Done()
					return true
				}
				time.Sleep(2500 * time.Millisecond) // on a busy machine it waits twice
				return false
			})
			w.outside.Begin(stands.Bus{})
			cmd, in, out := w.start("--require", "./led.cjs", "paced.cjs")
			for _, pause := range []time.Duration{0, 0, tt.pause} {
				time.Sleep(pause)
				fmt.Fprintln(in, "put")
				if text, err := out.ReadString('\n'); err != nil || text != "200\n" {
					t.Fatalf("%q, %v", text, err)
				}
			}
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			var told []string
			for _, o := range w.outcomes(3) {
				if body, whole := w.extension.Unasked()[o.Call]; whole == o.Stamped || whole && !strings.Contains(body, `"DetailType":"T"`) {
					t.Errorf("the extension got the body of a call whose reason is %q: %q", o.Reason, body)
				}
				told = append(told, map[bool]string{true: "stamped ", false: "as it is "}[o.Stamped]+o.Reason)
			}
			if want := []string{"as it is late", "as it is unreachable", tt.third}; !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
		})
	}
}

// speaking listens where the extension should, and has each connection served.
func speaking(t *testing.T, speak func(net.Conn, <-chan struct{})) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { close(done); _ = l.Close() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				speak(c, done)
			})
		}
	})
	return l.Addr().String()
}

// Where EventBridge refuses a request that was stamped, for its signature and
// not for the clock, the process stamps no more and says so once.
func TestRefusedSignature(t *testing.T) {
	versions := nodes()
	w := newWorld(t, versions[len(versions)-1])
	w.extension.Begin(nil)
	with := w.run(true, program{args: []string{"--require", "./led.cjs", "v3.mjs"}, env: []string{"HOW=as it comes", "MORE=3"},
		bus: stands.Bus{Fail: 1, Code: "InvalidSignatureException", Status: 403}})
	stamped := 0
	for _, r := range with.received {
		stamped += bit(isStamped(r.Body))
	}
	if stamped != 1 || len(with.received) < 4 || strings.Count(with.stderr, "throughline: node: events are not stamped any more") != 1 {
		t.Errorf("%d of %d requests are stamped\n%s", stamped, len(with.received), with.stderr)
	}
}
