package otlpserver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/otlp"
)

func span() []byte {
	return otlp.Encode(otlp.Resource{}, otlp.Span{
		Context: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}), Name: "send A", Start: time.Unix(1, 0), End: time.Unix(2, 0),
	})
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func TestHandler(t *testing.T) {
	const protobuf, asJSON, gz = "application/x-protobuf", "application/json; charset=utf-8", "gzip"
	for name, tt := range map[string]struct {
		path, kind, encoding string
		body                 []byte
		status               int
		line                 string // that is taken; "" for none
	}{
		"Protobuf":  {"/v1/traces", protobuf, "", span(), 200, `"name":"send A"`},
		"Gzip":      {"/v1/traces", protobuf, gz, zipped(span()), 200, `"name":"send A"`},
		"JSON":      {"/v1/traces", asJSON, "", []byte("{\n\"resourceSpans\": []}"), 200, `{"resourceSpans":[]}`},
		"Metrics":   {"/v1/metrics", protobuf, "", []byte{1}, 200, ""},
		"Logs":      {"/v1/logs", asJSON, "", []byte("{}"), 200, ""},
		"Malformed": {"/v1/traces", protobuf, "", []byte{0xff}, 400, ""},
		"NoJSON":    {"/v1/traces", asJSON, "", []byte("{"), 400, ""},
		"NoGzip":    {"/v1/traces", protobuf, gz, []byte("x"), 400, ""},
		"TooLarge":  {"/v1/traces", protobuf, gz, zipped(make([]byte, MaxRequest+1)), 400, ""},
		"Text":      {"/v1/traces", "text/plain", "", []byte("{}"), 415, ""},
		"NoKind":    {"/v1/logs", "", "", []byte("{}"), 415, ""},
		"Elsewhere": {"/", protobuf, "", nil, 404, ""},
		"Refused":   {"/v1/traces", asJSON, "", []byte(`{"refuse":1}`), 500, `{"refuse":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			taken := ""
			h := Handler(func(r Request) error {
				taken = string(r.Line)
				if strings.Contains(taken, "refuse") {
					return errors.New("the disk is full")
				}
				return nil
			})
			r := httptest.NewRequest(http.MethodPost, tt.path, bytes.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			r.Header.Set("Content-Encoding", tt.encoding)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(taken, tt.line) || tt.line == "" && taken != "" || strings.Contains(taken, "\n") {
				t.Errorf("status %d, took %q", w.Code, taken)
			}
			if body, _ := io.ReadAll(w.Result().Body); w.Code == http.StatusOK && string(body) != map[bool]string{true: "{}"}[tt.kind == asJSON] {
				t.Errorf("answered %q", body)
			}
		})
	}
}
