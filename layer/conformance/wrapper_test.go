package conformance

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/handshake"
	"github.com/throughline/throughline/peertest"
)

// announced are addresses that answer, as the extension writes them.
type announced struct{ otlp, events, runtime string }

func announce(t *testing.T) announced {
	t.Helper()
	listen := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	return announced{listen(), listen(), listen()}
}

func (a announced) String() string {
	return "otlp=" + a.otlp + "\nruntime=" + a.runtime + "\n"
}

func (a announced) withEvents() string { return a.String() + "events=" + a.events + "\n" }

// handshakeIn writes an announcement as the extension does.
func handshakeIn(t *testing.T, tmp, endpoints string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(tmp, "throughline"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "throughline", "endpoints"), []byte(endpoints), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inEachShell runs a test with the wrapper under each shell that a function may
// have as /bin/sh: Lambda's own is bash.
func inEachShell(t *testing.T, test func(t *testing.T, w wrapper)) {
	t.Helper()
	for _, shell := range []string{"bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			argv := []string{peertest.Command(t, shell)}
			if shell == "bash" {
				argv = append(argv, "--posix") // as /bin/sh
			}
			path, err := filepath.Abs("../throughline/wrapper")
			if err != nil {
				t.Fatal(err)
			}
			test(t, wrapper{argv: append(argv, path), path: path, tmp: t.TempDir(), command: []string{"env"}})
		})
	}
}

// wrapper is the wrapper in a shell, what stands in its folder for temporary
// files, and the command that it runs.
type wrapper struct {
	argv      []string
	path, tmp string
	command   []string
}

// run returns what the runtime would see, and what the wrapper said.
func (w wrapper) run(t *testing.T, variables ...string) (env map[string]string, said string) {
	t.Helper()
	cmd := exec.Command(w.argv[0], append(append([]string{}, w.argv[1:]...), w.command...)...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "TMPDIR=" + w.tmp, "AWS_LAMBDA_RUNTIME_API=169.254.100.1:9001"}, variables...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	env = map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			env[name] = value
		}
	}
	return env, stderr.String()
}

func expect(t *testing.T, env map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		got, set := env[name]
		if value == "(unset)" {
			if set {
				t.Errorf("%s=%s, want it unset", name, got)
			}
		} else if got != value {
			t.Errorf("%s=%q, want %q", name, got, value)
		}
	}
}

const (
	inPython = "AWS_EXECUTION_ENV=AWS_Lambda_python3.12"
	inNode   = "AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x"
	inJava   = "AWS_EXECUTION_ENV=AWS_Lambda_java21"
)

// untouched is a runtime that the wrapper only execs.
var untouched = map[string]string{
	"AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001", "AWS_ENDPOINT_URL_EVENTBRIDGE": "(unset)", "AWS_ENDPOINT_URL_EVENTBRIDGEV2": "(unset)", "PYTHONPATH": "(unset)", "NODE_OPTIONS": "(unset)",
	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "(unset)", "NO_PROXY": "(unset)",
}

func TestWrapperPointsTheRuntimeAtWhatAnswers(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, a.String())
		env, said := w.run(t, inPython, "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
		expect(t, env, map[string]string{
			"AWS_LAMBDA_RUNTIME_API":              a.runtime,
			"AWS_ENDPOINT_URL_EVENTBRIDGE":        "(unset)",
			"AWS_ENDPOINT_URL":                    "(unset)",
			"OTEL_EXPORTER_OTLP_ENDPOINT":         "https://collector.example",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":  "http://" + a.otlp + "/v1/traces",
			"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://" + a.otlp + "/v1/metrics",
			"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT":    "http://" + a.otlp + "/v1/logs",
			"THROUGHLINE_PYTHONPATH":              "(unset)",
			"NODE_OPTIONS":                        "(unset)",
			"NO_PROXY":                            "(unset)",
			"PYTHONPATH":                          filepath.Join(filepath.Dir(w.path), "python"),
		})
		if said != "" {
			t.Errorf("said %q", said)
		}
	})
}

func TestWrapperOnlyExecs(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		bash := filepath.Base(w.argv[0]) == "bash"
		for name, tt := range map[string]struct {
			prepare func(t *testing.T, folder string, a announced)
			setting string
			says    string
		}{
			"NoFile":     {prepare: func(*testing.T, string, announced) {}},
			"EmptyFile":  {prepare: func(t *testing.T, folder string, _ announced) { handshakeIn(t, filepath.Dir(folder), "\n") }},
			"KillSwitch": {setting: "THROUGHLINE_DISABLED=1"},
			"FolderThatOthersEnter": {says: "stands aside", prepare: func(t *testing.T, folder string, a announced) {
				handshakeIn(t, filepath.Dir(folder), a.String())
				if err := os.Chmod(folder, 0o755); err != nil {
					t.Fatal(err)
				}
			}},
			"FileThatOthersWrite": {says: "stands aside", prepare: func(t *testing.T, folder string, a announced) {
				handshakeIn(t, filepath.Dir(folder), a.String())
				if err := os.Chmod(filepath.Join(folder, "endpoints"), 0o666); err != nil {
					t.Fatal(err)
				}
			}},
			"Link": {says: "stands aside", prepare: func(t *testing.T, folder string, a announced) {
				elsewhere := t.TempDir()
				handshakeIn(t, elsewhere, a.String())
				if err := os.Symlink(filepath.Join(elsewhere, "throughline"), folder); err != nil {
					t.Fatal(err)
				}
			}},
			"OffLoopback": {says: "nothing answers", prepare: func(t *testing.T, folder string, a announced) {
				handshakeIn(t, filepath.Dir(folder), "runtime=192.0.2.1:"+a.runtime[len("127.0.0.1:"):]+"\notlp=127.0.0.1:80@192.0.2.1\n")
			}},
			"NobodyAnswers": {says: "nothing answers", prepare: func(t *testing.T, folder string, _ announced) {
				if !bash {
					t.Skip("only bash can try an address")
				}
				handshakeIn(t, filepath.Dir(folder), "runtime="+closed.Addr().String()+"\n")
			}},
		} {
			t.Run(name, func(t *testing.T) {
				w := w
				w.tmp = t.TempDir()
				a := announce(t)
				if tt.prepare == nil {
					handshakeIn(t, w.tmp, a.withEvents())
				} else {
					tt.prepare(t, filepath.Join(w.tmp, "throughline"), a)
				}
				env, said := w.run(t, tt.setting, inPython, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json")
				expect(t, env, untouched)
				if tt.says == "" && said != "" || !strings.Contains(said, tt.says) || strings.Count(said, "\n") > 1 {
					t.Errorf("said %q, want %q", said, tt.says)
				}
			})
		}
	})
}

// A planted folder that is another user's is not taken.
func TestWrapperTrustsNoOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	inEachShell(t, func(t *testing.T, w wrapper) {
		handshakeIn(t, w.tmp, announce(t).String())
		for _, name := range []string{"throughline", "throughline/endpoints"} {
			if err := os.Chown(filepath.Join(w.tmp, name), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
		env, said := w.run(t, inPython)
		expect(t, env, untouched)
		if !strings.Contains(said, "stands aside") {
			t.Errorf("said %q", said)
		}
	})
}

func TestWrapperAnnouncesOnlyWhatStandsInTheFile(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, "otlp="+a.otlp) // and no line end
		env, _ := w.run(t, inNode)
		expect(t, env, map[string]string{
			"AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001", "AWS_ENDPOINT_URL_EVENTBRIDGE": "(unset)",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://" + a.otlp + "/v1/traces", "NODE_OPTIONS": "(unset)",
		})
	})
}

// The events endpoint is announced where THROUGHLINE_ENDPOINTS names it.
func TestWrapperPointsAtTheEventsEndpoint(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, a.withEvents())
		env, said := w.run(t, inJava, "AWS_ENDPOINT_URL_EVENTS=https://bus.example")
		expect(t, env, map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://" + a.events, "AWS_ENDPOINT_URL_EVENTBRIDGEV2": "http://" + a.events})
		if !strings.Contains(said, "no SDK reads AWS_ENDPOINT_URL_EVENTS") {
			t.Errorf("said %q", said)
		}
		for variable, want := range map[string]string{
			"AWS_USE_FIPS_ENDPOINT=true":                            "(unset)",
			"AWS_USE_DUALSTACK_ENDPOINT=TRUE":                       "(unset)",
			"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true":              "(unset)",
			"AWS_ENDPOINT_URL=https://aws.example":                  "(unset)",
			"AWS_ENDPOINT_URL_EVENTBRIDGE=https://bus.example":      "https://bus.example",
			"AWS_ENDPOINT_URL_EVENTBRIDGE=http://" + a.events + "/": "http://" + a.events + "/",
		} {
			env, said := w.run(t, variable)
			newBuses := "(unset)"
			if strings.HasPrefix(variable, "AWS_ENDPOINT_URL_EVENTBRIDGE=") { // which says nothing of the new ones
				newBuses = "http://" + a.events
			}
			expect(t, env, map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": want, "AWS_ENDPOINT_URL_EVENTBRIDGEV2": newBuses, "AWS_LAMBDA_RUNTIME_API": a.runtime})
			if strings.Count(said, "events are not seen") != 1 {
				t.Errorf("%s: said %q, want the omission once", variable, said)
			}
		}
		env, said = w.run(t, "AWS_ENDPOINT_URL_EVENTBRIDGEV2=https://bus.example")
		expect(t, env, map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://" + a.events, "AWS_ENDPOINT_URL_EVENTBRIDGEV2": "https://bus.example"})
		if said != "" {
			t.Errorf("said %q", said)
		}
	})
}

func TestWrapperExceptsLoopbackFromAProxy(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		handshakeIn(t, w.tmp, announce(t).String())
		for found, want := range map[string]string{
			"no_proxy=internal.example": "internal.example,127.0.0.1,localhost",
			"NO_PROXY=*":                "*",
			"NO_PROXY=":                 "127.0.0.1,localhost",
			"NO_PROXY=127.0.0.1,localhost,internal.example": "127.0.0.1,localhost,internal.example",
		} {
			env, _ := w.run(t, "https_proxy=http://proxy.example:3128", found)
			expect(t, env, map[string]string{"NO_PROXY": want, "no_proxy": want})
		}
	})
}

// OTLP goes to the extension only where the SDK certainly speaks HTTP.
func TestWrapperRedirectsOTLPOverHTTPAlone(t *testing.T) {
	const theirs = "https://collector.example/v1/traces"
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, a.String())
		traces, metrics := "http://"+a.otlp+"/v1/traces", "http://"+a.otlp+"/v1/metrics"
		for name, tt := range map[string]struct {
			variables       []string
			traces, metrics string
			says            bool
		}{
			"NodeUntold":       {[]string{inNode}, traces, metrics, false},
			"PythonUntold":     {[]string{inPython}, "(unset)", "(unset)", false},
			"PythonsSDKUntold": {[]string{inPython, "OTEL_TRACES_EXPORTER=otlp"}, "(unset)", "(unset)", true},
			"PythonTold":       {[]string{inPython, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, traces, metrics, false},
			"JavaUntold":       {[]string{inJava}, "(unset)", "(unset)", false},
			"JavaTold":         {[]string{inJava, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, traces, metrics, false},
			"NodeOverGRPC":     {[]string{inNode, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "(unset)", "(unset)", true},
			"TracesOverGRPC":   {[]string{inNode, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"}, "(unset)", metrics, true},
			"MetricsOverGRPC":  {[]string{inNode, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc"}, traces, "(unset)", false},
			"TracesElsewhere":  {[]string{inNode, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + theirs}, traces, metrics, false},
			"MetricsElsewhere": {[]string{inNode, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + theirs}, traces, theirs, false},
			"GRPCElsewhere":    {[]string{inNode, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + theirs, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, theirs, "(unset)", true},
		} {
			t.Run(name, func(t *testing.T) {
				env, said := w.run(t, append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example:4317"}, tt.variables...)...)
				expect(t, env, map[string]string{
					"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": tt.traces, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": tt.metrics,
				})
				if got := strings.Count(said, "set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"); got > 1 || got == 1 != tt.says {
					t.Errorf("said %q", said)
				}
			})
		}
	})
}

func TestWrapperForNode(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		handshakeIn(t, w.tmp, announce(t).String())
		env, _ := w.run(t, inNode, "NODE_OPTIONS=--enable-source-maps")
		expect(t, env, map[string]string{"PYTHONPATH": "(unset)", "NODE_OPTIONS": "--enable-source-maps --require " + filepath.Join(filepath.Dir(w.path), "node", "shim.cjs")})
		info, err := os.Stat(filepath.Join(w.tmp, "throughline", "current"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the shim's file: %v %v", info, err)
		}
		// Under the permission model a version of Node.js ends that may not read the shim.
		for _, options := range []string{"--permission", "--enable-source-maps --experimental-permission --allow-fs-read=/var/task"} {
			env, said := w.run(t, inNode, "NODE_OPTIONS="+options)
			expect(t, env, map[string]string{"NODE_OPTIONS": options})
			if !strings.Contains(said, "permission model") {
				t.Errorf("said %q", said)
			}
		}
	})
}

// A runtime that is neither Python nor Node.js gets the runtime endpoint, and
// its own command line.
func TestWrapperForAnyOtherRuntime(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, a.String())
		w.command = []string{"sh", "-c", `env; printf 'ARGS=%s\n' "$*"`, "runtime", "one", "two words"}
		for _, language := range []string{inJava, "AWS_EXECUTION_ENV="} {
			env, said := w.run(t, language)
			expect(t, env, map[string]string{"AWS_LAMBDA_RUNTIME_API": a.runtime, "PYTHONPATH": "(unset)", "NODE_OPTIONS": "(unset)", "ARGS": "one two words", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "(unset)"})
			if said != "" {
				t.Errorf("said %q", said)
			}
		}
	})
}

// An image that is not AWS's has no AWS_EXECUTION_ENV: the command tells.
func TestWrapperKnowsTheCommand(t *testing.T) {
	for name, variable := range map[string]string{"python3.12": "PYTHONPATH", "python": "PYTHONPATH", "node": "NODE_OPTIONS"} {
		inEachShell(t, func(t *testing.T, w wrapper) {
			handshakeIn(t, w.tmp, announce(t).String())
			interpreter := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(interpreter, []byte("#!/bin/sh\nenv\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			w.command = []string{interpreter}
			env, _ := w.run(t)
			for _, v := range []string{"PYTHONPATH", "NODE_OPTIONS"} {
				if (env[v] != "") != (v == variable) {
					t.Errorf("%s=%q", v, env[v])
				}
			}
		})
	}
}

func TestWrapperChains(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		a := announce(t)
		handshakeIn(t, w.tmp, a.String())
		next := filepath.Join(t.TempDir(), "next")
		// As opentelemetry-instrument does: first in PYTHONPATH.
		script := "#!/bin/sh\nexport SEEN_RUNTIME=$AWS_LAMBDA_RUNTIME_API PYTHONPATH=/opt/other${PYTHONPATH:+:$PYTHONPATH}\nexec \"$@\"\n"
		if err := os.WriteFile(next, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		env, said := w.run(t, inPython, "THROUGHLINE_NEXT_WRAPPER="+next)
		expect(t, env, map[string]string{"SEEN_RUNTIME": a.runtime, "THROUGHLINE_NEXT_WRAPPER": "(unset)", "PYTHONPATH": filepath.Join(filepath.Dir(w.path), "python") + ":/opt/other"})
		if said != "" {
			t.Errorf("said %q", said)
		}
		env, said = w.run(t, "THROUGHLINE_NEXT_WRAPPER=/nowhere")
		expect(t, env, map[string]string{"AWS_LAMBDA_RUNTIME_API": a.runtime})
		if !strings.Contains(said, "cannot be run") {
			t.Errorf("said %q", said)
		}
	})
}

// However often it runs, it acts once.
func TestWrapperActsOnce(t *testing.T) {
	inEachShell(t, func(t *testing.T, w wrapper) {
		handshakeIn(t, w.tmp, announce(t).withEvents())
		back := filepath.Join(t.TempDir(), "back")
		if err := os.WriteFile(back, []byte("#!/bin/sh\nexec \"$AWS_LAMBDA_EXEC_WRAPPER\" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, language := range []string{inPython, inNode, inJava} {
			variables := []string{language, "AWS_LAMBDA_EXEC_WRAPPER=" + w.path, "HTTPS_PROXY=http://proxy.example:3128", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "PYTHONPATH="}
			once, said := w.run(t, variables...)
			if said != "" {
				t.Errorf("said %q", said)
			}
			twice := w
			twice.command = append([]string{w.path}, w.command...)
			for name, run := range map[string]func() (map[string]string, string){
				"twice": func() (map[string]string, string) { return twice.run(t, variables...) },
				"by a wrapper that returns": func() (map[string]string, string) {
					return w.run(t, append(variables, "THROUGHLINE_NEXT_WRAPPER="+back)...)
				},
				"by itself": func() (map[string]string, string) {
					return w.run(t, append(variables, "THROUGHLINE_NEXT_WRAPPER="+w.path)...)
				},
			} {
				again, said := run()
				if said != "" {
					t.Errorf("%s, %s: said %q", language, name, said)
				}
				for variable, value := range once {
					if variable != "_" && variable != "SHLVL" && again[variable] != value {
						t.Errorf("%s, %s: %s=%q, once it was %q", language, name, variable, again[variable], value)
					}
				}
			}
		}
	})
}

// FuzzEndpointsFile: whatever stands in the announcement, the runtime and the SDKs
// are pointed at nothing but loopback, and a line that is ours counts.
func FuzzEndpointsFile(f *testing.F) {
	f.Add("otlp=127.0.0.1:4318\n")
	f.Add("runtime=192.0.2.66:1\nevents=127.0.0.1:1@evil.example\n")
	f.Add("runtime=127.0.0.1:1\r\n=x\n\nruntime\nruntime=$(id):1\n`id`=127.0.0.1:1\n")
	f.Add("runtime=localhost:1 -o x\nruntime=127.0.0.1:\\\n1")
	path, err := filepath.Abs("../throughline/wrapper")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			t.Skip("shells drop the character NUL")
		}
		tmp := t.TempDir()
		handshakeIn(t, tmp, text)
		// Without bash nothing is tried at the addresses: what is taken shows.
		cmd := exec.Command(peertest.Command(t, "dash"), path, "/usr/bin/env")
		cmd.Env = []string{"TMPDIR=" + tmp, "AWS_LAMBDA_RUNTIME_API=before", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023", "PATH=/usr/bin:/bin"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		trusted := handshake.Read(filepath.Join(tmp, "throughline"))
		for line := range strings.SplitSeq(string(out), "\n") {
			name, value, _ := strings.Cut(line, "=")
			switch name {
			case "AWS_LAMBDA_RUNTIME_API":
				if value != "before" && value != trusted["runtime"] {
					t.Errorf("%q: the runtime at %q, which Go reads as %q", text, value, trusted)
				}
			case "AWS_ENDPOINT_URL_EVENTBRIDGE":
				if value != "http://"+trusted["events"] {
					t.Errorf("%q: events at %q, which Go reads as %q", text, value, trusted)
				}
			}
		}
	})
}
