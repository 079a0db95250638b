package pythonshim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// bootstraps are the folders with the sitecustomize that each tracer's launcher
// puts in front of PYTHONPATH. The others are started by the function's code.
var bootstraps = map[string]string{
	"otel": "opentelemetry/instrumentation/auto_instrumentation", "ddtrace": "ddtrace/bootstrap", "newrelic": "newrelic/bootstrap", "sentry": "", "xray": "",
}

var quiet = []string{
	"OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=logging", "AWS_XRAY_CONTEXT_MISSING=LOG_ERROR",
	"DD_TRACE_AGENT_URL=http://127.0.0.1:9", "DD_INSTRUMENTATION_TELEMETRY_ENABLED=false", "DD_REMOTE_CONFIGURATION_ENABLED=false", "DD_TRACE_STARTUP_LOGS=false", "DD_CRASHTRACKING_ENABLED=false",
	"DD_TRACE_STATS_COMPUTATION_ENABLED=false", "DD_RUNTIME_METRICS_ENABLED=false",
	"NEW_RELIC_DEVELOPER_MODE=true", "NEW_RELIC_APP_NAME=fn", "NEW_RELIC_LICENSE_KEY=" + "0000000000000000000000000000000000000000", "NEW_RELIC_LOG=/dev/null", "NEW_RELIC_STARTUP_TIMEOUT=0",
}

// TestTracers: beside each tracer, loaded before it and after it, the function
// does what it did, and the tracer sees what it saw.
func TestTracers(t *testing.T) {
	sets := [][]string{{"otel"}, {"ddtrace"}, {"newrelic"}, {"sentry"}, {"xray"}, {"sentry", "xray"}}
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		sets = append(sets, []string{"otel", "sentry"}, []string{"otel", "xray"}, []string{"ddtrace", "sentry"}, []string{"ddtrace", "xray"}, []string{"newrelic", "sentry"}, []string{"newrelic", "xray"},
			[]string{"ddtrace", "otel"}, []string{"newrelic", "ddtrace"})
	}
	for version, python := range versions(t, "tracers") {
		packages, err := filepath.Glob(filepath.Join(filepath.Dir(python), "../lib/python3*/site-packages"))
		if err != nil || len(packages) != 1 {
			peertest.Missing(t, "packages of "+python)
		}
		for _, tracers := range sets {
			var path []string
			for _, tracer := range tracers {
				if folder := bootstraps[tracer]; folder != "" {
					path = append(path, filepath.Join(packages[0], folder))
				}
			}
			for _, order := range []string{"before", "after"} {
				// OpenTelemetry's sitecustomize runs no other one: behind it the shim does not start.
				if order == "after" && (len(path) == 0 || tracers[0] == "otel") {
					continue
				}
				t.Run(strings.Join(tracers, "+")+" "+order+" "+version, func(t *testing.T) {
					s := newScene(t)
					f := function{script: "traced.py", traced: true, behind: order == "after", env: append([]string{
						"TRACERS=" + strings.Join(tracers, ","), "NEW_RELIC_PYTHON_VERSION=" + version, "NEW_RELIC_PYTHON_PREFIX=" + filepath.Dir(filepath.Dir(python)), "NEW_RELIC_ADMIN_COMMAND=",
					}, quiet...)}
					if len(path) > 0 {
						f.env = append(f.env, "PYTHONPATH="+strings.Join(path, ":"))
					}
					with, about := s.both(t, python, f)
					if !strings.Contains(with.Stdout, "calls of the shim's: []") {
						t.Errorf("%s", with.Stdout)
					}
					got := []string{}
					for _, o := range about.outbound {
						got = append(got, attempt(o))
					}
					if want := "GET /v2/clock 200 0|GET /v2/limited 429 0|GET /v2/limited 429 1|GET /close 0 0 RemoteDisconnected"; strings.Join(got, "|") != want {
						t.Errorf("told %q, want %s", got, want)
					}
					if about.stamped != 1 || len(about.outcomes) != 1 {
						t.Errorf("%d stamped, told %+v", about.stamped, about.outcomes)
					}
				})
			}
		}
	}
}
