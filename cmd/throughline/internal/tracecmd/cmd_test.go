package tracecmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// accounts answers for X-Ray and for Logs Insights with one workflow: an event
// that was published, and handled twice.
func accounts(t *testing.T) (url string, asked *[]string) {
	t.Helper()
	at := time.Now().Add(-30 * time.Minute)
	span := func(id, kind, service string, after time.Duration, attributes, links string) (segment, record string) {
		trace := strings.Repeat("a", 24) + strings.Repeat(id, 8)
		start := at.Add(after)
		operation := map[string]string{"PRODUCER": "send", "CONSUMER": "process"}[kind]
		all := fmt.Sprintf(`"throughline.correlation.id":"workflow-1","throughline.event.id":"signal-1","throughline.event.type":"SignalGenerated","messaging.operation.type":%q%s`, operation, attributes)
		segment = fmt.Sprintf(`{"id":"%016s","trace_id":"1-%s-%s","name":"%s SignalGenerated","start_time":%f,"end_time":%f,"metadata":{"default":{"otel.resource.service.name":%q,%s}},"links":[%s]}`,
			id, trace[:8], trace[8:], operation, float64(start.UnixMicro())/1e6, float64(start.Add(time.Second).UnixMicro())/1e6, service, all, strings.NewReplacer("traceId", "trace_id", "spanId", "id").Replace(links))
		record = fmt.Sprintf(`{"traceId":%q,"spanId":"%016s","name":"%s SignalGenerated","kind":%q,"startTimeUnixNano":%d,"endTimeUnixNano":%d,"attributes":{%s},"resource":{"attributes":{"service.name":%q}},"links":[%s],"status":{"code":"OK"}}`,
			trace, id, operation, kind, start.UnixNano(), start.Add(time.Second).UnixNano(), all, service, links)
		return segment, record
	}
	cause := fmt.Sprintf(`{"traceId":"%s","spanId":"%016s","attributes":{"throughline.link":"causation","throughline.event.id":"signal-1"}}`, strings.Repeat("a", 24)+strings.Repeat("b", 8), "b")
	var segments, records []string
	for _, s := range []struct{ id, kind, service, attributes, links string }{
		{"b", "PRODUCER", "strategy", `,"throughline.entry.size":2386`, ""},
		{"c", "CONSUMER", "portfolio", `,"throughline.lag_ms":582`, cause},
		{"d", "CONSUMER", "portfolio", `,"throughline.repeat.kind":"replay"`, cause},
	} {
		segment, record := span(s.id, s.kind, s.service, time.Duration(s.id[0])*time.Second, s.attributes, s.links)
		segments, records = append(segments, segment), append(records, record)
	}
	var log []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		log = append(log, r.URL.Path+" "+r.Header.Get("X-Amz-Target")+" "+string(body))
		known := strings.Contains(string(body), "workflow-1") || strings.Contains(string(body), "signal-1") || strings.Contains(string(body), "ispresent") || !strings.Contains(string(body), "FilterExpression")
		var out any
		switch {
		case r.URL.Path == "/TraceSummaries" && known:
			out = map[string]any{"TraceSummaries": []any{map[string]any{
				"Id": "1-aaaaaaaa-b", "StartTime": at.Unix(), "Duration": 3, "Annotations": map[string]any{"throughline.correlation.id": []any{map[string]any{"AnnotationValue": map[string]any{"StringValue": "workflow-1"}}}},
			}}}
		case r.URL.Path == "/TraceSummaries":
			out = map[string]any{"TraceSummaries": []any{}}
		case r.URL.Path == "/Traces":
			documents := []any{}
			for _, s := range segments {
				documents = append(documents, map[string]any{"Id": "x", "Document": s})
			}
			out = map[string]any{"Traces": []any{map[string]any{"Id": "1-aaaaaaaa-b", "Segments": documents}}, "UnprocessedTraceIds": []any{}}
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), "StartQuery"):
			out = map[string]any{"queryId": "q"}
		default:
			rows := []any{}
			for _, r := range records {
				rows = append(rows, []any{map[string]any{"field": "@message", "value": r}})
			}
			out = map[string]any{"status": "Complete", "results": rows}
		}
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(server.Close)
	return server.URL, &log
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := New(config.LoadDefaultConfig, time.Now)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String() + errs.String(), err
}

func TestTraceOfAnAccount(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	url, asked := accounts(t)
	where := []string{"--region", "eu-west-2", "--endpoint-url", url}
	for name, backend := range map[string]string{"XRay": "--xray", "TransactionSearch": "--transaction-search"} {
		for how, args := range map[string][]string{"ByID": {"workflow-1"}, "ByEvent": {"--event", "signal-1"}, "Last": {"--last"}} {
			t.Run(name+how, func(t *testing.T) {
				*asked = nil
				out, err := run(t, append(append(args, backend), where...)...)
				if err != nil {
					t.Fatalf("%v\n%s", err, strings.Join(*asked, "\n"))
				}
				for _, want := range []string{
					"workflow-1  1 event, 2 functions, 3 spans, 1 repeat in 3.0 s", "└─ SignalGenerated  signal-1  from strategy  +0.0 ms  2.4 KB",
					"   ├─ ⇢ portfolio  +1.0 s  took 1.0 s  lag 0.0 ms", "   └─ ⇢ portfolio  +2.0 s  took 1.0 s  REPLAY",
				} {
					if !strings.Contains(out, want) {
						t.Errorf("no %q in:\n%s", want, out)
					}
				}
			})
		}
	}
	if _, err := run(t, append([]string{"workflow-2", "--xray", "--since", "2h"}, where...)...); err == nil || !strings.Contains(err.Error(), "of the last 2h: search further back with --since") || !strings.Contains(err.Error(), "--transaction-search") {
		t.Errorf("what is not found gives %v", err)
	}
}

// TestSlowestInAFile holds the choice and the file that --html writes.
func TestSlowestInAFile(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "spans.jsonl"), filepath.Join(dir, "page.html")
	var lines []string
	for id, end := range map[string]int{"short": 2, "long": 9} {
		lines = append(lines, fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"01","name":"send A","kind":4,"startTimeUnixNano":"1795813001000000000","endTimeUnixNano":"179581300%d000000000","attributes":[`+
			`{"key":"throughline.correlation.id","value":{"stringValue":"%s"}},{"key":"throughline.event.id","value":{"stringValue":"e"}}]}]}]}]}`, id, end, id))
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "--slowest", "--file", file, "--html", page); err != nil || !strings.Contains(out, "1 event; open it in a browser") {
		t.Errorf("%v\n%s", err, out)
	}
	if data, err := os.ReadFile(page); err != nil || !bytes.Contains(data, []byte(`"correlation_id":"long"`)) {
		t.Errorf("the page is not of the slowest: %v", err)
	}
	out, err := run(t, "--slowest", "--file", file, "--json")
	var d workflow.Document
	if err != nil || json.Unmarshal([]byte(out), &d) != nil || d.CorrelationID != "long" || d.DurationMS != 8000 || len(d.Nodes) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".throughline-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := run(t, "--last", "--file", file, "--html", filepath.Join(dir, "no", "page.html")); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

// TestTheBeginningOfAnIDSuffices, where it is that of one ID.
func TestTheBeginningOfAnIDSuffices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	var lines []string
	for n, id := range []string{"workflow-11", "workflow-12", "workflow-20"} {
		lines = append(lines, fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%02d","spanId":"01","name":"send A","kind":4,"startTimeUnixNano":"1795813001000000000","endTimeUnixNano":"1795813002000000000","attributes":[`+
			`{"key":"throughline.correlation.id","value":{"stringValue":"%s"}},{"key":"throughline.event.id","value":{"stringValue":"signal-%d1"}}]}]}]}]}`, n, id, n))
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"Correlation": {"workflow-20"}, "Beginning": {"workflow-2"}, "Event": {"--event", "signal-21"}, "OfEvent": {"--event", "signal-2"},
	} {
		out, err := run(t, append(args, "--file", file)...)
		if err != nil || !strings.Contains(out, "workflow-20  1 event") || strings.Count(out, "note: skipped in "+file+": 1 line without a JSON document") != 1 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for want, args := range map[string][]string{
		"several IDs begin with workflow-1:\n  workflow-11\n  workflow-12":           {"workflow-1"},
		"several IDs begin with signal-:\n  signal-01\n":                             {"--event", "signal-"},
		"no span has the correlation ID other":                                       {"other"},
		"it is the ID of an event of the workflow workflow-12; name it with --event": {"signal-11"},
		"no span names the event other":                                              {"--event", "other"},
	} {
		if _, err := run(t, append(args, "--file", file)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if out, err := run(t, "workflow-12", "--file", file); err != nil || !strings.Contains(out, "workflow-12  1 event") {
		t.Errorf("%v\n%s", err, out)
	}
}
