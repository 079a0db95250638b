// Package layer holds what the Lambda layer carries beside the extension. Its
// tests run the wrapper and the shims as a function's runtime would.
package layer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const bothEndpoints = "otlp=127.0.0.1:4318\nevents=127.0.0.1:4319\nalpaca=127.0.0.1:4320\nruntime=127.0.0.1:4321\n"

// wrapped runs `env` behind the wrapper and returns what the runtime would see
// and what the wrapper said.
func wrapped(t *testing.T, endpoints string, variables ...string) (env map[string]string, said string) {
	t.Helper()
	tmp := t.TempDir()
	if endpoints != "" {
		if err := os.Mkdir(filepath.Join(tmp, "throughline"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tmp, "throughline", "endpoints"), []byte(endpoints), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wrapper, err := filepath.Abs("throughline/wrapper")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(wrapper, "env")
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "TMPDIR=" + tmp, "AWS_LAMBDA_RUNTIME_API=169.254.100.1:9001"}, variables...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	env = map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
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

func TestWrapperPointsTheRuntimeAtWhatAnswers(t *testing.T) {
	env, said := wrapped(t, bothEndpoints, "AWS_EXECUTION_ENV=AWS_Lambda_python3.12", "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example")
	expect(t, env, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":       "127.0.0.1:4321",
		"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:4319",
		"AWS_ENDPOINT_URL":             "(unset)",
		"OTEL_EXPORTER_OTLP_ENDPOINT":  "http://127.0.0.1:4318",
		"THROUGHLINE_PYTHONPATH":       "(unset)",
		"NODE_OPTIONS":                 "(unset)",
		"NO_PROXY":                     "(unset)",
	})
	if !strings.HasSuffix(env["PYTHONPATH"], "/throughline/python") || strings.Contains(env["PYTHONPATH"], ":") {
		t.Errorf("PYTHONPATH=%q, want only the shim's folder", env["PYTHONPATH"])
	}
	if said != "" {
		t.Errorf("said %q", said)
	}
}

func TestWrapperOnlyExecs(t *testing.T) {
	for name, run := range map[string]func() (map[string]string, string){
		"NoFile":     func() (map[string]string, string) { return wrapped(t, "") },
		"EmptyFile":  func() (map[string]string, string) { return wrapped(t, "\n") },
		"KillSwitch": func() (map[string]string, string) { return wrapped(t, bothEndpoints, "THROUGHLINE_DISABLED=1") },
	} {
		t.Run(name, func(t *testing.T) {
			env, said := run()
			expect(t, env, map[string]string{
				"AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001", "AWS_ENDPOINT_URL_EVENTBRIDGE": "(unset)",
				"OTEL_EXPORTER_OTLP_ENDPOINT": "(unset)", "PYTHONPATH": "(unset)", "NODE_OPTIONS": "(unset)",
			})
			if said != "" {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestWrapperAnnouncesOnlyWhatStandsInTheFile(t *testing.T) {
	env, _ := wrapped(t, "otlp=127.0.0.1:4318") // and no line end
	expect(t, env, map[string]string{
		"AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001", "AWS_ENDPOINT_URL_EVENTBRIDGE": "(unset)",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "PYTHONPATH": "(unset)",
	})
}

func TestWrapperLeavesEventsAlone(t *testing.T) {
	for _, tt := range []struct{ variable, want string }{
		{"AWS_USE_FIPS_ENDPOINT=true", "(unset)"},
		{"AWS_USE_DUALSTACK_ENDPOINT=TRUE", "(unset)"},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "(unset)"},
		{"AWS_ENDPOINT_URL=https://aws.example", "(unset)"},
		{"AWS_ENDPOINT_URL_EVENTBRIDGE=https://bus.example", "https://bus.example"},
	} {
		t.Run(tt.variable, func(t *testing.T) {
			env, said := wrapped(t, bothEndpoints, tt.variable)
			expect(t, env, map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": tt.want, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:4321"})
			if strings.Count(said, "events are not seen") != 1 {
				t.Errorf("said %q, want the omission once", said)
			}
		})
	}
}

func TestWrapperSaysThatNoSDKReadsTheOtherVariable(t *testing.T) {
	env, said := wrapped(t, bothEndpoints, "AWS_ENDPOINT_URL_EVENTS=https://bus.example")
	expect(t, env, map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:4319"})
	if !strings.Contains(said, "no SDK reads AWS_ENDPOINT_URL_EVENTS") {
		t.Errorf("said %q", said)
	}
}

func TestWrapperExceptsLoopbackFromAProxy(t *testing.T) {
	env, _ := wrapped(t, bothEndpoints, "https_proxy=http://proxy.example:3128", "no_proxy=internal.example")
	expect(t, env, map[string]string{
		"NO_PROXY": "internal.example,127.0.0.1,localhost", "no_proxy": "internal.example,127.0.0.1,localhost",
	})
}

func TestWrapperReplacesSettingsForTraces(t *testing.T) {
	env, said := wrapped(t, bothEndpoints, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector.example/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	expect(t, env, map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
	})
	if said != "" {
		t.Errorf("said %q", said)
	}
}

// An SDK that speaks gRPC goes on speaking it, to whom it would.
func TestWrapperLeavesGRPCAlone(t *testing.T) {
	for _, setting := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"} {
		env, said := wrapped(t, bothEndpoints, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example:4317", setting)
		expect(t, env, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4317", strings.Split(setting, "=")[0]: "grpc"})
		if strings.Count(said, "gRPC") != 1 {
			t.Errorf("said %q", said)
		}
	}
	// Metrics alone do: spans are received, and metrics are not.
	env, _ := wrapped(t, bothEndpoints, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example:4317", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc")
	expect(t, env, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector.example:4317", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "(unset)",
	})
}

func TestWrapperForNode(t *testing.T) {
	env, _ := wrapped(t, bothEndpoints, "AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x", "NODE_OPTIONS=--enable-source-maps")
	if got := env["NODE_OPTIONS"]; !strings.HasPrefix(got, "--enable-source-maps --require ") || !strings.HasSuffix(got, "/node/shim.cjs") {
		t.Errorf("NODE_OPTIONS=%q", got)
	}
	expect(t, env, map[string]string{"PYTHONPATH": "(unset)"})
	if _, err := os.Stat(filepath.Join(env["TMPDIR"], "throughline", "current")); err != nil {
		t.Errorf("the shim's file: %v", err)
	}
}

func TestWrapperChains(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next")
	// As opentelemetry-instrument does: first in PYTHONPATH.
	script := "#!/bin/sh\nexport SEEN_RUNTIME=$AWS_LAMBDA_RUNTIME_API PYTHONPATH=/opt/other${PYTHONPATH:+:$PYTHONPATH}\nexec \"$@\"\n"
	if err := os.WriteFile(next, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	env, said := wrapped(t, bothEndpoints, "AWS_EXECUTION_ENV=AWS_Lambda_python3.12", "THROUGHLINE_NEXT_WRAPPER="+next)
	expect(t, env, map[string]string{"SEEN_RUNTIME": "127.0.0.1:4321", "THROUGHLINE_PYTHONPATH": "/opt/other"})
	if !strings.HasSuffix(env["PYTHONPATH"], "/throughline/python") || strings.Contains(env["PYTHONPATH"], ":") {
		t.Errorf("PYTHONPATH=%q, want only the shim's folder", env["PYTHONPATH"])
	}
	if said != "" {
		t.Errorf("said %q", said)
	}
	env, said = wrapped(t, bothEndpoints, "THROUGHLINE_NEXT_WRAPPER=/nowhere")
	expect(t, env, map[string]string{"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:4321"})
	if !strings.Contains(said, "cannot be run") {
		t.Errorf("said %q", said)
	}
}
