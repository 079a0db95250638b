package receiver

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

func TestReceiver(t *testing.T) {
	passed := 0
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	defer backend.Close()
	var got []byte
	budget := server.NewBudget(10 << 20)
	set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
	s := httptest.NewServer(New(Config{
		Take: func(request []byte, _ bool) { got = request }, Signals: Signals{URL: backend.URL}, Metrics: set, Budget: budget, Now: time.Now,
	}))
	defer s.Close()
	sound := otlp.Encode(otlp.Resource{}, otlp.Span{Name: "a"}, otlp.Span{Name: "b"})
	broken := bytes.Replace(sound, append([]byte{0x0a, 16}, make([]byte, 16)...), append([]byte{0x0a, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0x62, 0), 1)
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write(b)
		_ = w.Close()
		return out.Bytes()
	}
	for name, tt := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		status, spans               int
	}{
		"Protobuf":         {"/v1/traces", protobuf, "", sound, 200, 2},
		"Gzip":             {"/v1/traces", protobuf, "gzip", zipped(sound), 200, 2},
		"Malformed span":   {"/v1/traces", protobuf, "", broken, 200, 1},
		"Garbage":          {"/v1/traces", protobuf, "", []byte("garbage"), 400, 0},
		"Not gzip":         {"/v1/traces", protobuf, "gzip", sound, 400, 0},
		"Too large":        {"/v1/traces", protobuf, "", make([]byte, 20<<20), 413, 0},
		"Unpacks to much":  {"/v1/traces", protobuf, "gzip", zipped(make([]byte, 9<<20)), 413, 0},
		"Text":             {"/v1/traces", "text/plain", "", sound, 415, 0},
		"No type":          {"/v1/traces", "", "", sound, 415, 0},
		"Not JSON":         {"/v1/traces", asJSON, "", []byte("{"), 400, 0},
		"Other signal":     {"/v1/profiles", protobuf, "", sound, 404, 0},
		"Up and elsewhere": {"/v1/../admin", protobuf, "", sound, 404, 0},
		"Metrics":          {"/v1/metrics", protobuf, "", sound, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Path = tt.path
			req.Header.Set("Content-Type", tt.contentType)
			if tt.encoding != "" {
				req.Header.Set("Content-Encoding", tt.encoding)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err) // such as EPIPE, where a body is not read before the answer
			}
			defer resp.Body.Close()
			n, err := otlp.CountSpans(got)
			if resp.StatusCode != tt.status || err != nil || n != tt.spans {
				t.Errorf("%s, %d spans, %v", resp.Status, n, err)
			}
		})
	}
	if passed != 1 {
		t.Errorf("%d requests were passed on", passed)
	}
	var out strings.Builder
	if err := set.Flush(&out, time.Now()); err != nil || !strings.Contains(out.String(), `"SpansDropped":1`) {
		t.Errorf("counted %s, %v", out.String(), err)
	}
	if !budget.Take(10 << 20) {
		t.Error("some of the budget was not given back")
	}
}

func TestTooManyAtOnce(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader("more than there is room for"))
	r.Header.Set("Content-Type", protobuf)
	New(Config{Budget: server.NewBudget(10), Now: time.Now}).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
