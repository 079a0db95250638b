package lambdalocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// What AWS documents, and its emulator's source shows, that Lambda sends: the
// members of every payload, with the documentation's values. A "?" before a
// member's name marks one that is not always there.
const (
	sampleInvoke = `{"eventType":"INVOKE","deadlineMs":676051,"requestId":"3da1f2dc-3222-475e-9205-e2e6c6318895",
		"invokedFunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:ExtensionTest",
		"?tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-5f35ae12-0c0fec141ab77a00bc047aa2;Parent=2be948a625588e32;Sampled=1"}}`
	sampleShutdown = `{"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":1234567890123}`
	sampleRegister = `{"functionName":"helloWorld","functionVersion":"$LATEST","handler":"lambda_function.lambda_handler"}`
	sampleAccount  = `{"functionName":"helloWorld","functionVersion":"$LATEST","handler":"lambda_function.lambda_handler","accountId":"123456789012"}`
	sampleAccepted = `{"status":"OK"}`

	sampleTracing   = `{"?spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"}`
	sampleSpans     = `[{"name":"responseLatency","start":"2022-08-02T12:01:23.521Z","durationMs":23.02}]`
	sampleInitStart = `{"initializationType":"on-demand","phase":"init","runtimeVersion":"nodejs-14.v3","runtimeVersionArn":"arn",
		"functionName":"f","functionArn":"arn","functionVersion":"$LATEST","instanceId":"82561ce0-53dd-47d1-90e0-c8f5e063e62e","instanceMaxMemory":256}`
	sampleInitRuntimeDone = `{"initializationType":"on-demand","phase":"init","status":"success","?errorType":"Runtime.X"}`
	sampleInitReport      = `{"initializationType":"on-demand","phase":"init","status":"success","?errorType":"","metrics":{"durationMs":125.33}}`
	sampleStart           = `{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"$LATEST","?tenantId":"t1","functionArn":"arn","?tracing":` + sampleTracing + `}`
	sampleRuntimeDone     = `{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","?tenantId":"","status":"success","?errorType":"Runtime.ExitError",
		"metrics":{"durationMs":140.0,"producedBytes":16},"?tracing":` + sampleTracing + `,"?spans":` + sampleSpans + `}`
	sampleReport = `{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","status":"success","?errorType":"","?tenantId":"",
		"metrics":{"durationMs":693.92,"billedDurationMs":694,"memorySizeMB":128,"maxMemoryUsedMB":84,"?initDurationMs":397.68,"?restoreDurationMs":15.19},
		"?spans":` + sampleSpans + `,"?tracing":` + sampleTracing + `}`
	sampleManagedReport      = `{"requestId":"6d68","status":"success","?errorType":"","metrics":{"durationMs":1.148},"?tracing":` + sampleTracing + `,"?spans":` + sampleSpans + `}`
	sampleRestoreStart       = `{"functionName":"f","functionVersion":"1","instanceId":"","instanceMaxMemory":256,"runtimeVersion":"","runtimeVersionArn":""}`
	sampleRestoreRuntimeDone = `{"status":"success","?errorType":""}`
	sampleRestoreReport      = `{"status":"success","?errorType":"","metrics":{"durationMs":15.19}}`
	sampleExtension          = `{"name":"my-ext","state":"Ready","events":["INVOKE","SHUTDOWN"],"?errorType":"Extension.Crash"}`
	sampleSubscription       = `{"name":"my-ext","state":"Subscribed","types":["platform","function"]}`
	sampleLogsDropped        = `{"droppedBytes":12345,"droppedRecords":123,"reason":"Some logs were dropped because the downstream consumer is slower than the logs production rate"}`
	sampleFunctionText       = `"[INFO] text\n"`
	sampleFunctionJSON       = `{"timestamp":"2022-10-12T00:03:50.000Z","level":"INFO","requestId":"79b4f56e","message":"Hello world"}`
	sampleExtensionText      = `"extension text\n"`
)

// samples are the records by their type.
var samples = map[string]string{
	"platform.initStart": sampleInitStart, "platform.initRuntimeDone": sampleInitRuntimeDone, "platform.initReport": sampleInitReport,
	"platform.start": sampleStart, "platform.runtimeDone": sampleRuntimeDone, "platform.report": sampleReport,
	"platform.restoreStart": sampleRestoreStart, "platform.restoreRuntimeDone": sampleRestoreRuntimeDone, "platform.restoreReport": sampleRestoreReport,
	"platform.extension": sampleExtension, "platform.telemetrySubscription": sampleSubscription, "platform.logsDropped": sampleLogsDropped,
	"function": sampleFunctionText, "extension": sampleExtensionText,
}

// checkShape fails where a payload has other members, or members of another
// kind, than the sample.
func checkShape(t *testing.T, name, sample string, got []byte) {
	t.Helper()
	if problem := compareShape(name, decode[any](t, []byte(sample)), decode[any](t, got)); problem != "" {
		t.Errorf("%s in %s", problem, got)
	}
}

func compareShape(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		members, ok := got.(map[string]any)
		if !ok {
			return path + " is no object"
		}
		unknown := maps.Clone(members)
		for name, value := range want {
			optional := name[0] == '?'
			if optional {
				name = name[1:]
			}
			delete(unknown, name)
			member, found := members[name]
			if !found && !optional {
				return path + "." + name + " is missing"
			}
			if found {
				if problem := compareShape(path+"."+name, value, member); problem != "" {
					return problem
				}
			}
		}
		if len(unknown) > 0 {
			return fmt.Sprintf("%s has unknown members %v", path, slices.Collect(maps.Keys(unknown)))
		}
	case []any:
		elements, ok := got.([]any)
		if !ok {
			return path + " is no array"
		}
		for i, element := range elements {
			if problem := compareShape(fmt.Sprintf("%s[%d]", path, i), want[0], element); problem != "" {
				return problem
			}
		}
	default:
		if w, g := fmt.Sprintf("%T", want), fmt.Sprintf("%T", got); w != g {
			return fmt.Sprintf("%s is a %s, not a %s", path, g, w)
		}
	}
	return ""
}

func TestShapeFindsDifferences(t *testing.T) {
	for name, got := range map[string]string{
		"missing": `{"status":"success"}`, "unknown": `{"status":"success","metrics":{"durationMs":1},"x":1}`,
		"other kind": `{"status":"success","metrics":{"durationMs":"1"}}`, "optional of other kind": `{"status":"success","errorType":1,"metrics":{"durationMs":1}}`,
	} {
		if compareShape("", decode[any](t, []byte(sampleRestoreReport)), decode[any](t, []byte(got))) == "" {
			t.Errorf("%s: not found in %s", name, got)
		}
	}
}

// TestRecordsCarryTheDocumentedValues writes each record type with the values
// of its sample, all optional members present, and compares whole documents.
func TestRecordsCarryTheDocumentedValues(t *testing.T) {
	trace := &tracing{SpanID: "54565fb41ac79632", Type: "X-Amzn-Trace-Id", Value: "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"}
	spans := []span{{"responseLatency", "2022-08-02T12:01:23.521Z", 23.02}}
	const id = "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa"
	for sample, body := range map[string]any{
		sampleInitStart:       initStart{"on-demand", "init", "nodejs-14.v3", "arn", "f", "arn", "$LATEST", "82561ce0-53dd-47d1-90e0-c8f5e063e62e", 256},
		sampleInitRuntimeDone: initRuntimeDone{"on-demand", "init", "success", "Runtime.X"},
		sampleStart:           invokeStart{id, "$LATEST", "t1", "arn", trace},
		sampleExtension:       extensionRecord{"my-ext", "Ready", []string{"INVOKE", "SHUTDOWN"}, "Extension.Crash"},
		sampleSubscription:    subscriptionRecord{"my-ext", "Subscribed", []string{"platform", "function"}},
		sampleLogsDropped:     logsDropped{12345, 123, slowReason},
		sampleRestoreStart:    restoreStart{"", "", "f", "1", "", 256},
		sampleShutdown:        agentEvent{EventType: "SHUTDOWN", ShutdownReason: "spindown", DeadlineMs: 1234567890123},
		sampleAccount:         registered{"helloWorld", "$LATEST", "lambda_function.lambda_handler", "123456789012"},
		sampleTracing:         trace,
		sampleSpans:           spans,
		`{"?x":0,"tenantId":"t1","requestId":"` + id + `","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":140,"producedBytes":16}}`:                   runtimeDone{RequestID: id, TenantID: "t1", Status: Error, ErrorType: "Runtime.ExitError", Metrics: &runtimeDoneMetrics{140, 16}},
		`{"requestId":"` + id + `","status":"success","metrics":{"durationMs":693.92,"billedDurationMs":694,"memorySizeMB":128,"maxMemoryUsedMB":84,"initDurationMs":397.68}}`: report{RequestID: id, Status: Success, Metrics: reportMetrics{DurationMs: 693.92, BilledDurationMs: 694, MemorySizeMB: 128, MaxMemoryUsedMB: 84, InitDurationMs: 397.68}},
	} {
		want, ok := decode[any](t, []byte(sample)).(map[string]any)
		encoded, _ := json.Marshal(body)
		if !ok {
			if fmt.Sprint(decode[any](t, encoded)) != fmt.Sprint(decode[any](t, []byte(sample))) {
				t.Errorf("got %s, want %s", encoded, sample)
			}
			continue
		}
		delete(want, "?x")
		for name, value := range want {
			if name[0] == '?' {
				delete(want, name)
				want[name[1:]] = value
			}
		}
		if inner, ok := want["tracing"].(map[string]any); ok {
			inner["spanId"] = inner["?spanId"]
			delete(inner, "?spanId")
		}
		if fmt.Sprint(want) != fmt.Sprint(decode[any](t, encoded)) {
			t.Errorf("got %s, want %s", encoded, sample)
		}
	}
}

func TestLogRecordsByFormatAndSchema(t *testing.T) {
	for _, test := range []struct {
		line   string
		format LogFormat
		schema string
		want   string
	}{
		{"[INFO] text", Text, schemaNewest, sampleFunctionText},
		{sampleFunctionJSON, JSON, schemaNewest, sampleFunctionJSON},
		{sampleFunctionJSON, JSON, schemaObjects, sampleFunctionJSON},
		{`{"a":1}`, JSON, "2022-07-01", `"{\"a\":1}"`},
		{`{"a":1}`, Text, schemaNewest, `"{\"a\":1}\n"`},
		{`{"half`, JSON, schemaNewest, `"{\"half\n"`},
	} {
		record := Record{Type: "function", Body: logBody(test.line, test.format)}
		got := decode[told](t, record.render(test.schema)).Record
		if string(got) != test.want {
			t.Errorf("%s under %s and %s: got %s, want %s", test.line, test.format, test.schema, got, test.want)
		}
	}
}
