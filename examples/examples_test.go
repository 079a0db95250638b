// Package examples holds no code: its tests run each example as Lambda would.
package examples

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// upstream is the span that published the event which each example is handed.
const upstream = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestExamples has each example handle one event: it must publish its own with
// the lineage of that one, call the exchange with it, and report spans that say so.
func TestExamples(t *testing.T) {
	attached := map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/opt/throughline/wrapper", "BUS": busName}
	for name, function := range map[string]func(*testing.T) lambdalocal.Function{
		"python-layer": func(t *testing.T) lambdalocal.Function {
			f := python(t, "python-layer", "function.handle")
			f.Env = attached
			return f
		},
		"node-layer": func(t *testing.T) lambdalocal.Function {
			f := node(t, "node-layer", "function.handle")
			f.Env = attached
			return f
		},
		"go-library": func(t *testing.T) lambdalocal.Function {
			return lambdalocal.Function{Runtime: []string{binary(t, "examples/go-library")}, Env: map[string]string{"BUS": busName}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := function(t)
			f.Name = name
			s := newScene(t)
			d := s.create(f)
			event := fmt.Sprintf(`{"version":"0","id":"8b1b6f3e-0000-4000-8000-000000000001","detail-type":"SignalGenerated","source":"trading.strategy","time":"2026-01-05T20:45:00Z",
				"resources":["correlation:workflow-1","traceparent:%s","hops:0"],"detail":{"event_id":"signal-1","correlation_id":"workflow-1"}}`, upstream)
			result, err := d.Invoke(t.Context(), []byte(event), lambdalocal.InvokeOptions{})
			if err != nil || result.FunctionError != "" || string(result.Payload) != `{"planned":true}` && string(result.Payload) != `{"planned": true}` {
				t.Fatalf("%v %s\n%s", err, result.Payload, s.logged())
			}
			s.settle()
			checkPublished(t, s.bus.Ledger().Published)
			if len(s.calls) != 1 || s.calls[0].Get("X-Correlation-ID") != "workflow-1" || s.calls[0].Get("Traceparent") == "" {
				t.Errorf("the exchange was called with %v", s.calls)
			}
			tree := s.tree("workflow-1")
			for _, want := range []string{"⇢ " + name, "GET /v2/clock  200", "X-Request-ID alpaca-1", "RebalancePlanned  plan-of-signal-1  from " + name, "causation→b7ad6b71"} {
				if !strings.Contains(tree, want) {
					t.Errorf("its tree has no %q:\n%s", want, tree)
				}
			}
			if t.Failed() {
				t.Log(s.logged())
			}
		})
	}
}

func checkPublished(t *testing.T, published []*buslocal.Event) {
	t.Helper()
	if len(published) != 1 {
		t.Fatalf("%d events published", len(published))
	}
	e := published[0]
	for line, want := range map[string]string{"correlation": "workflow-1", "causation": "signal-1", "origin": upstream, "hops": "1"} {
		if got := e.Line(line); got != want {
			t.Errorf("its %s is %q, want %q", line, got, want)
		}
	}
	if got := e.Line("traceparent"); len(got) != 55 || got == upstream {
		t.Errorf("its traceparent is %q", got)
	}
}
