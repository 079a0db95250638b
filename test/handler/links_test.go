package handler_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

const (
	mostChildren = 5
	mostHops     = 8
)

// published is one event of the ledger, as it was on the wire.
type published struct {
	id, workflow string
	hops         int
	parent       *published
	publisher    reference
	envelope     []byte
	handled      []string // request IDs
}

// reference is a span as the wire names it.
type reference struct {
	Span    string
	Sampled bool
}

func referenceOf(traceparent string) reference {
	parts := strings.Split(traceparent, "-")
	return reference{Span: parts[2], Sampled: parts[3] == "01"}
}

func (p *published) first() *published {
	for p.parent != nil {
		p = p.parent
	}
	return p
}

// backend is where the spans arrive, as OTLP.
type backend struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		request := &collector.ExportTraceServiceRequest{}
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(zip)
		if err != nil || proto.Unmarshal(body, request) != nil {
			t.Error("no OTLP")
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				b.spans = append(b.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// played is workflows that go through the wrapper and the decorator.
type played struct {
	t       *testing.T
	rng     *rand.Rand
	bus     *publisher.Publisher
	handler lambda.Handler
	batch   []*published // being handled
	queue   []*published
	ledger  map[string]*published
	budget  int
	calls   int
}

func play10k(t *testing.T, telemetry *export.Telemetry, events int) *played {
	p := &played{t: t, rng: rand.New(rand.NewPCG(7, uint64(events))), ledger: map[string]*published{}, budget: events}
	p.bus = publisher.New(p, publisher.WithTelemetry(telemetry))
	p.handler = lambda.NewHandler(handler.Wrap(p.handle, handler.WithTelemetry(telemetry), handler.WithMetrics(telemetry.Metrics, io.Discard)))
	return p
}

// PutEvents is the bus: it keeps each entry as an envelope.
func (p *played) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}
	for i, e := range in.Entries {
		var detail struct {
			ID string `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
			p.t.Fatal(err)
		}
		event := p.ledger[detail.ID]
		resources, _ := json.Marshal(e.Resources)
		for _, line := range e.Resources {
			if value, ok := strings.CutPrefix(line, "traceparent:"); ok {
				event.publisher = referenceOf(value)
			}
		}
		event.envelope = fmt.Appendf(nil, `{"version":"0","id":"bus-%s","detail-type":%q,"source":"s","time":"2026-11-23T10:00:00Z","resources":%s,"detail":%s}`, event.id, *e.DetailType, resources, *e.Detail)
		p.queue = append(p.queue, event)
		out.Entries[i].EventId = aws.String("bus-" + event.id)
	}
	return out, nil
}

// publish puts n events in one call, which the decorator may split.
func (p *played) publish(ctx context.Context, parent *published, workflow string, n int) error {
	n = min(n, p.budget)
	if n <= 0 {
		return nil
	}
	p.budget -= n
	in := &eventbridge.PutEventsInput{}
	for range n {
		e := &published{id: fmt.Sprint("event-", len(p.ledger)), workflow: workflow, parent: parent}
		detail := fmt.Sprintf(`{"event_id":%q,"correlation_id":%q}`, e.id, workflow)
		if parent != nil {
			e.hops = parent.hops + 1
			detail = fmt.Sprintf(`{"event_id":%q,"correlation_id":%q,"causation_id":%q}`, e.id, workflow, parent.id)
		}
		p.ledger[e.id] = e
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String(fmt.Sprint("Type", p.rng.IntN(5))), Detail: &detail})
	}
	_, err := p.bus.PutEvents(ctx, in)
	return err
}

// handle publishes what each event of the batch causes.
func (p *played) handle(ctx context.Context, _ json.RawMessage) error {
	for _, e := range p.batch {
		if e.hops < mostHops-1 {
			if err := p.publish(ctx, e, e.workflow, p.rng.IntN(mostChildren+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver invokes the function with a batch, from a rule or a queue.
func (p *played) deliver(batch []*published) {
	payload := batch[0].envelope
	if len(batch) > 1 || p.rng.IntN(2) == 0 {
		records := make([]string, len(batch))
		for i, e := range batch {
			records[i] = fmt.Sprintf(`{"messageId":"m-%s","body":%q,"attributes":{"ApproximateReceiveCount":"1"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:plans"}`, e.id, e.envelope)
		}
		payload = fmt.Appendf(nil, `{"Records":[%s]}`, strings.Join(records, ","))
	}
	p.calls++
	request := fmt.Sprint("request-", p.calls)
	for _, e := range batch {
		e.handled = append(e.handled, request)
	}
	p.batch = batch
	ctx := lambdacontext.NewContext(p.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: request})
	if _, err := p.handler.Invoke(ctx, payload); err != nil {
		p.t.Fatal(err)
	}
}

func (p *played) run() {
	for p.budget > 0 || len(p.queue) > 0 {
		if len(p.queue) == 0 || p.budget > 0 && p.rng.IntN(8) == 0 {
			if err := p.publish(p.t.Context(), nil, fmt.Sprint("workflow-", len(p.ledger)), 1); err != nil {
				p.t.Fatal(err)
			}
			continue
		}
		size := 1
		if p.rng.IntN(3) == 0 {
			size = 1 + p.rng.IntN(min(10, len(p.queue)))
		}
		p.rng.Shuffle(len(p.queue), func(i, j int) { p.queue[i], p.queue[j] = p.queue[j], p.queue[i] })
		batch := slices.Clone(p.queue[len(p.queue)-size:])
		p.queue = p.queue[:len(p.queue)-size]
		p.deliver(batch)
	}
}

func text(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func linked(s *tracepb.Span, why string) (to []string) {
	for _, l := range s.Links {
		for _, a := range l.Attributes {
			if a.Key == lineage.AttrLink && a.Value.GetStringValue() == why {
				to = append(to, fmt.Sprintf("%x", l.SpanId))
			}
		}
	}
	return to
}

// check holds what arrived to the ledger.
func (p *played) check(spans []*tracepb.Span) (recorded int) {
	t := p.t
	bySpan, byRequest := map[string]*tracepb.Span{}, map[string]*tracepb.Span{}
	for _, s := range spans {
		bySpan[fmt.Sprintf("%x", s.SpanId)] = s
		if s.Kind == tracepb.Span_SPAN_KIND_CONSUMER {
			byRequest[text(s, "faas.invocation_id")] = s
		}
		if s.DroppedLinksCount > 0 {
			t.Fatalf("%s lost %d links", s.Name, s.DroppedLinksCount)
		}
	}
	links, want := 0, 0
	for _, s := range spans {
		links += len(linked(s, lineage.LinkCausation))
	}
	processed := map[string]int{}
	for _, e := range p.ledger {
		whole := e.first().publisher.Sampled
		own := bySpan[e.publisher.Span]
		if (own != nil) != whole || e.publisher.Sampled != whole {
			t.Fatalf("%s of a workflow sampled %t: its publishing span arrived %t", e.id, whole, own != nil)
		}
		if whole {
			recorded++
			causes := linked(own, lineage.LinkCausation)
			switch {
			case e.parent == nil && len(causes) > 0, e.parent != nil && !slices.Equal(causes, []string{e.parent.publisher.Span}):
				t.Fatalf("%s: its publishing span links to %v", e.id, causes)
			case e.parent != nil && !slices.Equal(linked(own, lineage.LinkCorrelation), []string{e.first().publisher.Span}):
				t.Fatalf("%s: its publishing span does not link to the origin", e.id)
			}
			want += len(causes)
		}
		for _, request := range e.handled {
			s := byRequest[request]
			if whole && s == nil {
				t.Fatalf("%s: its process span did not arrive", e.id)
			}
			if s != nil && !slices.Contains(linked(s, lineage.LinkCausation), e.publisher.Span) {
				t.Fatalf("%s: the span that processed it has no link to its publisher", e.id)
			}
			if s != nil {
				want++
				processed[request]++
			}
		}
	}
	if links != want {
		t.Fatalf("%d causation links arrived, %d events and handlings have one", links, want)
	}
	if len(processed) != len(byRequest) {
		t.Fatalf("%d process spans, %d of them of the ledger", len(byRequest), len(processed))
	}
	return recorded
}

func setUp(t *testing.T, url, ratio string) *export.Telemetry {
	t.Helper()
	settings := map[string]string{"TMPDIR": t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
	return export.Setup(aws.Config{}, func(name string) string { return settings[name] })
}

func soak(small, full int) int {
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		return full
	}
	return small
}

func TestLinksThroughWrapperAndDecorator(t *testing.T) {
	events := soak(500, 10_000)
	for _, ratio := range []string{"1", "0.1", "0"} {
		t.Run(ratio, func(t *testing.T) {
			b := newBackend(t)
			telemetry := setUp(t, b.URL, ratio)
			p := play10k(t, telemetry, events)
			p.run()
			if err := telemetry.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if lost := telemetry.Losses(); lost.Spans > 0 || len(p.ledger) != events {
				t.Fatalf("lost %+v, published %d", lost, len(p.ledger))
			}
			recorded := p.check(b.spans)
			if ratio == "1" && recorded != events || ratio == "0" && len(b.spans) > 0 {
				t.Errorf("%d of %d events recorded, %d spans", recorded, events, len(b.spans))
			}
			t.Logf("%d events in %d invocations, %d events recorded, %d spans", events, p.calls, recorded, len(b.spans))
		})
	}
}

// Each record of a batch keeps its link: the SDK's own limit is 128.
func TestBatchOf200KeepsItsLinks(t *testing.T) {
	b := newBackend(t)
	telemetry := setUp(t, b.URL, "1")
	p := play10k(t, telemetry, 200)
	for p.budget > 0 {
		if err := p.publish(t.Context(), nil, fmt.Sprint("workflow-", len(p.ledger)), 1); err != nil {
			t.Fatal(err)
		}
	}
	p.deliver(p.queue)
	if err := telemetry.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.check(b.spans)
	if s := b.spans[len(b.spans)-1]; len(linked(s, lineage.LinkCausation)) != 200 {
		t.Errorf("%s: %d causation links", s.Name, len(linked(s, lineage.LinkCausation)))
	}
}

// The wrapper and the decorator keep nothing of an event but what the memory
// window is made for.
func TestMemoryStaysFlat(t *testing.T) {
	b := newBackend(t)
	telemetry := setUp(t, b.URL, "1")
	p := play10k(t, telemetry, 0)
	heap := func(events int) uint64 {
		for range events {
			p.ledger, p.queue, p.budget = map[string]*published{}, nil, 1
			if err := p.publish(t.Context(), nil, "workflow", 1); err != nil {
				t.Fatal(err)
			}
			p.deliver(p.queue)
			b.mu.Lock()
			b.spans = nil
			b.mu.Unlock()
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	heap(soak(50, 1_000))
	first := heap(soak(100, 2_000))
	last := heap(soak(300, 10_000))
	if last > first+first/4+1<<20 {
		t.Errorf("heap %d KB, then %d KB", first>>10, last>>10)
	}
}
