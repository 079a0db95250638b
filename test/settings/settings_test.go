// Package settings_test holds every documented setting to what its help says,
// through README's wiring of the library, through the extension and through the
// sidecar.
//
// A new setting needs a row in rows. Its test runs once a way, with a stage that
// publishes, handles and calls; contrast compares what was seen with and without the
// setting. A way in which a setting means nothing is named with the reason.
package settings_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// row is the test of one setting, in one way at a time.
type row struct {
	test func(t *testing.T, way string)
	// Where the setting means nothing, and why.
	library, extension, sidecar string
}

const (
	endpoints = "the library has no endpoints"
	wrapper   = "the layer's wrapper reads it: layer/conformance"
)

var rows = map[string]row{
	"DISABLED": {test: func(t *testing.T, way string) {
		contrast(t, "traceparent:", published(t, way, `{}`), published(t, way, `{}`, "DISABLED=1"))
		s := start(t, way, "DISABLED=1")
		s.publish("Planned", `{}`)
		if out := s.end(); out != "" {
			t.Errorf("wrote %s", out)
		}
	}},
	"ENDPOINTS": {library: endpoints, test: func(t *testing.T, way string) {
		s := start(t, way, "ENDPOINTS=alpaca")
		if s.at("alpaca") == "" || s.at("otlp")+s.at("events")+s.at("runtime") != "" {
			t.Errorf("said %s", s.said.String())
		}
		s.end()
	}},
	"OTLP_ADDR": address("OTLP_ADDR", "otlp"), "EVENTS_ADDR": address("EVENTS_ADDR", "events"),
	"ALPACA_ADDR": address("ALPACA_ADDR", "alpaca"), "RUNTIME_ADDR": address("RUNTIME_ADDR", "runtime"),
	"EVENTS_UPSTREAM": {library: endpoints, test: func(t *testing.T, way string) {
		other := newPeer(t, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`)
		if published(t, way, `{}`, "EVENTS_UPSTREAM="+other.URL) != "" || other.all() == "" {
			t.Error("the event did not go there")
		}
	}},
	"ALPACA_UPSTREAM": {library: endpoints, test: func(t *testing.T, way string) {
		other := newPeer(t, `{}`)
		s := start(t, way, "ALPACA_UPSTREAM="+other.URL)
		s.get("/v2/clock")
		if s.end(); other.all() == "" {
			t.Error("the call did not go there")
		}
	}},
	"ALPACA_FAULTS": {library: endpoints, test: func(t *testing.T, way string) {
		s := start(t, way, "ALPACA_FAULTS=error=503")
		if status := s.get("/v2/clock"); status != http.StatusServiceUnavailable {
			t.Errorf("status %d", status)
		}
		s.end()
	}},
	"STAMP": {test: func(t *testing.T, way string) {
		contrast(t, `_throughline`, published(t, way, `{}`, "STAMP=detail"), published(t, way, `{}`))
		contrast(t, `traceparent:`, published(t, way, `{}`), published(t, way, `{}`, "STAMP=off"))
	}},
	"STAMP_CONTENT_BASED": {test: func(t *testing.T, way string) {
		deduplicated := func(set ...string) string {
			s := start(t, way, set...)
			s.publishDeduplicated()
			s.end()
			return s.bus.all()
		}
		contrast(t, "traceparent:", deduplicated("STAMP_CONTENT_BASED=1"), deduplicated())
	}},
	"DETAIL_KEY": {test: func(t *testing.T, way string) {
		contrast(t, `_lineage`, published(t, way, `{}`, "STAMP=both", "DETAIL_KEY=_lineage"), published(t, way, `{}`, "STAMP=both"))
	}},
	"STAMP_TRACEHEADER": {test: func(t *testing.T, way string) {
		contrast(t, `"TraceHeader":"Root=`, published(t, way, `{}`, "STAMP_TRACEHEADER=1"), published(t, way, `{}`))
	}},
	"EVENT_ID": {test: func(t *testing.T, way string) {
		out := func(set ...string) string {
			s := start(t, way, set...)
			s.publish("Planned", `{"meta":{"mine":"plan-7"}}`)
			return s.end()
		}
		contrast(t, `"LargestEventID":"plan-7"`, out("EVENT_ID=/nothing,/meta/mine"), out())
	}},
	"CORRELATION_ID": {test: func(t *testing.T, way string) {
		const detail = `{"meta":{"wf":"workflow-7"}}`
		contrast(t, `"correlation:workflow-7"`, published(t, way, detail, "CORRELATION_ID=/meta/wf"), published(t, way, detail))
	}},
	"CAUSATION_ID": {test: func(t *testing.T, way string) {
		const detail = `{"meta":{"why":"order-7"}}`
		contrast(t, `"causation:order-7"`, published(t, way, detail, "CAUSATION_ID=/meta/why"), published(t, way, detail))
	}},
	"TRACE_MODE": {test: func(t *testing.T, way string) {
		trace := func(set ...string) string {
			s := start(t, way, set...)
			s.handle("SignalGenerated", "signal-1", 0)
			s.end()
			for _, body := range s.collector.bodies {
				for _, found := range otlp.Find([]byte(body), "throughline.event.id") {
					return found.TraceID.String()
				}
			}
			return "no span"
		}
		contrast(t, "4bf92f3577b34da6a3ce929d0e0e4736", trace("TRACE_MODE=parent"), trace())
	}},
	"SAMPLING": {test: func(t *testing.T, way string) {
		spans := func(set ...string) string {
			s := start(t, way, set...)
			s.invoke(`{"id":"env-1","detail-type":"SignalGenerated","source":"s","resources":["correlation:w","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00","hops:0"],"detail":{}}`)
			s.end()
			return s.collector.all()
		}
		contrast(t, "process SignalGenerated", spans("SAMPLING=own"), spans())
	}},
	"TRACES": {test: func(t *testing.T, way string) {
		spans := func(set ...string) string {
			s := start(t, way, set...)
			s.publish("Planned", `{}`)
			s.end()
			return s.collector.all()
		}
		contrast(t, "send Planned", spans(), spans("TRACES=off"))
	}},
	"HTTP_HOSTS": {test: func(t *testing.T, way string) {
		headers := func(set ...string) string {
			s := start(t, way, set...)
			s.get("/v2/clock")
			s.end()
			return s.exchange.all()
		}
		contrast(t, "Traceparent", headers(), headers("HTTP_HOSTS=api.example.com"))
	}},
	"HTTP_ROUTES": {test: func(t *testing.T, way string) {
		names := func(set ...string) string {
			s := start(t, way, set...)
			s.get("/v9/accounts/7")
			s.end()
			return s.collector.all()
		}
		contrast(t, "GET /v9/accounts/{id}", names("HTTP_ROUTES=api.example.com/v1/users/{id},paper-api.alpaca.markets/v9/accounts/{id}"), names())
	}},
	"FLUSH": {
		library: "the library exports at the end of each invocation where no extension is", sidecar: "outside of Lambda there are no invocations to export beside",
		test: func(t *testing.T, way string) {
			exported := func(flush string) string {
				s := start(t, way, "FLUSH="+flush)
				s.handle("SignalGenerated", "signal-1", 0)
				before := s.collector.all()
				s.end()
				contrast(t, "process SignalGenerated", s.collector.all(), "")
				return before
			}
			contrast(t, "process SignalGenerated", exported("end"), exported("periodic"))
		},
	},
	"METRICS": {test: func(t *testing.T, way string) {
		contrast(t, `"Name":"PublishDuration"`, lines(t, way, "METRICS=full"), lines(t, way))
		if out := lines(t, way, "METRICS=off"); strings.Contains(out, "_aws") {
			t.Errorf("wrote %s", out)
		}
	}},
	"METRICS_SINK": {test: func(t *testing.T, way string) {
		s := start(t, way, "METRICS_SINK=logs:of-the-function")
		s.publish("Planned", `{}`)
		if out := s.end(); strings.Contains(out, "_aws") {
			t.Errorf("wrote %s", out)
		}
		contrast(t, `"logGroupName":"of-the-function"`, s.logs.all(), "")
		contrast(t, `\"EventsPublished\":1`, s.logs.all(), "")
	}},
	"EMF_LEVEL": {test: func(t *testing.T, way string) {
		contrast(t, `"level":"ERROR"`, lines(t, way, "EMF_LEVEL=ERROR"), lines(t, way))
	}},
	"NAMESPACE": {test: func(t *testing.T, way string) {
		contrast(t, `"Namespace":"Mine"`, lines(t, way, "NAMESPACE=Mine"), lines(t, way))
	}},
	"SERVICE": {test: func(t *testing.T, way string) {
		contrast(t, `"Service":"mine"`, lines(t, way, "SERVICE=mine"), lines(t, way))
	}},
	"EVENT_TYPES_MAX": {test: func(t *testing.T, way string) {
		contrast(t, `"EventType":"other"`, lines(t, way, "EVENT_TYPES_MAX=1"), lines(t, way))
	}},
	"SIZE_LIMIT": {test: func(t *testing.T, way string) {
		contrast(t, `"PayloadLimitUtilizationMax":5`, lines(t, way, "METRICS=full", "SIZE_LIMIT=1000"), lines(t, way, "METRICS=full"))
	}},
	"SIZE_WARN": {test: func(t *testing.T, way string) {
		contrast(t, `"OversizedEvents":1`, lines(t, way, "SIZE_WARN=300"), lines(t, way))
	}},
	"DEDUPE": {test: func(t *testing.T, way string) {
		contrast(t, `"throughline":"repeat"`, twice(t, way, "signal-1", "signal-1"), twice(t, way, "signal-1", "signal-1", "DEDUPE=off"))
	}},
	"DEDUPE_KEYS": {test: func(t *testing.T, way string) {
		contrast(t, `"throughline":"repeat"`, twice(t, way, "signal-1", "signal-2", "DEDUPE_KEYS=SignalGenerated=/trade"), twice(t, way, "signal-1", "signal-2"))
	}},
	"DEDUPE_CONSUMER": {test: func(t *testing.T, way string) {
		asked := func(set ...string) string {
			s := start(t, way, append(set, "DEDUPE=dynamodb:seen")...)
			s.handle("SignalGenerated", "signal-1", 0)
			s.end()
			return s.table.all()
		}
		contrast(t, "blue-and-green", asked("DEDUPE_CONSUMER=blue-and-green"), asked())
	}},
	"ORDER": {test: func(t *testing.T, way string) {
		contrast(t, `"throughline":"out-of-order"`, lines(t, way, "ORDER=SignalGenerated:Opened"), lines(t, way))
	}},
	"HOPS": {test: func(t *testing.T, way string) {
		seen := func(set ...string) string {
			s := start(t, way, set...)
			if way == library {
				queue := newPeer(t, `{"MessageId":"m-1"}`)
				s.invoke(order{Send: queue.URL + "/123456789012/work"})
			} else {
				s.report("hops", `{"service":"sqs","operation":"SendMessage","target":"https://sqs.eu-west-1.amazonaws.com/123456789012/work","region":"eu-west-1","ids":["m-1"],"outcome":"answered","start_unix_nano":1795813267000000000,"end_unix_nano":1795813268000000000}`)
			}
			s.end()
			return s.collector.all()
		}
		contrast(t, "send work", seen(), seen("HOPS=off"))
		if way == extension {
			current := func(set ...string) string {
				s := start(t, way, set...)
				s.lambda.trace = "Root=1-6a0f3c1e-4bf92f3577b34da6a3ce929d;Parent=00f067aa0ba902b7;Sampled=0"
				file := filepath.Join(s.tmp, "throughline", "current") // the wrapper makes it
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				s.handle("SignalGenerated", "signal-1", 0)
				written, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				s.end()
				return string(written)
			}
			contrast(t, `"carry":"Root=1-`, current("HOPS=carry"), current())
		}
	}},
	"MAX_HOPS": {test: func(t *testing.T, way string) {
		contrast(t, `"throughline":"loop"`, lines(t, way, "MAX_HOPS=2"), lines(t, way))
	}},
	"NEXT_WRAPPER": {library: wrapper, extension: wrapper, sidecar: wrapper},
	"PYTHONPATH":   {library: wrapper, extension: wrapper, sidecar: wrapper},
	"LOG": {library: "the library tells nothing but warnings", test: func(t *testing.T, way string) {
		said := func(set ...string) string {
			s := start(t, way, set...)
			s.publish("Planned", `{}`)
			if way == extension {
				s.handle("SignalGenerated", "signal-1", 0)
			}
			s.until("an export", func() bool { return s.collector.all() != "" })
			s.end()
			return s.said.String()
		}
		contrast(t, "exported ", said("LOG=debug"), said())
	}},
}

// address is the row of a setting that says where an endpoint is.
func address(name, endpoint string) row {
	return row{library: endpoints, test: func(t *testing.T, way string) {
		at, where := "", ""
		for range 5 { // another process may take the port between its choice and its use
			where = free(t)
			s := start(t, way, name+"="+where)
			if at = s.at(endpoint); at == "http://"+where && s.call(http.MethodGet, at+"/healthz") != http.StatusOK {
				t.Errorf("%s is not well at %s", endpoint, at)
			}
			if s.end(); at == "http://"+where {
				return
			}
		}
		t.Errorf("%s answers at %q, want %s", endpoint, at, where)
	}}
}

// published is what reached the bus of one published event.
func published(t *testing.T, way, detail string, set ...string) string {
	t.Helper()
	s := start(t, way, set...)
	s.publish("Planned", detail)
	s.end()
	return s.bus.all()
}

// lines is what was written of one published and one handled event.
func lines(t *testing.T, way string, set ...string) string {
	t.Helper()
	s := start(t, way, set...)
	s.publish("Planned", `{"event_id":"plan-1","correlation_id":"w","text":"`+strings.Repeat("x", 400)+`"}`)
	s.handle("SignalGenerated", "signal-1", 3)
	return s.end()
}

// twice is what was written of two handled events.
func twice(t *testing.T, way, first, second string, set ...string) string {
	t.Helper()
	s := start(t, way, set...)
	s.handle("SignalGenerated", first, 0)
	s.handle("SignalGenerated", second, 0)
	return s.end()
}

func contrast(t *testing.T, what, with, without string) {
	t.Helper()
	if !strings.Contains(with, what) {
		t.Errorf("with the setting there is no %q in %.3000s", what, with)
	}
	if strings.Contains(without, what) {
		t.Errorf("without the setting there is %q in %.3000s", what, without)
	}
}

func TestEverySettingDoesWhatItSays(t *testing.T) {
	known := map[string]bool{}
	for _, s := range settings.Table() {
		known[s.Name] = true
		r, ok := rows[s.Name]
		if !ok {
			t.Errorf("%s has no test", s.Name)
			continue
		}
		for way, means := range map[string]string{library: r.library, extension: r.extension, sidecar: r.sidecar} {
			if means == "" {
				t.Run(s.Name+"/"+way, func(t *testing.T) {
					t.Parallel()
					r.test(t, way)
				})
			}
		}
	}
	for name := range rows {
		if !known[name] {
			t.Errorf("there is a test of %s, which is no setting", name)
		}
	}
}

// TestAWrongValueIsSaid once, and the default holds.
func TestAWrongValueIsSaid(t *testing.T) {
	for _, way := range []string{extension, sidecar} {
		t.Run(way, func(t *testing.T) {
			s := start(t, way, "STAMP=everywhere")
			s.publish("Planned", `{}`)
			s.end()
			const warning = `THROUGHLINE_STAMP="everywhere": it takes resources, detail, both, off; resources is used`
			if n := strings.Count(s.said.String(), warning); n != 1 {
				t.Errorf("said %d times: %s", n, s.said.String())
			}
			contrast(t, "traceparent:", s.bus.all(), "")
		})
	}
}
