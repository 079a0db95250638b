package otlp

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

func spanContext(traceByte, spanByte byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: traceByte}, SpanID: trace.SpanID{7: spanByte}, TraceFlags: flags})
}

func sample() Span {
	return Span{
		Context: spanContext(1, 2, 1), Parent: spanContext(1, 3, 1).WithRemote(true), Name: "process SignalGenerated", Kind: trace.SpanKindConsumer,
		Start: at, End: at.Add(time.Second),
		Attributes: []attribute.KeyValue{
			attribute.String("faas.invocation_id", "r-1"), attribute.Int("throughline.hops", -3), attribute.Bool("faas.coldstart", false), attribute.Float64("f", 1.5),
			attribute.StringSlice("s", []string{"a", ""}), attribute.Int64Slice("i", []int64{1, 1 << 60}), attribute.BoolSlice("b", []bool{true}), attribute.Float64Slice("d", []float64{0.1}),
		},
		Events:        []Event{{at, "exception", []attribute.KeyValue{attribute.String("exception.type", "x")}}},
		Links:         []trace.Link{{SpanContext: spanContext(9, 8, 0), Attributes: []attribute.KeyValue{attribute.String("throughline.link", "causation")}}},
		DroppedLinks:  2,
		Status:        codes.Error,
		StatusMessage: "boom ✓",
	}
}

var resource = Resource{Attributes: []attribute.KeyValue{attribute.String("service.name", "portfolio")}, Scope: "throughline"}

// The peers' own decoders judge these bytes in test/otlp.
func TestEncodeAndAppendJSON(t *testing.T) {
	line, err := AppendJSON(nil, Encode(resource, sample()))
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/span.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(line)+"\n" != string(golden) {
		t.Errorf("got\n%s\nwant\n%s", line, golden)
	}
	if Encode(resource) != nil {
		t.Error("no spans make a request")
	}
}

func TestFind(t *testing.T) {
	request := Encode(resource, Span{Context: spanContext(1, 7, 0), Name: "send", Start: at, End: at}, sample())
	found := Find(request, "faas.invocation_id", "absent")
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	if f := found[0]; f.TraceID[15] != 1 || f.SpanID[7] != 2 || f.ParentID[7] != 3 || !f.Start.Equal(at) || !f.Sampled || !slices.Equal(f.Texts, []string{"r-1", ""}) {
		t.Errorf("found %+v", f)
	}
	if found := Find(request, "absent"); found != nil {
		t.Errorf("found %+v", found)
	}
	if found := Find([]byte{0xff}, "a"); found != nil {
		t.Errorf("found %+v in garbage", found)
	}
}

// splitAll is a request cut into pieces.
func splitAll(t *testing.T, request []byte, maxBytes, maxSpans int) (pieces [][]byte) {
	t.Helper()
	if err := Split(request, maxBytes, maxSpans, func(piece []byte) { pieces = append(pieces, piece) }); err != nil {
		t.Fatal(err)
	}
	return pieces
}

// What a resource says of itself is not repeated until it has multiplied the request.
func TestSplitOfALargeResource(t *testing.T) {
	spans := make([]Span, 200)
	for i := range spans {
		spans[i] = sample()
	}
	request := Encode(Resource{Attributes: []attribute.KeyValue{attribute.String("k", strings.Repeat("a", 5_000_000))}}, spans...)
	size := 0
	for _, piece := range splitAll(t, request, MaxRequestBytes, MaxRequestSpans) {
		size += len(piece)
	}
	if size > 2*len(request) {
		t.Errorf("%d bytes became %d", len(request), size)
	}
}

func TestSplitKeepsEverySpan(t *testing.T) {
	var request []byte
	const n = 100
	for i := range n {
		s := sample()
		s.Context = spanContext(byte(i/10+1), byte(i+1), 1)
		if i%7 == 0 {
			request = append(request, Encode(resource, s)...)
		} else {
			request = append(request, Encode(Resource{Scope: "other"}, s, s)...)
		}
	}
	total, err := CountSpans(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, limits := range [][2]int{{1 << 30, 10}, {4000, 1 << 30}, {1 << 30, 1}} {
		pieces := splitAll(t, request, limits[0], limits[1])
		sum := 0
		for _, piece := range pieces {
			k, err := CountSpans(piece)
			if err != nil || k == 0 || k > limits[1] || (len(piece) > limits[0] && k > 1) {
				t.Errorf("limits %v: a piece of %d bytes with %d spans: %v", limits, len(piece), k, err)
			}
			sum += k
		}
		if sum != total {
			t.Errorf("limits %v: %d spans of %d", limits, sum, total)
		}
	}
}

// backend takes requests and answers as told.
type backend struct {
	*httptest.Server
	mu     sync.Mutex
	spans  int
	posts  int
	answer func(w http.ResponseWriter, n int)
}

func newBackend(t *testing.T, answer func(w http.ResponseWriter, n int)) *backend {
	t.Helper()
	b := &backend{answer: answer}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("not gzip: %v", err)
			return
		}
		body, err := io.ReadAll(zip)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		b.posts++
		n := b.posts
		b.mu.Unlock()
		if b.answer != nil {
			b.answer(w, n)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.Header.Get("Content-Type") == "application/json" {
			b.spans++
			return
		}
		k, err := CountSpans(body)
		if err != nil {
			t.Error(err)
		}
		b.spans += k
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) received() (posts, spans int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.posts, b.spans
}

func exporter(t *testing.T, url string, now func() time.Time) *Exporter {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return NewExporter(Config{URL: url, Client: &http.Client{Transport: transport}, Now: now, QueueBytes: 1 << 20})
}

func TestExporterDelivers(t *testing.T) {
	b := newBackend(t, nil)
	e := exporter(t, b.URL, nil)
	for range 5 {
		e.Add(Encode(resource, sample()), false)
	}
	e.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"01"}]}]}]}`), true)
	if _, spans, ok := e.Oldest(); !ok || spans != 6 {
		t.Errorf("%d spans wait", spans)
	}
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if posts, spans := b.received(); posts != 2 || spans != 6 {
		t.Errorf("%d posts with %d spans", posts, spans)
	}
	if _, _, ok := e.Oldest(); ok {
		t.Error("something still waits")
	}
	if l := e.Losses(); l != (Losses{}) {
		t.Errorf("losses %+v", l)
	}
}

func TestExporterKeepsWhatMayBeDeliveredLater(t *testing.T) {
	clock := at
	b := newBackend(t, func(w http.ResponseWriter, n int) {
		if n <= 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	e := exporter(t, b.URL, func() time.Time { return clock })
	e.Add(Encode(resource, sample()), false)
	for range breakerThreshold {
		if err := e.Flush(t.Context()); err == nil || errors.Is(err, ErrPaused) {
			t.Fatalf("got %v", err)
		}
	}
	if err := e.Flush(t.Context()); !errors.Is(err, ErrPaused) {
		t.Fatalf("after %d failures got %v", breakerThreshold, err)
	}
	clock = clock.Add(time.Hour) // frozen for an hour: the wall clock went on
	if err := e.Flush(t.Context()); err == nil {
		t.Fatal("the fourth answer was an error")
	}
	clock = clock.Add(time.Hour)
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := e.Losses(); l.Spans != 0 || l.Failures != 4 {
		t.Errorf("losses %+v", l)
	}
}

func TestExporterHeedsRetryAfter(t *testing.T) {
	clock := at
	b := newBackend(t, func(w http.ResponseWriter, _ int) {
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	e := exporter(t, b.URL, func() time.Time { return clock })
	e.Add(Encode(resource, sample()), false)
	if err := e.Flush(t.Context()); err == nil {
		t.Fatal("no error")
	}
	clock = clock.Add(19 * time.Second)
	if err := e.Flush(t.Context()); !errors.Is(err, ErrPaused) {
		t.Errorf("got %v", err)
	}
}

func TestExporterGivesUpWhatIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		answer string
		want   string
	}{
		"BadRequest":        {400, "nonsense\x00\n", "400 Bad Request: nonsense"},
		"Silent":            {404, "", "404 Not Found"},
		"TransactionSearch": {400, "The OTLP API is supported with CloudWatch Logs as a Trace Segment Destination.", "update-trace-segment-destination"},
		"NoPermission":      {403, `{"message":"not authorized"}`, "xray:PutSpansForIndexing"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, func(w http.ResponseWriter, _ int) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			})
			e := exporter(t, b.URL, nil)
			e.config.Sign = func(*http.Request, []byte) error { return nil }
			e.Add(Encode(resource, sample(), sample()), false)
			if err := e.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			if err := e.Flush(t.Context()); err != nil {
				t.Errorf("it was tried again: %v", err)
			}
			if l := e.Losses(); l.Spans != 2 || l.Failures != 1 {
				t.Errorf("losses %+v", l)
			}
		})
	}
}

func TestExporterIsBounded(t *testing.T) {
	e := exporter(t, "http://127.0.0.1:1", nil)
	one := Encode(resource, sample())
	n := 1<<20/len(one) + 10
	for range n {
		e.Add(one, false)
	}
	_, waiting, _ := e.Oldest()
	if l := e.Losses(); l.Spans+waiting != n || l.Spans < 10 {
		t.Errorf("%d wait, %d lost, %d added", waiting, l.Spans, n)
	}
	e.Add([]byte("garbage"), false)
	if l := e.Losses(); l.Spans != 1 {
		t.Errorf("garbage: losses %+v", l)
	}
}

func TestExporterWaitsNoLongerThanItsContext(t *testing.T) {
	release := make(chan struct{})
	b := newBackend(t, func(http.ResponseWriter, int) { <-release })
	defer close(release)
	e := exporter(t, b.URL, nil)
	e.Add(Encode(resource, sample()), false)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := e.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, spans, _ := e.Oldest(); spans != 1 {
		t.Errorf("%d spans wait", spans)
	}
}

func TestExporterSurvivesStaleConnections(t *testing.T) {
	b := newBackend(t, nil)
	e := exporter(t, b.URL, nil)
	for i := range 3 {
		e.Add(Encode(resource, sample()), false)
		if err := e.Flush(t.Context()); err != nil {
			t.Fatalf("flush %d: %v", i, err)
		}
		b.CloseClientConnections() // as a backend does with connections idle over a freeze
	}
	if _, spans := b.received(); spans != 3 {
		t.Errorf("%d spans", spans)
	}
}

func TestExporterCountsWhatTheBackendRejects(t *testing.T) {
	answer := []byte{0x0a, 2, 0x08, 3} // partial_success { rejected_spans: 3 }
	b := newBackend(t, func(w http.ResponseWriter, _ int) { _, _ = w.Write(answer) })
	e := exporter(t, b.URL, nil)
	e.Add(Encode(resource, sample()), false)
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := e.Losses(); l.Spans != 3 {
		t.Errorf("losses %+v", l)
	}
}

// X-Ray takes 5 MB, uncompressed, and 10 000 spans in a request: what is more is
// sent in several, and none is lost, whether it came in one piece or in many.
func TestXRaysLimitsAreKept(t *testing.T) {
	large := sample()
	large.Attributes = append(large.Attributes, attribute.String("text", strings.Repeat("x", 100_000)))
	small := Span{Context: spanContext(1, 2, 1), Name: "s", Start: at, End: at}
	for name, tt := range map[string]struct {
		span        Span
		spans, each int
	}{
		"Bytes in one piece":    {large, 120, 120},
		"Bytes in many pieces":  {large, 120, 1},
		"Number in one piece":   {small, 25_000, 25_000},
		"Number in many pieces": {small, 25_000, 100},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			posts, got := 0, 0
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				zip, err := gzip.NewReader(r.Body)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(zip)
				n, countErr := CountSpans(body)
				if err != nil || countErr != nil || len(body) > 5_000_000 || n > 10_000 || n == 0 {
					t.Errorf("a request of %d bytes and %d spans: %v %v", len(body), n, err, countErr)
				}
				mu.Lock()
				posts, got = posts+1, got+n
				mu.Unlock()
			}))
			t.Cleanup(server.Close)
			e := exporter(t, server.URL, nil)
			e.config.QueueBytes = 64 << 20
			for range tt.spans / tt.each {
				e.Add(Encode(resource, slices.Repeat([]Span{tt.span}, tt.each)...), false)
			}
			if err := e.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if l := e.Losses(); got != tt.spans || posts < 3 || posts > 7 || l != (Losses{}) {
				t.Errorf("%d spans in %d requests, losses %+v", got, posts, l)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(Encode(resource, sample()), 100, 1)
	f.Add([]byte{0x0a, 0x02, 0x12, 0x00}, 0, 0)
	f.Fuzz(func(t *testing.T, request []byte, maxBytes, maxSpans int) {
		n, err := CountSpans(request)
		Find(request, "k", "v")
		sum := 0
		splitErr := Split(request, maxBytes, max(1, maxSpans), func(piece []byte) {
			k, err := CountSpans(piece)
			if err != nil {
				t.Fatalf("a piece is malformed: %v", err)
			}
			sum += k
		})
		if err == nil && splitErr == nil && sum != n {
			t.Errorf("%d spans became %d", n, sum)
		}
		if line, err := AppendJSON(nil, request); err == nil && !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	})
}

func ExampleAppendJSON() {
	request := Encode(Resource{}, Span{Context: spanContext(1, 2, 1), Name: "process SignalGenerated", Kind: trace.SpanKindConsumer, Start: time.Unix(1, 0), End: time.Unix(2, 0)})
	line, err := AppendJSON(nil, request)
	if err != nil {
		fmt.Println(err)
	}
	os.Stdout.Write(append(line, '\n'))
	// Output: {"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","name":"process SignalGenerated","kind":5,"startTimeUnixNano":"1000000000","endTimeUnixNano":"2000000000","flags":1}]}]}]}
}
