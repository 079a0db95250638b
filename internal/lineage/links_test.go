package lineage

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// world plays workflows through this package alone: entries are resolved,
// published, stamped, delivered by one of several ways, read and processed.
// What it published is the ledger that the spans are held to.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	cfg     Config
	reader  *Reader
	stamper *Stamper
	queue   []*ledgerEvent
	ledger  map[string]*ledgerEvent // by event ID
	roots   int
	budget  int
}

// ledgerEvent is one published event: the truth that links are compared with.
type ledgerEvent struct {
	id, workflow string
	depth        int
	parent       *ledgerEvent
	publisher    trace.SpanContext
	entry        Entry
	processed    []trace.SpanContext
}

func (e *ledgerEvent) first() *ledgerEvent {
	for e.parent != nil {
		e = e.parent
	}
	return e
}

func newWorld(t *testing.T, r *recorder, mode StampMode, events int) *world {
	cfg := Config{TracerProvider: r.provider, Stamp: mode}
	return &world{t: t, rng: rand.New(rand.NewPCG(1, uint64(events))), cfg: cfg, reader: NewReader(cfg), stamper: NewStamper(cfg),
		ledger: map[string]*ledgerEvent{}, budget: events}
}

const (
	maxFanOut     = 5
	maxDepthOfRun = 8
)

// run plays until the budget of events is published and handled.
func (w *world) run() {
	for w.budget > 0 || len(w.queue) > 0 {
		if len(w.queue) == 0 || w.budget > 0 && w.rng.IntN(8) == 0 {
			w.roots++
			w.publish(w.t.Context(), nil, fmt.Sprintf("workflow-%d", w.roots), 1)
			continue
		}
		size := 1
		if w.rng.IntN(3) == 0 {
			size = 1 + w.rng.IntN(min(10, len(w.queue)))
		}
		w.rng.Shuffle(len(w.queue), func(i, j int) { w.queue[i], w.queue[j] = w.queue[j], w.queue[i] })
		batch := slices.Clone(w.queue[len(w.queue)-size:])
		w.queue = w.queue[:len(w.queue)-size]
		w.handle(batch)
	}
}

// publish puts n events in one request; of parent, or the first of a workflow.
func (w *world) publish(ctx context.Context, parent *ledgerEvent, workflow string, n int) {
	n = min(n, w.budget)
	if n <= 0 {
		return
	}
	w.budget -= n
	entries, out, events := make([]Entry, n), make([]Outgoing, n), make([]*ledgerEvent, n)
	for i := range entries {
		e := &ledgerEvent{id: fmt.Sprintf("event-%d", len(w.ledger)), workflow: workflow, parent: parent}
		detail := map[string]any{"event_id": e.id, "correlation_id": workflow}
		if parent != nil {
			e.depth = parent.depth + 1
			detail["causation_id"] = parent.id
		}
		text, err := json.Marshal(detail)
		if err != nil {
			w.t.Fatal(err)
		}
		entries[i] = Entry{Source: "s", DetailType: fmt.Sprintf("Type%d", w.rng.IntN(5)), Detail: string(text), Resources: []string{"arn:aws:s3:::b"}}
		out[i] = w.stamper.Resolve(ctx, entries[i], nil)
		events[i], w.ledger[e.id] = e, e
	}
	p := w.stamper.StartPublishing(ctx, each(out))
	for i, e := range events {
		stamped, done := w.stamper.Apply(entries[i], out[i].Lineage, 1<<20)
		if done.Skipped != "" {
			w.t.Fatalf("stamp left out: %s", done.Skipped)
		}
		e.publisher, e.entry = out[i].Lineage.Publisher, stamped
		w.queue = append(w.queue, e)
	}
	p.End(nil)
}

// deliver wraps events as one invocation's payload.
func (w *world) deliver(batch []*ledgerEvent) string {
	bodies := make([]string, len(batch))
	for i, e := range batch {
		resources, err := json.Marshal(e.entry.Resources)
		if err != nil {
			w.t.Fatal(err)
		}
		bodies[i] = fmt.Sprintf(`{"version":"0","id":"bus-%s","detail-type":%q,"source":"s","resources":%s,"detail":%s}`, e.id, e.entry.DetailType, resources, e.entry.Detail)
	}
	if way := w.rng.IntN(3); len(batch) == 1 && way < 2 {
		return []string{bodies[0], records(snsRecord(bodies[0]))}[way]
	}
	topic := w.rng.IntN(2) == 0
	for i := range bodies {
		if topic {
			bodies[i] = snsBody(bodies[i])
		}
		bodies[i] = sqsRecord(bodies[i])
	}
	return records(bodies...)
}

// handle processes a batch; each record may publish, named by its causation ID.
func (w *world) handle(batch []*ledgerEvent) {
	d := w.reader.Read([]byte(w.deliver(batch)))
	ctx, span := StartProcess(w.t.Context(), w.cfg, d, Invocation{RequestID: "r"})
	for _, e := range batch {
		e.processed = append(e.processed, span.SpanContext())
		if e.depth < maxDepthOfRun-1 {
			w.publish(ctx, e, e.workflow, w.rng.IntN(maxFanOut+1))
		}
	}
	FinishProcess(span, nil)
}

// check holds the spans to the ledger: every workflow whole or absent, every
// link there, none wrong.
func (w *world) check(spans tracetest.SpanStubs) (sampled int) {
	byID := make(map[trace.SpanID]tracetest.SpanStub, len(spans))
	wanted := map[trace.SpanID]bool{}
	for _, s := range spans {
		byID[s.SpanContext.SpanID()] = s
	}
	for _, e := range w.ledger {
		whole := e.first().publisher.IsSampled()
		if whole {
			sampled++
		}
		stub, recorded := byID[e.publisher.SpanID()]
		if recorded != whole || e.publisher.IsSampled() != whole {
			w.t.Fatalf("%s of a workflow sampled %v: its publishing span is recorded %v", e.id, whole, recorded)
		}
		if whole {
			w.checkPublisher(e, stub)
		}
		for _, sc := range e.processed {
			stub, recorded := byID[sc.SpanID()]
			if whole && !recorded {
				w.t.Fatalf("%s: its process span is missing", e.id)
			}
			wanted[sc.SpanID()] = wanted[sc.SpanID()] || whole
			if recorded {
				w.checkProcess(e, stub)
			}
		}
	}
	for _, s := range spans {
		if s.SpanKind == trace.SpanKindConsumer && !wanted[s.SpanContext.SpanID()] {
			w.t.Fatalf("%s processed nothing of a recorded workflow", s.Name)
		}
		if s.DroppedLinks > 0 {
			w.t.Fatalf("%s lost %d links", s.Name, s.DroppedLinks)
		}
	}
	return sampled
}

func (w *world) checkPublisher(e *ledgerEvent, stub tracetest.SpanStub) {
	var causation, correlation []linkStub
	if e.parent != nil {
		causation = []linkStub{linkTo(e.parent.publisher, e.parent.id)}
		correlation = []linkStub{linkTo(e.first().publisher, e.workflow)}
	}
	wantLinks(w.t, stub, LinkCausation, causation...)
	wantLinks(w.t, stub, LinkCorrelation, correlation...)
	wantAttributes(w.t, stub, map[string]any{AttrEventID: e.id, AttrCorrelationID: e.workflow, AttrHops: int64(e.depth)})
	if len(stub.Links) != len(causation)+len(correlation) {
		w.t.Fatalf("%s: %d links", e.id, len(stub.Links))
	}
}

// checkProcess looks for e's own links in the span that processed it, and that
// every link there is of an event of the ledger.
func (w *world) checkProcess(e *ledgerEvent, stub tracetest.SpanStub) {
	own, origin := 0, 0
	for _, link := range linksOf(stub.Links, LinkCausation) {
		of := w.ledger[link.id]
		if of == nil || link != linkTo(of.publisher, of.id) {
			w.t.Fatalf("%s: a wrong causation link %v", stub.Name, link)
		}
		if of == e {
			own++
		}
	}
	for _, link := range linksOf(stub.Links, LinkCorrelation) {
		if link == linkTo(e.first().publisher, e.workflow) {
			origin++
		}
	}
	if own != 1 || origin != 1 {
		w.t.Fatalf("%s: %d causation links and %d of its workflow, want one of each", e.id, own, origin)
	}
}

func TestLinksAcrossWorkflows(t *testing.T) {
	events := 2000
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		events = 10_000
	}
	for _, ratio := range []float64{1, 0.1, 0} {
		for _, mode := range []StampMode{StampResources, StampDetail} {
			t.Run(fmt.Sprintf("ratio %v, stamp %d", ratio, mode), func(t *testing.T) {
				r := newSampledRecorder(t, sdk.TraceIDRatioBased(ratio)) // not even based on parents
				w := newWorld(t, r, mode, events)
				w.run()
				if len(w.ledger) != events {
					t.Fatalf("%d events published", len(w.ledger))
				}
				sampled := w.check(r.spans.GetSpans())
				if ratio == 1 && sampled != events || ratio == 0 && (sampled != 0 || len(r.spans.GetSpans()) != 0) {
					t.Errorf("%d of %d events are in a recorded workflow", sampled, events)
				}
				t.Logf("%d workflows, %d of %d events recorded, %d spans", w.roots, sampled, events, len(r.spans.GetSpans()))
			})
		}
	}
}
