package conformance

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// TestMain is also the Go function: this binary again.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "execution":
		lambda.Start(execution)
	case "call":
		callInGo()
		return
	case "victim":
		lambda.Start(victim)
	}
	if name, ok := strings.CutPrefix(os.Getenv("TEST_ROLE"), "library-"); ok {
		inLibrary(name)
		return
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// execution is a user's function: it knows nothing of Throughline.
func execution(ctx context.Context, event events.EventBridgeEvent) error {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	var plan struct {
		CorrelationID string `json:"correlation_id"`
	}
	if err := json.Unmarshal(event.Detail, &plan); err != nil {
		return err
	}
	detail := fmt.Sprintf(`{"event_id": "trade-1", "correlation_id": %q, "quantity": 12345678901234567890, "note": "5 < 6 & ünï"}`, plan.CorrelationID)
	out, err := eventbridge.NewFromConfig(c).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("alchemiser.execution"), DetailType: aws.String("TradeExecuted"), Detail: &detail, EventBusName: aws.String("trading")},
	}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("not published: %s", aws.ToString(out.Entries[0].ErrorCode))
	}
	return err
}

// built are the binaries that the tests need, each built once.
var built struct {
	sync.Mutex
	dir   string
	paths map[string]string
}

func binary(tb testing.TB, name, pkg string) string {
	tb.Helper()
	return build(tb, name, exec.Command("go", "build", "-ldflags", "-s -w", pkg))
}

// extensionBinary is the layer's, as it is built for it: outside the workspace,
// with the versions that the root module names.
func extensionBinary(tb testing.TB) string {
	tb.Helper()
	cmd := exec.Command("go", "build", "-tags=nethttpomithttp2", "-ldflags", "-s -w -funcalign=16", "./cmd/throughline-extension")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOWORK=off")
	return build(tb, "throughline-extension", cmd)
}

// build runs a go build once in the process and returns the path of what it made.
func build(tb testing.TB, name string, cmd *exec.Cmd) string {
	tb.Helper()
	built.Lock()
	defer built.Unlock()
	if path := built.paths[name]; path != "" {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "throughline-layer") //nolint:usetesting // it serves every test
		if err != nil {
			tb.Fatal(err)
		}
		built.dir, built.paths = dir, map[string]string{}
	}
	path := filepath.Join(built.dir, name)
	cmd.Args = slices.Insert(cmd.Args, 2, "-o", path)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", name, err, out)
	}
	built.paths[name] = path
	return path
}

// minimalExtension is what any extension costs.
func minimalExtension(tb testing.TB) string {
	tb.Helper()
	return binary(tb, "minimal", "./testdata/minimal")
}

// spansOf is a backend that keeps what it is sent.
type spansOf struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	of    map[*tracepb.Span]string // service
}

func newSpans(t *testing.T) *spansOf {
	t.Helper()
	s := &spansOf{of: map[*tracepb.Span]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return // a connection that is opened ahead
		}
		request := &collector.ExportTraceServiceRequest{}
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(zip)
		if err != nil || proto.Unmarshal(body, request) != nil {
			t.Errorf("no OTLP: %v", err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					s.spans = append(s.spans, span)
					for _, a := range resource.Resource.Attributes {
						if a.Key == "service.name" {
							s.of[span] = a.Value.GetStringValue()
						}
					}
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func text(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if n := a.Value.GetIntValue(); n != 0 {
				return fmt.Sprint(n)
			}
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func linksTo(s *tracepb.Span, why string) (to []string) {
	for _, l := range s.Links {
		for _, a := range l.Attributes {
			if a.Key == "throughline.link" && a.Value.GetStringValue() == why {
				to = append(to, fmt.Sprintf("%x-%x", l.TraceId, l.SpanId))
			}
		}
	}
	return to
}

// scene is a bus, an exchange and a backend, with functions attached by layer
// and environment alone.
type scene struct {
	t      *testing.T
	bus    *buslocal.Bus
	busURL string
	svc    *lambdalocal.Service
	spans  *spansOf
	alpaca *httptest.Server

	mu    sync.Mutex
	calls []*http.Request
	lines []lambdalocal.LogLine
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, spans: newSpans(t)}
	s.alpaca = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.calls = append(s.calls, r.Clone(context.WithoutCancel(r.Context())))
		n := len(s.calls)
		s.mu.Unlock()
		w.Header().Set("X-Request-ID", fmt.Sprint("alpaca-", n))
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(s.alpaca.Close)
	s.bus = buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	t.Cleanup(s.bus.Close)
	var err error
	if s.busURL, err = s.bus.Start(); err != nil {
		t.Fatal(err)
	}
	s.svc = lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		s.mu.Lock()
		s.lines = append(s.lines, l)
		s.mu.Unlock()
	}})
	t.Cleanup(func() { _ = s.svc.Close() })
	return s
}

// attach adds the layer to a function, and its environment.
func (s *scene) attach(f lambdalocal.Function) lambdalocal.Function {
	s.t.Helper()
	wrapper, err := filepath.Abs("../throughline/wrapper")
	if err != nil {
		s.t.Fatal(err)
	}
	f.Extensions, f.Wrapper = []string{extensionBinary(s.t)}, wrapper
	f.Memory, f.MaxEnvironments = 512, 1
	if f.Timeout == 0 {
		f.Timeout = 30 * time.Second
	}
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"), "ALPACA_URL": strings.Replace(s.alpaca.URL, "127.0.0.1", "localhost", 1), "GORACE": "atexit_sleep_ms=0", "AWS_EC2_METADATA_DISABLED": "true",
		"THROUGHLINE_ENDPOINTS": "otlp,events,alpaca,runtime", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_ADDR": "127.0.0.1:0",
		"THROUGHLINE_ALPACA_ADDR": "127.0.0.1:0", "THROUGHLINE_RUNTIME_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_UPSTREAM": s.busURL,
		// The exchange, and not the endpoints of the layer.
		"THROUGHLINE_HTTP_HOSTS": "localhost", "OTEL_EXPORTER_OTLP_ENDPOINT": s.spans.URL,
	}
	maps.Copy(env, f.Env)
	f.Env = env
	return f
}

func (s *scene) create(f lambdalocal.Function) *lambdalocal.Deployment {
	s.t.Helper()
	d, err := s.svc.Create(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *scene) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines {
		if l.Source != "platform" && !strings.Contains(l.Text, `"_aws"`) {
			fmt.Fprintf(&b, "%s %s: %s\n", l.Function, l.Source, l.Text)
		}
	}
	return b.String()
}

// settle waits until neither the bus nor Lambda has anything left to do.
func (s *scene) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	for quiet := 0; quiet < 2; {
		before := len(s.bus.Ledger().Deliveries)
		if err := s.bus.Wait(ctx); err != nil {
			s.t.Fatalf("%v\n%s", err, s.log())
		}
		if err := s.svc.Wait(ctx); err != nil {
			s.t.Fatalf("%v\n%s", err, s.log())
		}
		if quiet++; len(s.bus.Ledger().Deliveries) != before {
			quiet = 0
		}
	}
}

// python is the Python function, behind a bootstrap.py with Lambda's rule.
func python(t *testing.T, interpreter string) lambdalocal.Function {
	t.Helper()
	root, err := filepath.Abs("testdata/python")
	if err != nil {
		t.Fatal(err)
	}
	opt := t.TempDir() // another layer, unpacked
	if err := os.CopyFS(filepath.Join(opt, "python"), os.DirFS("testdata/layered")); err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{
		Name: "strategy", Handler: "strategy.handle", Runtime: []string{interpreter, filepath.Join(root, "bootstrap.py")}, TaskRoot: root,
		ExecutionEnv: "AWS_Lambda_python3.12", Env: map[string]string{"TEST_OPT": opt, "PYTHONDONTWRITEBYTECODE": "1"},
	}
}

// node is the Node function, on AWS's own runtime client where it is installed.
func node(t *testing.T) lambdalocal.Function {
	t.Helper()
	modules, err := filepath.Abs("../../build/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	client := filepath.Join(modules, "aws-lambda-ric")
	if _, err := os.Stat(client); err != nil {
		peertest.Missing(t, "AWS's runtime client for Node (`make node` installs it)")
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(root, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{
		Name: "portfolio", Handler: "portfolio.handle", TaskRoot: root, ExecutionEnv: "AWS_Lambda_nodejs22.x",
		Runtime: []string{filepath.Join(modules, ".bin", "node"), filepath.Join(client, "index.mjs"), "portfolio.handle"},
	}
}

func goFunction(t *testing.T) lambdalocal.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{Name: "execution", Handler: "bootstrap", Runtime: []string{self}, Env: map[string]string{"TEST_ROLE": "execution"}}
}

type asyncTarget struct {
	name string
	d    *lambdalocal.Deployment
}

func (a asyncTarget) Name() string { return a.name }
func (a asyncTarget) Deliver(_ context.Context, m buslocal.Message) error {
	_, err := a.d.InvokeAsync(m.Payload, lambdalocal.InvokeOptions{TraceHeader: m.TraceHeader})
	return err
}

// Three functions in three languages, none of which knows of Throughline, give
// one linked workflow, from a rule through a queue to Alpaca and back: the same
// that the library gives.
func TestChainOfUnmodifiedFunctions(t *testing.T) {
	interpreter := peertest.Module(t, "boto3")
	byLayer := newScene(t)
	byLayer.play(byLayer.attach(python(t, interpreter)), byLayer.attach(node(t)), byLayer.attach(goFunction(t)))
	byLayer.checkChain()
	if want := `{"event_id": "trade-1", "correlation_id": "workflow-1", "quantity": 12345678901234567890, "note": "5 < 6 & ünï"}`; byLayer.bus.Ledger().Published[2].Detail != want {
		t.Errorf("the detail was changed: %s", byLayer.bus.Ledger().Published[2].Detail)
	}
	byLibrary := newScene(t)
	byLibrary.play(byLibrary.library("strategy"), byLibrary.library("portfolio"), byLibrary.library("execution"))
	byLibrary.checkChain()
	if layer, library := byLayer.picture(), byLibrary.picture(); !slices.Equal(layer, library) {
		t.Errorf("the layer's workflow\n%s\nis not the library's\n%s", strings.Join(layer, "\n"), strings.Join(library, "\n"))
	}
	if t.Failed() {
		t.Log(byLayer.log(), byLibrary.log())
	}
}

// play chains three functions by events and a queue, and waits until all is told.
func (s *scene) play(first, second, third lambdalocal.Function) {
	t := s.t
	t.Helper()
	strategy, portfolio, trade := s.create(first), s.create(second), s.create(third)
	queue := &buslocal.Queue{QueueName: "signals", Bus: s.bus, Consume: func(ctx context.Context, payload []byte, ids []string) []string {
		result, err := portfolio.Invoke(ctx, payload, lambdalocal.InvokeOptions{Wait: true})
		if err != nil || result.FunctionError != "" {
			t.Errorf("portfolio: %v %s", err, result.Payload)
		}
		return result.FailedMessages(ids)
	}}
	for detailType, target := range map[string]buslocal.Target{
		"SignalGenerated": queue, "RebalancePlanned": asyncTarget{"execution", trade}, "TradeExecuted": asyncTarget{"strategy", strategy},
	} {
		if err := s.bus.AddRule(buslocal.Rule{Name: detailType, Bus: "trading", Pattern: fmt.Sprintf(`{"detail-type":[%q]}`, detailType), Targets: []buslocal.RuleTarget{{Target: target}}}); err != nil {
			t.Fatal(err)
		}
	}
	if result, err := strategy.Invoke(t.Context(), []byte(`{"source":"schedule"}`), lambdalocal.InvokeOptions{}); err != nil || result.FunctionError != "" {
		t.Fatalf("strategy: %v %s\n%s", err, result.Payload, s.log())
	}
	s.settle()
	if err := s.svc.Close(); err != nil { // the rest of the spans
		t.Fatal(err)
	}
}

func (s *scene) checkChain() {
	t := s.t
	ledger := s.bus.Ledger()
	s.mu.Lock()
	calls := s.calls
	s.mu.Unlock()
	bySpan := map[string]*tracepb.Span{}
	for _, span := range s.spans.spans {
		bySpan[fmt.Sprintf("%x-%x", span.TraceId, span.SpanId)] = span
		if out := span.String(); strings.Contains(out, "PKPYTHON") || strings.Contains(out, "PKNODE") || strings.Contains(out, "secret=1") {
			t.Errorf("a span tells a secret: %s", out)
		}
	}
	publisher := func(e *buslocal.Event) string {
		parts := strings.Split(e.Line("traceparent"), "-")
		if len(parts) != 4 {
			t.Fatalf("%s is not stamped: %q", e.DetailType, e.Resources)
		}
		return parts[1] + "-" + parts[2]
	}
	if len(ledger.Published) != 3 {
		t.Fatalf("%d events published", len(ledger.Published))
	}
	consumers := map[string]string{"SignalGenerated": "portfolio", "RebalancePlanned": "execution", "TradeExecuted": "strategy"}
	ids := map[string]string{"SignalGenerated": "signal-1", "RebalancePlanned": "plan-1", "TradeExecuted": "trade-1"}
	for n, e := range ledger.Published {
		own := bySpan[publisher(e)]
		if own == nil || own.Kind != tracepb.Span_SPAN_KIND_PRODUCER || text(own, "throughline.event.id") != ids[e.DetailType] {
			t.Fatalf("%s: its publishing span is %v", e.DetailType, own)
		}
		if e.Line("correlation") != "workflow-1" || e.Line("hops") != fmt.Sprint(n) {
			t.Errorf("%s: stamped %q", e.DetailType, e.Resources)
		}
		if !strings.Contains(e.Detail, "5 < 6 & ünï") && !strings.Contains(e.Detail, `5 < 6 & \u00fcn\u00ef`) {
			t.Errorf("%s: its detail is %s", e.DetailType, e.Detail)
		}
		process := slices.IndexFunc(s.spans.spans, func(span *tracepb.Span) bool {
			return span.Kind == tracepb.Span_SPAN_KIND_CONSUMER && slices.Contains(linksTo(span, "causation"), publisher(e))
		})
		if process < 0 {
			t.Errorf("%s: no process span links to its publisher", e.DetailType)
			continue
		}
		handled := s.spans.spans[process]
		if s.spans.of[handled] != consumers[e.DetailType] || text(handled, "throughline.event.id") != ids[e.DetailType] || text(handled, "throughline.correlation.id") != "workflow-1" {
			t.Errorf("%s was handled by %s: %v", e.DetailType, s.spans.of[handled], handled)
		}
		if n == 0 {
			continue
		}
		if parent := ledger.Published[n-1]; !slices.Contains(linksTo(own, "causation"), publisher(parent)) || e.Line("causation") != ids[parent.DetailType] {
			t.Errorf("%s: it does not link to %s: %v %q", e.DetailType, parent.DetailType, own.Links, e.Resources)
		}
		if !slices.Contains(linksTo(own, "correlation"), publisher(ledger.Published[0])) {
			t.Errorf("%s: it does not link to the origin", e.DetailType)
		}
	}
	if len(calls) != 3 {
		t.Errorf("%d calls to Alpaca", len(calls))
	}
	for _, call := range calls {
		span := bySpan[strings.Join(strings.Split(call.Header.Get("traceparent")+"---", "-")[1:3], "-")]
		if call.Header.Get("X-Correlation-ID") != "workflow-1" || call.Header.Get("X-Causation-ID") == "" {
			t.Errorf("%s carried %v", call.URL, call.Header)
		}
		if span == nil || span.Kind != tracepb.Span_SPAN_KIND_CLIENT || text(span, "http.response.status_code") != "200" || !strings.HasPrefix(span.Name, call.Method+" /v2/") {
			t.Errorf("%s %s has the span %v", call.Method, call.URL, span)
			continue
		}
		if parent := bySpan[fmt.Sprintf("%x-%x", span.TraceId, span.ParentSpanId)]; parent == nil || parent.Kind != tracepb.Span_SPAN_KIND_CONSUMER {
			t.Errorf("%s %s is no child of a process span", call.Method, call.URL)
		}
	}
}
