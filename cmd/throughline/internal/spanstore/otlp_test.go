package spanstore

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
)

const recorded = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"portfolio"}}]},"scopeSpans":[{"spans":[
{"traceId":"5b8aa5a2d2c872e8321cf37308d69df2","spanId":"051581bf3cb55c13","parentSpanId":"5fb397be34d26b51","name":"process SignalGenerated","kind":5,
"startTimeUnixNano":"1763930700000000000","endTimeUnixNano":1763930700040000000,"attributes":[{"key":"throughline.hops","value":{"intValue":"3"}},
{"key":"aws.xray.annotations","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}},{"key":"faas.coldstart","value":{"boolValue":true}},{"key":"throughline.lag_ms","value":{"doubleValue":1.5}}],
"links":[{"traceId":"aa","spanId":"bb","flags":257,"attributes":[{"key":"throughline.link","value":{"stringValue":"causation"}}]}],"status":{"code":2,"message":"boom"}}]}]}]}`

func TestReadOTLP(t *testing.T) {
	spans, _, err := ReadSpans(strings.NewReader(strings.ReplaceAll(recorded, "\n", "") + "\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != 1 {
		t.Fatalf("got %d spans", len(spans))
	}
	s := spans[0]
	if s.Service != "portfolio" || s.Kind != "CONSUMER" || s.Text("throughline.hops") != "3" || s.Text("faas.coldstart") != "true" ||
		!s.Error || s.Message != "boom" || s.End.Sub(s.Start) != 40*time.Millisecond {
		t.Errorf("read %+v", s)
	}
	if len(s.Links) != 1 || s.Links[0].Why != "causation" || !s.Links[0].Sampled || s.Links[0].To != (workflow.ID{Trace: "aa", Span: "bb"}) {
		t.Errorf("read links %+v", s.Links)
	}
}

func TestReadOTLPInOtherForms(t *testing.T) {
	for name, text := range map[string]string{
		"OverManyLines": recorded, "WindowsLines": strings.ReplaceAll(recorded, "\n", "") + "\r\n\r\n",
		"NamedEnums":    strings.NewReplacer("\n", "", `"kind":5`, `"kind":"SPAN_KIND_CONSUMER"`, `"code":2`, `"code":"STATUS_CODE_ERROR"`).Replace(recorded),
		"UpperCaseHex":  strings.NewReplacer("\n", "", "5b8aa5a2d2c872e8321cf37308d69df2", "5B8AA5A2D2C872E8321CF37308D69DF2").Replace(recorded),
		"FloatingTimes": strings.NewReplacer("\n", "", `"1763930700000000000"`, "1.7639307E18").Replace(recorded),
	} {
		t.Run(name, func(t *testing.T) {
			spans, _, err := ReadSpans(strings.NewReader(text))
			if err != nil || len(spans) != 1 || spans[0].Kind != "CONSUMER" || !spans[0].Error || spans[0].ID.Trace != "5b8aa5a2d2c872e8321cf37308d69df2" || spans[0].Duration() != 40*time.Millisecond {
				t.Errorf("read %+v, %v", spans, err)
			}
		})
	}
}

// TestReadOTLPReadsLinkFlags tells a link that says that its span was not
// sampled from one that says nothing.
func TestReadOTLPReadsLinkFlags(t *testing.T) {
	for flags, want := range map[string]bool{`"flags":257,`: true, `"flags":1,`: true, `"flags":256,`: false, ``: true} {
		spans, _, err := ReadSpans(strings.NewReader(strings.NewReplacer("\n", "", `"flags":257,`, flags).Replace(recorded)))
		if err != nil || spans[0].Links[0].Sampled != want {
			t.Errorf("%s is read as sampled %v, %v", flags, spans[0].Links[0].Sampled, err)
		}
	}
}

// TestTheRestIsRead: what is broken is counted, and the rest is read.
func TestTheRestIsRead(t *testing.T) {
	line := strings.ReplaceAll(recorded, "\n", "")
	with := func(old, new string) string { return strings.Replace(line, old, new, 1) }
	for name, tt := range map[string]struct {
		text  string
		spans int
		left  LeftOut
	}{
		"HalfALine":        {line + "\n" + line[:len(line)-20], 1, LeftOut{Left: records.Left{Lines: 1}}},
		"HalfAString":      {line + "\n" + line[:strings.Index(line, "SignalGenerated")], 1, LeftOut{Left: records.Left{Lines: 1}}},
		"OtherData":        {`{"resourceMetrics":[]}` + "\n" + line + "\nSTART RequestId: x\n" + line, 2, LeftOut{Left: records.Left{Lines: 1}, Documents: 1}},
		"NaNAsText":        {with(`"doubleValue":1.5`, `"doubleValue":"NaN"`), 1, LeftOut{}},
		"BareNaN":          {with(`"doubleValue":1.5`, `"doubleValue":NaN`), 1, LeftOut{}},
		"NumberAsText":     {with(`"doubleValue":1.5`, `"doubleValue":"1.5"`), 1, LeftOut{}},
		"NoNumber":         {with(`"doubleValue":1.5`, `"doubleValue":"many"`), 1, LeftOut{}},
		"OtherValues":      {with(`"doubleValue":1.5`, `"kvlistValue":{"values":[{"key":"x","value":{"bytesValue":"AQI="}}]}`), 1, LeftOut{}},
		"Year58939":        {with(`1763930700040000000`, `"1797784800040000000000"`) + "\n" + line, 1, LeftOut{Spans: 1}},
		"Year2262":         {with(`1763930700040000000`, `"9223372036854775807"`) + "\n" + line, 1, LeftOut{Spans: 1}},
		"BeforeTime":       {with(`"1763930700000000000"`, `-9000000000000000000`) + "\n" + line, 1, LeftOut{Spans: 1}},
		"ResourceLast":     {`{"resourceSpans":[{"scopeSpans":` + between(line, `"scopeSpans":`, `}]}`) + `,"resource":` + between(line, `"resource":`, `,"scopeSpans"`) + `}]}`, 1, LeftOut{}},
		"OtherKinds":       {`{"resourceSpans":[{"resource":5,"scopeSpans":{}},7,{"scopeSpans":[3,{"spans":{}},{"spans":[4,"x"]}]}]}` + "\n" + line, 1, LeftOut{}},
		"SeveralOnOneLine": {line + line, 2, LeftOut{}},
	} {
		t.Run(name, func(t *testing.T) {
			spans, left, err := ReadSpans(strings.NewReader(tt.text))
			if err != nil || len(spans) != tt.spans || left != tt.left {
				t.Fatalf("%d spans, %s, %v", len(spans), left, err)
			}
			if s := spans[0]; s.Service != "portfolio" || s.Text("throughline.hops") != "3" || s.Duration() != 40*time.Millisecond {
				t.Errorf("%+v", s)
			}
			var out bytes.Buffer
			if err := workflow.WriteJSON(&out, workflow.Build(spans, "")); err != nil {
				t.Error(err)
			}
		})
	}
}

// between is the text from begin, which is left out, to the last end, left out too.
func between(text, begin, end string) string {
	_, text, _ = strings.Cut(text, begin)
	return text[:strings.LastIndex(text, end)]
}

// draw puts what was read through everything that prints it.
func draw(t *testing.T, spans []workflow.Span) {
	inferLinks(spans)
	for _, id := range append(workflow.Correlations(spans), "") {
		w := workflow.Build(spans, id)
		for i, n := range w.Nodes {
			if n.Parent >= i || (n.Parent < 0) != (n.Depth == 0) {
				t.Fatalf("node %d is %+v", i, n)
			}
		}
		var out bytes.Buffer
		if err := workflow.WriteText(&out, w); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\x00\r") {
			t.Fatalf("a terminal would obey %q", out.String())
		}
		if workflow.WriteJSON(&out, w) != nil || workflow.WriteMermaid(&out, w) != nil {
			t.Fatal("it cannot be written")
		}
	}
}

func FuzzReadOTLP(f *testing.F) {
	f.Add([]byte(recorded))
	f.Add([]byte(strings.ReplaceAll(recorded, "\n", "")))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":-1},{"kind":"x","startTimeUnixNano":-9e18}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if spans, _, err := ReadSpans(bytes.NewReader(data)); err == nil {
			draw(t, spans)
		}
	})
}

func FuzzReadSegments(f *testing.F) {
	spans, _ := workflowSample()
	for _, s := range spans {
		f.Add(spanstoretest.SegmentDocument(f, s, true))
	}
	f.Add(`{"id":"a","subsegments":[{"id":"a","parent_id":"a","subsegments":[null]}],"metadata":{"x":3},"cause":"0123456789abcdef","links":[{}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		spans, _ := readSegments([]string{document})
		draw(t, spans)
	})
}

func FuzzReadRecord(f *testing.F) {
	spans, _ := workflowSample()
	for _, s := range spans {
		f.Add(spanstoretest.SpanRecord(f, s))
	}
	f.Add(`{"attributes":[{"key":"a","value":{"intValue":"1"}}],"resource":{"attributes":{"service":{"name":"f"}}},"links":[{"attributes":null}]}`)
	f.Fuzz(func(t *testing.T, message string) {
		if span, err := readRecord([]byte(message)); err == nil {
			draw(t, []workflow.Span{span})
		}
	})
}

func FuzzReadJaeger(f *testing.F) {
	spans, _ := workflowSample()
	for _, trace := range spanstoretest.JaegerTraces(spans) {
		f.Add(spanstoretest.Encode(f, spanstoretest.Object{"data": []spanstoretest.Object{trace}}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		store := Jaeger{URL: "http://jaeger", Client: &http.Client{Transport: answering(http.StatusOK, string(data))}, Window: lastHours(1), Limit: 1 << 20}
		var traces jaegerAnswer[[]jaegerTrace]
		if store.get(t.Context(), "/api/traces", nil, &traces) != nil {
			return
		}
		var spans []workflow.Span
		for _, trace := range traces.Data {
			spans = append(spans, trace.spans()...)
		}
		draw(t, spans)
	})
}

func workflowSample() ([]workflow.Span, workflowtest.Truth) {
	return workflowtest.Workflow(4, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
}
