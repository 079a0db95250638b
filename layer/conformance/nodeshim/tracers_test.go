package nodeshim

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// theirs are headers that tracers add, with IDs of their own.
var theirs = regexp.MustCompile(`(?i)\r\n(traceparent|tracestate|baggage|b3|sentry-trace|newrelic|x-amzn-trace-id|x-datadog-[a-z-]+|_dd-[a-z-]+): [^\r]*`)

// A process in which a tracer is as well does with the shim what it does with
// the tracer alone, whichever of them is loaded first. Where the tracer tells
// its spans, none is of a call of ours.
func TestTracers(t *testing.T) {
	quiet := []string{
		"OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none", "OTEL_NODE_RESOURCE_DETECTORS=none",
		"DD_INSTRUMENTATION_TELEMETRY_ENABLED=false", "DD_REMOTE_CONFIGURATION_ENABLED=false", "DD_TRACE_STARTUP_LOGS=false",
		"NEW_RELIC_SERVERLESS_MODE_ENABLED=true", "NEW_RELIC_APP_NAME=test", "NEW_RELIC_LOG_ENABLED=false", "NEW_RELIC_NO_CONFIG_FILE=true",
		"AWS_XRAY_LOG_LEVEL=silent", "AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:1",
	}
	for _, version := range nodes() {
		for _, tracer := range []string{"opentelemetry", "datadog", "newrelic", "sentry", "xray"} {
			t.Run(version+"/"+tracer, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, version)
				require := []string{"--require", "./tracers/" + tracer + ".cjs"}
				rest := []string{"--require", "./led.cjs", "traced.cjs"}
				alone := w.run(false, program{args: slices.Concat(require, rest), env: quiet})
				if alone.code != 0 {
					t.Fatalf("%d\n%s%s", alone.code, alone.stdout, alone.stderr)
				}
				for name, args := range map[string][]string{
					"loaded after":  slices.Concat(require, []string{"--require", shim(t)}, rest),
					"loaded before": slices.Concat([]string{"--require", shim(t)}, require, rest),
				} {
					w.promptly(func() seen { return w.run(false, program{args: args, env: quiet}) }, func(with seen, outcomes []stands.Outcome) {
						if with.code != alone.code || with.stdout != alone.stdout || with.stderr != alone.stderr {
							t.Errorf("%s: %d\n%s%s\nthe tracer alone: %d\n%s%s", name, with.code, with.stdout, with.stderr, alone.code, alone.stdout, alone.stderr)
						}
						if got, want := untraced(with.received), untraced(alone.received); !slices.Equal(got, want) {
							t.Errorf("%s: there arrived\n%s\nwith the tracer alone\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
						}
						for _, r := range with.received {
							if put := r.Header.Get("X-Amz-Target") != ""; isStamped(r.Body) != put || put && r.Signed != "yes" {
								t.Errorf("%s: %s is stamped %t, signed %q", name, r.URI, isStamped(r.Body), r.Signed)
							}
						}
						if len(outcomes) != 2 {
							t.Errorf("%s: %d outcomes told", name, len(outcomes))
						}
					})
				}
			})
		}
	}
}

func untraced(requests []stands.Request) []string {
	texts := raw(requests)
	for i, text := range texts {
		texts[i] = theirs.ReplaceAllString(text, "")
	}
	return texts
}
