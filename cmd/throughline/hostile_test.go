package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// hostile are texts that a terminal would obey, or that would break a line or a
// table, as an event's author can write them into its type or its ID.
const hostile = "\x1b[31mEvil\x1b]0;title\a\r\n\tnext\u009b2J\u202eesrever\u2066\x7f"

// files are one of each kind that the commands read, with hostile wherever a text
// from outside can stand.
func hostileFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	h := text(hostile)
	envelope := `{"version":"0","id":"x%d","detail-type":` + h + `,"source":` + h + `,"resources":[],"time":"2026-11-25T20:59:0%[1]dZ","detail":{"event_id":` + h + `,"correlation_id":` + h + `}}` + "\n"
	attribute := func(key string) string { return `{"key":"` + key + `","value":{"stringValue":` + h + `}}` }
	attributes := strings.Join([]string{attribute("throughline.correlation.id"), attribute("throughline.event.id"), attribute("throughline.event.type"), attribute("throughline.repeat.kind"),
		attribute("throughline.replay.name"), attribute("http.request.method"), attribute("throughline.causation.id"), attribute("faas.invocation_id")}, ",")
	spans := ""
	for kind, id := range map[int]string{3: "03", 4: "04", 5: "05"} {
		spans += `{"resourceSpans":[{"resource":{"attributes":[` + attribute("service.name") + `]},"scopeSpans":[{"spans":[{"traceId":"aa","spanId":"` + id + `","parentSpanId":"05","name":` + h + fmt.Sprintf(`,"kind":%d,`, kind) +
			`"startTimeUnixNano":"1795813267000000000","endTimeUnixNano":"1795813268000000000","attributes":[` + attributes + `],"links":[{"traceId":` + h + `,"spanId":` + h + `,"attributes":[` + attribute("throughline.link") + `]}],"status":{"code":2,"message":` + h + `}}]}]}]}` + "\n"
	}
	metrics := `{"Service":` + h + `,"EventType":` + h + `,"Host":` + h + `,"PayloadSize":[100,200000000],"LargestEventID":` + h + `,"PayloadSizeMax":200000000,"CorrelationIDs":[` + h + `],"_aws":{"Timestamp":1795813267991,"CloudWatchMetrics":[{"Namespace":"Throughline","Dimensions":[["Service","EventType"]],"Metrics":[{"Name":"PayloadSize"},{"Name":` + h + `}]}]}}` + "\n" +
		`{"Service":` + h + `,"Duration":[100000],"SlowestRequestID":` + h + `,"EventsFailed":3,"EventsFailed_` + `X":3,"LoopSuspected":1,"_aws":{"Timestamp":1795813267991,"CloudWatchMetrics":[]}}` + "\n" +
		`{"throughline":"repeat","kind":"republish","service":` + h + `,"event_id":` + h + `,"event_type":` + h + `,"correlation_id":` + h + `}` + "\n" +
		`{"throughline":"loop","service":` + h + `,"event_id":` + h + `,"event_type":` + h + `,"correlation_id":` + h + `,"hops":20}` + "\n"
	for name, content := range map[string]string{
		"events.jsonl": fmt.Sprintf(envelope, 1) + fmt.Sprintf(envelope, 2), "spans.jsonl": spans, "metrics.jsonl": metrics,
		"dead.jsonl":  `{"Body":` + text(fmt.Sprintf(envelope, 1)) + `,"MessageAttributes":{"RULE_ARN":{"StringValue":` + h + `},"ERROR_CODE":{"StringValue":` + h + `}}}` + "\n",
		"t.json":      `{"Resources":{"R":{"Type":"AWS::Events::Rule","Properties":{"Name":"r","EventPattern":{"source":["shop"],"detail-type":["x"]},"Targets":[]}}}}`,
		"system.json": `{"buses":[{"name":` + h + `,"exists":false,"others":[` + h + `],"rules":[{"name":` + h + `,"pattern":` + h + `,"targets":[{"id":"a","arn":` + h + `}]}]}],"functions":[{"name":` + h + `,"service":` + h + `,"timeout":1}]}`,
		"broken.json": hostile,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNothingFromOutsideReachesTheTerminal: no control character, and no character
// that turns the direction of text, whatever an event, a span, a log or a server says.
func TestNothingFromOutsideReachesTheTerminal(t *testing.T) {
	dir := hostileFiles(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/services") {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": []string{hostile}})
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "Denied" + hostile, "message": hostile})
	}))
	defer server.Close()
	aws := []string{"--region", "eu-west-1", "--endpoint-url", server.URL}
	for _, tt := range []struct {
		args []string
		says string // of what came from outside, on either output
	}{
		{[]string{"sizes", in("events.jsonl")}, "Evil"},
		{[]string{"sizes", in("metrics.jsonl")}, "Evil"},
		{[]string{"sizes", in("metrics.jsonl"), "--json"}, `\u001b[31mEvil`},
		{[]string{"sizes", in("broken.json")}, "no events"},
		{[]string{"repeats", in("events.jsonl")}, "Evil"},
		{[]string{"repeats", in("metrics.jsonl")}, "Evil"},
		{[]string{"repeats", in("metrics.jsonl"), "--json"}, `\u009b2J\u202e`},
		{[]string{"cost", "--file", in("metrics.jsonl"), "--over", "1h"}, "Evil"},
		{[]string{"cost", "--file", in("metrics.jsonl"), "--over", "1h", "--json"}, `\u009b2J\u202e`},
		{[]string{"trace", "--last", "--file", in("spans.jsonl")}, "Evil"},
		{[]string{"trace", "--last", "--file", in("spans.jsonl"), "--json"}, `\u009b2J\u202e`},
		{[]string{"trace", "--last", "--file", in("spans.jsonl"), "--mermaid"}, "Evil"},
		{[]string{"trace", hostile, "--file", in("broken.json")}, "Evil"},
		{[]string{"trace", "none", "--file", in("spans.jsonl")}, "Evil"},
		{[]string{"trace", "--event", "\x1b", "--file", in("spans.jsonl")}, "Evil"},
		{[]string{"trace", "--last", "--jaeger", server.URL}, "403"},
		{append([]string{"trace", "--last", "--xray"}, aws...), "Evil"},
		{append([]string{"trace", "--last", "--transaction-search"}, aws...), "Evil"},
		{[]string{"check", "--demo", dir}, "Evil"},
		{[]string{"check", "--demo", dir, "--json"}, `\u009b2J\u202e`},
		{append([]string{"check", "--bus", "b"}, aws...), "403"},
		{append([]string{"dedupe", "create-table", "--table", "seen"}, aws...), "Evil"},
		{append([]string{"cost", "--cloudwatch"}, aws...), "403"},
		{[]string{"rules", "test", in("events.jsonl"), "--template", in("t.json")}, "Evil"},
		{[]string{"rules", "test", in("events.jsonl"), "--template", in("t.json"), "--json"}, `\u009b2J\u202e`},
		{[]string{"why", "x1", "--events", in("events.jsonl"), "--template", in("t.json"), "--file", in("spans.jsonl")}, "Evil"},
		{[]string{"why", in("dead.jsonl"), "--template", in("t.json"), "--file", in("spans.jsonl"), "--json"}, `\u009b2J\u202e`},
		{append([]string{"why", "x1", "--events", in("events.jsonl"), "--bus", "b", "--file", in("spans.jsonl")}, aws...), "Evil"},
		{append([]string{"dlq", "dead"}, aws...), "Evil"},
		{append([]string{"dlq", "redrive", "dead", "--all", "--yes"}, aws...), "Evil"},
		{[]string{hostile}, "Evil"},
	} {
		t.Run(strings.Join(tt.args[:min(2, len(tt.args))], " "), func(t *testing.T) {
			_, out, errs := command(t, tt.args...)
			for name, text := range map[string]string{"output": out, "error": errs} {
				for _, r := range text {
					if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
						t.Fatalf("%U on the standard %s:\n%q", r, name, text)
					}
				}
			}
			if !strings.Contains(out+errs, tt.says) {
				t.Errorf("%v: no %q in\n%s%s", tt.args, tt.says, out, errs)
			}
			for _, line := range strings.Split(out, "\n") {
				if strings.HasPrefix(strings.TrimSpace(line), "next") {
					t.Errorf("%v: a text from outside begins a line:\n%s", tt.args, out)
				}
			}
		})
	}
}
