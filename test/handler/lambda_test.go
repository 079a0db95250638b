package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
)

// TestMain is also the function: this binary again, as a Go runtime.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		play(os.Getenv("TEST_ROLE"), os.Getenv("TEST_BARE") != "")
	}
	os.Exit(m.Run())
}

func play(role string, bare bool) {
	functions := map[string]any{"concurrent": concurrent, "stream": streams, "batch": batch}
	h := functions[role]
	set := metrics.New(metrics.Config{Service: role})
	switch {
	case role == "repeats":
		h = sharing(set)
	case role == "secrets":
		h = keeping(set)
	case role == "once":
		h = dying()
	case !bare:
		h = handler.Wrap(h, handler.WithTracing(configuration), handler.WithMetrics(set, os.Stdout), handler.WithDedupe(dedupe.New(dedupe.Config{})))
	}
	lambda.Start(h)
}

var configuration = tracing.Config{TracerProvider: sdktrace.NewTracerProvider()}

// told is what a function saw of itself while others ran beside it.
type told struct {
	Request, Invocation string
	Causation           string // the span ID of the causation link
	Lines               []string
	Beside              int
}

// stub keeps what it was called with.
type stub struct{ lines []string }

func (s *stub) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	s.lines = in.Entries[0].Resources
	return &eventbridge.PutEventsOutput{Entries: []types.PutEventsResultEntry{{EventId: aws.String("id")}}}, nil
}

var beside struct {
	sync.Mutex
	n int
}

// concurrent publishes once enough invocations run at the same time.
func concurrent(ctx context.Context, _ json.RawMessage) (told, error) {
	beside.Lock()
	beside.n++
	beside.Unlock()
	most := 0
	for until := time.Now().Add(10 * time.Second); most < 4 && time.Now().Before(until); time.Sleep(time.Millisecond) {
		beside.Lock()
		most = max(most, beside.n)
		beside.Unlock()
	}
	api := &stub{}
	_, err := publisher.New(api, publisher.WithTracing(configuration)).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("test"), DetailType: aws.String("Planned"), Detail: aws.String(`{"event_id":"next"}`)},
	}})
	t := told{Lines: api.lines, Beside: most}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		t.Request = lc.AwsRequestID
	}
	if span, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan); ok {
		for _, a := range span.Attributes() {
			if a.Key == "faas.invocation_id" {
				t.Invocation = a.Value.AsString()
			}
		}
		for _, l := range span.Links() {
			for _, a := range l.Attributes {
				if a == attribute.String(lineage.AttrLink, lineage.LinkCausation) {
					t.Causation = l.SpanContext.SpanID().String()
				}
			}
		}
	}
	return t, err
}

func start(t *testing.T, role string, bare bool, change func(*lambdalocal.Function)) *lambdalocal.Deployment {
	t.Helper()
	return startLogging(t, role, bare, nil, change)
}

func startLogging(t *testing.T, role string, bare bool, onLog func(lambdalocal.LogLine), change func(*lambdalocal.Function)) *lambdalocal.Deployment {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: onLog})
	t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	f := lambdalocal.Function{Name: role, Runtime: []string{self}, Memory: 512, Timeout: 30 * time.Second,
		Env: map[string]string{"TEST_ROLE": role, "GORACE": "atexit_sleep_ms=0"}}
	if bare {
		f.Env["TEST_BARE"] = "1"
	}
	if change != nil {
		change(&f)
	}
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func event(n int) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"env-%d","detail-type":"Signal","source":"s","time":"2026-11-23T20:45:00Z","region":"us-east-1",`+
		`"resources":["correlation:workflow-%d","traceparent:00-%032x-%016x-01","hops:2"],"detail":{"event_id":"signal-%d"}}`, n, n, n, n, n)
}

// Under Managed Instances many invocations share a process: each keeps its own
// event, links and stamp.
func TestManagedInstances(t *testing.T) {
	d := start(t, "concurrent", false, func(f *lambdalocal.Function) {
		f.Mode, f.Concurrency, f.MaxEnvironments = lambdalocal.ManagedInstances, 8, 1
	})
	const invocations = 64
	var all sync.WaitGroup
	most := make(chan int, invocations)
	for n := 1; n <= invocations; n++ {
		all.Go(func() {
			result, err := d.Invoke(t.Context(), event(n), lambdalocal.InvokeOptions{Wait: true})
			var got told
			if err != nil || json.Unmarshal(result.Payload, &got) != nil || result.FunctionError != "" {
				t.Errorf("%d: %v %s", n, err, result.Payload)
				return
			}
			most <- got.Beside
			if got.Request != result.RequestID || got.Invocation != result.RequestID || got.Causation != fmt.Sprintf("%016x", n) {
				t.Errorf("%d: %+v in request %s", n, got, result.RequestID)
			}
			lines := strings.Join(got.Lines, " ")
			for _, want := range []string{fmt.Sprintf("correlation:workflow-%d ", n), fmt.Sprintf("causation:signal-%d ", n), "hops:3"} {
				if !strings.Contains(lines, want) {
					t.Errorf("%d: published with %s", n, lines)
				}
			}
		})
	}
	all.Wait()
	close(most)
	together := 0
	for n := range most {
		together = max(together, n)
	}
	if together < 4 {
		t.Errorf("at most %d invocations at once: nothing was shown", together)
	}
}

type typed struct{ r io.Reader }

func (t typed) Read(p []byte) (int, error) { return t.r.Read(p) }

func (typed) ContentType() string { return "text/event-stream" }

// streams answers as the event says: text in two parts, the second after the
// first was seen to arrive; broken in between; or an error at once.
func streams(_ context.Context, e struct{ Gate, End string }) (io.Reader, error) {
	if e.End == "refused" {
		return nil, errors.New("refused")
	}
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(bytes.Repeat([]byte("first "), 10_000))
		if e.Gate != "" {
			if response, err := http.Get(e.Gate); err == nil {
				_ = response.Body.Close()
			}
		}
		if e.End == "broken" {
			_ = w.CloseWithError(errors.New("the source went away"))
			return
		}
		_, _ = w.Write([]byte("second"))
		_ = w.Close()
	}()
	return typed{r: r}, nil
}

// batch answers with partial failures.
func batch(_ context.Context, _ json.RawMessage) (map[string]any, error) {
	return map[string]any{"batchItemFailures": []map[string]string{{"itemIdentifier": "m-2"}}}, nil
}

type arrivals struct {
	mu    sync.Mutex
	text  []byte
	begun chan struct{}
	once  sync.Once
}

func (a *arrivals) Write(p []byte) (int, error) {
	a.mu.Lock()
	a.text = append(a.text, p...)
	a.mu.Unlock()
	a.once.Do(func() { close(a.begun) })
	return len(p), nil
}

// A streamed answer reaches its caller while the handler still writes it, and
// ends as it would without us.
func TestStreamedAnswer(t *testing.T) {
	bare, wrapped := start(t, "stream", true, nil), start(t, "stream", false, nil)
	for _, end := range []string{"", "broken", "refused"} {
		t.Run("End "+end, func(t *testing.T) {
			var results []lambdalocal.Result
			for _, d := range []*lambdalocal.Deployment{bare, wrapped} {
				a := &arrivals{begun: make(chan struct{})}
				gate := gated(t, a.begun)
				if end == "refused" {
					gate = ""
				}
				result, err := d.Invoke(t.Context(), fmt.Appendf(nil, `{"gate":%q,"end":%q}`, gate, end), lambdalocal.InvokeOptions{Stream: a, Wait: true})
				if err != nil {
					t.Fatal(err)
				}
				if end != "refused" && !bytes.HasPrefix(a.text, []byte("first ")) {
					t.Errorf("streamed %.40q", a.text)
				}
				result.RequestID = ""
				results = append(results, result)
			}
			if a, b := results[0], results[1]; a.FunctionError != b.FunctionError || a.ErrorType != b.ErrorType || !bytes.Equal(a.Payload, b.Payload) {
				t.Errorf("bare %.80q %s %s, wrapped %.80q %s %s", a.Payload, a.FunctionError, a.ErrorType, b.Payload, b.FunctionError, b.ErrorType)
			}
		})
	}
}

// gated is the address of a gate that opens when begun is closed: a wrapper
// that kept the answer back would never open it.
func gated(t *testing.T, begun <-chan struct{}) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-begun:
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
			t.Error("the first part was kept back")
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPartialBatchResponse(t *testing.T) {
	for _, bare := range []bool{true, false} {
		d := start(t, "batch", bare, nil)
		result, err := d.Invoke(t.Context(), []byte(`{"Records":[{"messageId":"m-1","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q"},`+
			`{"messageId":"m-2","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q"}]}`), lambdalocal.InvokeOptions{})
		if failed := result.FailedMessages([]string{"m-1", "m-2"}); err != nil || len(failed) != 1 || failed[0] != "m-2" {
			t.Errorf("bare %t: %v, %v of %s", bare, err, failed, result.Payload)
		}
	}
}
