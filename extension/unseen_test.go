package extension

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/otlp"
)

// exported is what matters here of a span.
type exported struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	Status                              struct{ Code int }
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue string }
	}
}

func (s exported) text(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue
		}
	}
	return ""
}

// exports keeps the spans that a backend takes.
func exports(t *testing.T) (url string, spans func() []exported) {
	var mu sync.Mutex
	var all []exported
	server, _ := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		var request struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []exported } }
		}
		body, err := readBody(r)
		if err == nil {
			body, err = otlp.AppendJSON(nil, body)
		}
		if err == nil {
			err = json.Unmarshal(body, &request)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				all = append(all, scope.Spans...)
			}
		}
	})
	return server.URL, func() []exported { mu.Lock(); defer mu.Unlock(); return all }
}

// TestAnInvocationWhoseRuntimeDied has a span of its own, though nobody saw its event.
func TestAnInvocationWhoseRuntimeDied(t *testing.T) {
	const (
		root = "1-6923c000-0123456789abcdef01234567"
		done = `[{"time":"2026-11-23T20:45:00Z","type":"platform.start","record":{"requestId":"r-2"}},
{"time":"2026-11-23T20:45:01Z","type":"platform.runtimeDone","record":{"requestId":"r-2","status":%q,"errorType":%q,"metrics":{"durationMs":1000}}}]`
		sampled = "Root=" + root + ";Parent=53995c3f42cd8ad8;Sampled=1"
	)
	exit := fmt.Sprintf(done, "error", "Runtime.ExitError")
	xray := func(c *Config) { c.Tracing.XRay = true }
	none := func(c *Config) { c.Sample = func(trace.TraceID) bool { return false } }
	for name, c := range map[string]struct {
		records, reason, header string
		change                  func(*Config)
		errorType, parent       string // "": there is no span
	}{
		"Killed":           {exit, "failure", "", nil, "Runtime.ExitError", ""},
		"OutOfMemory":      {fmt.Sprintf(done, "failure", "Runtime.OutOfMemory"), "failure", "", nil, "Runtime.OutOfMemory", ""},
		"TimedOut":         {fmt.Sprintf(done, "timeout", ""), "timeout", "", nil, "timeout", ""},
		"TelemetryIsLate":  {"", "TIMEOUT", "", nil, "timeout", ""},
		"FailureIsAllTold": {"", "failure", "", nil, "failure", ""},
		"XRay":             {exit, "failure", sampled, xray, "Runtime.ExitError", "53995c3f42cd8ad8"},
		"XRayElsewhere":    {exit, "failure", sampled, nil, "Runtime.ExitError", ""},
		"XRaySaysNo":       {exit, "failure", strings.Replace(sampled, "Sampled=1", "Sampled=0", 1), xray, "", ""},
		"SamplerSaysNo":    {exit, "failure", "", none, "", ""},
		"XRaySaysYes":      {exit, "failure", sampled, func(c *Config) { xray(c); none(c) }, "Runtime.ExitError", "53995c3f42cd8ad8"},
		// Of these the library's sampler may have decided against a span.
		"HandlerFailed":     {fmt.Sprintf(done, "error", "ValueError"), "spindown", "", nil, "", ""},
		"DiedIdle":          {fmt.Sprintf(done, "success", ""), "failure", "", nil, "", ""},
		"DiedAfterAnError":  {fmt.Sprintf(done, "error", "ValueError"), "failure", "", nil, "", ""},
		"EndedBeforeItsEnd": {"", "spindown", "", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLambda(t)
			url, spans := exports(t)
			r := l.run(func(config *Config) {
				config.Upstream = to(t, url)
				if c.change != nil {
					c.change(config)
				}
			})
			until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
			l.events <- invoke("r-1", time.Now().Add(time.Minute))
			l.tell(records("r-1")) // one that ends well before it, and has no span here
			until(t, "the next next", func() bool { n, _ := l.state(); return n == 2 })
			e := invoke("r-2", time.Now().Add(300*time.Millisecond))
			e.Tracing.Value = c.header
			l.events <- e
			if c.records != "" {
				l.tell(c.records)
			}
			l.events <- shutdown(c.reason)
			r.ended()
			var found []exported
			for _, s := range spans() {
				if s.text("faas.invocation_id") != "" {
					found = append(found, s)
				}
			}
			if c.errorType == "" {
				if len(found) != 0 {
					t.Errorf("there is %+v", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("there are %+v", found)
			}
			s := found[0]
			if s.text("faas.invocation_id") != "r-2" || s.Kind != 2 || s.Name != "portfolio" || s.Status.Code != 2 || s.text("error.type") != c.errorType || s.text("faas.trigger") != "" {
				t.Errorf("it is %+v", s)
			}
			if s.ParentSpanID != c.parent || (c.parent == "") == strings.HasPrefix(s.TraceID, "6923c000") {
				t.Errorf("it is %+v", s)
			}
		})
	}
}
