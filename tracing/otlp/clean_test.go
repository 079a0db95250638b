package otlp

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// wrapped is a request of spans that are given as bytes.
func wrapped(spans ...[]byte) []byte {
	var scope []byte
	for _, span := range spans {
		scope = appendMessage(scope, scopeSpansSpans, span)
	}
	return appendMessage(nil, requestResourceSpans, appendMessage(nil, resourceSpansScope, scope))
}

// spanBytes is a span with IDs of these lengths, and more fields.
func spanBytes(traceID, spanID int, more ...byte) []byte {
	b := appendMessage(nil, spanTraceID, bytes.Repeat([]byte{1}, traceID))
	return append(appendMessage(b, spanSpanID, bytes.Repeat([]byte{2}, spanID)), more...)
}

func TestCleanDropsWhatIsMalformedAlone(t *testing.T) {
	good := spanBytes(16, 8)
	named := func(name string) []byte { return appendMessage(nil, spanName, []byte(name)) }
	for name, tt := range map[string]struct {
		bad  []byte
		want []byte // nil: the span is dropped
	}{
		"Short trace ID":  {spanBytes(3, 8), nil},
		"Long span ID":    {spanBytes(16, 9), nil},
		"No IDs":          {named("work"), nil},
		"Short parent":    {spanBytes(16, 8, appendMessage(nil, spanParent, []byte{1})...), nil},
		"Empty parent":    {spanBytes(16, 8, appendMessage(nil, spanParent, nil)...), spanBytes(16, 8, appendMessage(nil, spanParent, nil)...)},
		"Broken off":      {spanBytes(16, 8, 0x2a, 0x7f), nil},
		"Name as number":  {spanBytes(16, 8, 0x28, 0x01), nil},
		"Group":           {spanBytes(16, 8, 0x2b, 0x2c), nil},
		"Invalid name":    {spanBytes(16, 8, named("a\xffb")...), spanBytes(16, 8, named("a\uFFFDb")...)},
		"Malformed link":  {spanBytes(16, 8, appendMessage(named("n"), spanLinks, []byte{0x0a, 0x01, 0x01})...), spanBytes(16, 8, named("n")...)},
		"Unknown field":   {spanBytes(16, 8, appendMessage(nil, 99, []byte{0xff})...), spanBytes(16, 8, appendMessage(nil, 99, []byte{0xff})...)},
		"Unknown, broken": {spanBytes(16, 8, 0x9a, 0x06, 0x7f), nil},
	} {
		t.Run(name, func(t *testing.T) {
			request := wrapped(good, tt.bad, good)
			clean, dropped, err := Clean(request)
			want := wrapped(good, good)
			if tt.want != nil {
				want = wrapped(good, tt.want, good)
			}
			if err != nil || !bytes.Equal(clean, want) || (dropped == 1) != (tt.want == nil) {
				t.Errorf("%d dropped, %v\n%x\nwant\n%x", dropped, err, clean, want)
			}
			if again, dropped, err := Clean(clean); err != nil || dropped != 0 || &again[0] != &clean[0] {
				t.Errorf("it is not clean: %d dropped, %v", dropped, err)
			}
		})
	}
	if _, _, err := Clean([]byte{0x0a, 0x7f}); err == nil {
		t.Error("a request that is none was cleaned")
	}
}

// A value in a value in a value, deeper than decoders follow, costs its span alone.
func TestCleanBoundsDepth(t *testing.T) {
	value := appendText(nil, "x")
	for range 5 * maxDepth {
		value = appendMessage(nil, 5, appendMessage(nil, 1, value))
	}
	deep := spanBytes(16, 8, appendMessage(nil, spanAttributes, appendMessage(nil, 2, value))...)
	clean, dropped, err := Clean(wrapped(spanBytes(16, 8), deep))
	if n, _ := CountSpans(clean); err != nil || n+dropped != 2 || n < 1 || !wireRequest().sound(clean, 0) {
		t.Errorf("%d spans, %d dropped, %v", n, dropped, err)
	}
}

// Whatever a text says, what is encoded is UTF-8.
func TestEncodeWritesUTF8(t *testing.T) {
	const bad = "a\xff\xfeb"
	span := Span{
		Context: spanContext(1, 2, 1), Name: bad, StatusMessage: bad, Status: 1, Events: []Event{{Name: bad, Attributes: []attribute.KeyValue{attribute.String(bad, bad)}}},
		Attributes: []attribute.KeyValue{attribute.String("exception.message", bad), attribute.StringSlice("list", []string{"ok", bad})},
		Links:      []trace.Link{{SpanContext: spanContext(3, 4, 1), Attributes: []attribute.KeyValue{attribute.String("k", bad)}}},
	}
	request := Encode(Resource{Scope: bad, Attributes: []attribute.KeyValue{attribute.String("service.name", bad)}}, span)
	if _, dropped, err := Clean(request); err != nil || dropped != 0 || bytes.Contains(request, []byte("\xff\xfe")) || !wireRequest().sound(request, 0) {
		t.Errorf("%d dropped, %v: %q", dropped, err, request)
	}
	if !strings.Contains(string(request), "a\uFFFDb") {
		t.Errorf("%q", request)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(Encode(resource, sample()))
	f.Add(wrapped(spanBytes(16, 8), spanBytes(3, 8)))
	f.Fuzz(func(t *testing.T, request []byte) {
		clean, dropped, err := Clean(request)
		if err != nil {
			return
		}
		if !wireRequest().sound(clean, 0) || dropped < 0 || len(clean) > 3*len(request) {
			t.Fatalf("%x became %x, %d dropped", request, clean, dropped)
		}
		if line, err := AppendJSON(nil, clean); err != nil || !utf8.Valid(line) {
			t.Errorf("%x: %v", clean, err)
		}
	})
}

func BenchmarkClean(b *testing.B) {
	spans := make([]Span, 50)
	for i := range spans {
		spans[i] = sample()
	}
	request := Encode(resource, spans...)
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	for b.Loop() {
		if _, dropped, err := Clean(request); dropped != 0 || err != nil {
			b.Fatal(dropped, err)
		}
	}
}
