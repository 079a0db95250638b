// Tests of package otlp against OpenTelemetry's generated types and protobuf's
// own JSON.
package otlp_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/tracing/otlp"
)

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

func spanContext(traceByte, spanByte byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: traceByte}, SpanID: trace.SpanID{7: spanByte}, TraceFlags: flags})
}

func sample() otlp.Span {
	return otlp.Span{
		Context: spanContext(1, 2, 1), Parent: spanContext(1, 3, 1).WithRemote(true), Name: "process SignalGenerated", Kind: trace.SpanKindConsumer,
		Start: at, End: at.Add(time.Second),
		Attributes: []attribute.KeyValue{
			attribute.String("faas.invocation_id", "r-1"), attribute.Int("throughline.hops", -3), attribute.Bool("faas.coldstart", false), attribute.Float64("f", 1.5),
			attribute.StringSlice("s", []string{"a", ""}), attribute.Int64Slice("i", []int64{1, 1 << 60}), attribute.BoolSlice("b", []bool{true}), attribute.Float64Slice("d", []float64{0.1}),
		},
		Events:        []otlp.Event{{Time: at, Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", "x")}}},
		Links:         []trace.Link{{SpanContext: spanContext(9, 8, 0), Attributes: []attribute.KeyValue{attribute.String("throughline.link", "causation")}}},
		DroppedLinks:  2,
		Status:        codes.Error,
		StatusMessage: "boom ✓",
	}
}

var resource = otlp.Resource{Attributes: []attribute.KeyValue{attribute.String("service.name", "portfolio")}, Scope: "throughline"}

func decode(tb testing.TB, request []byte) *collector.ExportTraceServiceRequest {
	tb.Helper()
	var message collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(request, &message); err != nil {
		tb.Fatal(err)
	}
	return &message
}

func TestEncodeIsOTLP(t *testing.T) {
	message := decode(t, otlp.Encode(resource, sample()))
	rs := message.ResourceSpans[0]
	s := rs.ScopeSpans[0].Spans[0]
	if rs.Resource.Attributes[0].Value.GetStringValue() != "portfolio" || rs.ScopeSpans[0].Scope.Name != "throughline" {
		t.Errorf("resource %v", rs.Resource)
	}
	if s.TraceId[15] != 1 || s.SpanId[7] != 2 || s.ParentSpanId[7] != 3 || s.Name != "process SignalGenerated" || s.Kind.String() != "SPAN_KIND_CONSUMER" ||
		s.StartTimeUnixNano != uint64(at.UnixNano()) || s.EndTimeUnixNano-s.StartTimeUnixNano != 1e9 || s.Flags != 0x301 || s.DroppedLinksCount != 2 {
		t.Errorf("span %v", s)
	}
	if s.Status.Code.String() != "STATUS_CODE_ERROR" || s.Status.Message != "boom ✓" || s.Events[0].Name != "exception" || s.Events[0].TimeUnixNano != uint64(at.UnixNano()) {
		t.Errorf("status %v events %v", s.Status, s.Events)
	}
	if l := s.Links[0]; l.TraceId[15] != 9 || l.SpanId[7] != 8 || l.Flags != 0x100 || l.Attributes[0].Value.GetStringValue() != "causation" {
		t.Errorf("link %v", s.Links[0])
	}
	got := map[string]string{}
	for _, a := range s.Attributes {
		got[a.Key] = strings.ReplaceAll(a.Value.String(), " ", "")
	}
	for key, want := range map[string]string{"throughline.hops": "int_value:-3", "faas.coldstart": "bool_value:false", "f": "double_value:1.5", "s": `array_value:{values:{string_value:"a"}values:{string_value:""}}`} {
		if got[key] != want {
			t.Errorf("%s is %s, want %s", key, got[key], want)
		}
	}
	if otlp.Encode(resource) != nil {
		t.Error("no spans make a request")
	}
}

func TestAppendJSONIsWhatProtobufSays(t *testing.T) {
	request := append(otlp.Encode(resource, sample(), otlp.Span{Context: spanContext(1, 9, 0), Name: `"quoted"`, Start: at, End: at}), otlp.Encode(resource, sample())...)
	line, err := otlp.AppendJSON(nil, request)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsRune(line, '\n') {
		t.Error("more than one line")
	}
	var document map[string]any
	if err := json.Unmarshal(line, &document); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	for _, want := range []string{`"traceId":"00000000000000000000000000000001"`, `"kind":5`, `"intValue":"-3"`, `"startTimeUnixNano":"1795466700000000000"`, `"flags":769`} {
		if !bytes.Contains(line, []byte(want)) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	// protojson reads IDs as base64, so it may judge everything else.
	var message collector.ExportTraceServiceRequest
	if err := protojson.Unmarshal(line, &message); err != nil {
		t.Fatal(err)
	}
	want := decode(t, request)
	for _, m := range []*collector.ExportTraceServiceRequest{&message, want} {
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					s.TraceId, s.SpanId, s.ParentSpanId = nil, nil, nil
					for _, l := range s.Links {
						l.TraceId, l.SpanId = nil, nil
					}
				}
			}
		}
	}
	if !proto.Equal(&message, want) {
		t.Errorf("got %v\nwant %v", &message, want)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("name", "key", "value", int64(5), uint64(1))
	f.Fuzz(func(t *testing.T, name, key, value string, number int64, id uint64) {
		s := otlp.Span{Context: spanContext(byte(id)|1, byte(id>>8)|1, trace.TraceFlags(id&1)), Name: strings.ToValidUTF8(name, ""), Start: at, End: at,
			Attributes: []attribute.KeyValue{attribute.String(strings.ToValidUTF8(key, ""), strings.ToValidUTF8(value, "")), attribute.Int64("n", number)}}
		got := decode(t, otlp.Encode(resource, s)).ResourceSpans[0].ScopeSpans[0].Spans[0]
		if got.Name != s.Name || got.Attributes[len(got.Attributes)-1].Value.GetIntValue() != number {
			t.Errorf("got %v", got)
		}
	})
}
