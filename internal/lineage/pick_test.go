package lineage

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// stamped is a queue's record of an event with these IDs and hops.
func stamped(id, correlation string, hops int) string {
	return sqsRecord(fmt.Sprintf(`{"id":"env-%s-%s","detail-type":"T","source":"s","resources":["correlation:%s","traceparent:%s","hops:%d"],"detail":{"event_id":%q,"correlation_id":%q}}`,
		id, correlation, correlation, FormatTraceparent(Mint(trace.SpanContext{})), hops, id, correlation))
}

// What a record says of itself does not make it the cause of what is published
// for another one.
func TestRecordsOfABatchAreStrangers(t *testing.T) {
	for _, tt := range []struct {
		name, detail string
		batch        []string
		parent       string // with its workflow
		hops         int
	}{
		{"AnothersIDInAnotherWorkflow", `{"causation_id":"order-1","correlation_id":"w-1"}`, []string{stamped("order-1", "w-evil", 999_999), stamped("order-1", "w-1", 1)}, "order-1 of w-1", 2},
		{"AnothersIDWithoutAWorkflow", `{"causation_id":"order-1"}`, []string{stamped("order-1", "w-evil", 999_999), stamped("order-1", "w-1", 1)}, "", 0},
		{"AnothersIDAndWorkflow", `{"causation_id":"order-1","correlation_id":"w-1"}`, []string{stamped("order-1", "w-1", 999_999), stamped("order-1", "w-1", 1)}, "order-1 of w-1", 2},
		{"AnothersWorkflow", `{"correlation_id":"w-1"}`, []string{stamped("x", "w-1", 999_999), stamped("order-1", "w-1", 1)}, "", 2},
		{"OneEventTwice", `{"causation_id":"order-1"}`, []string{stamped("order-1", "w-1", 1), stamped("order-1", "w-1", 1)}, "order-1 of w-1", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewReader(Config{}).Read([]byte(records(tt.batch...)))
			out := resolve(t.Context(), Entry{Detail: tt.detail}, &d)
			parent := ""
			if h := out.Handled(); h != nil {
				parent = h.ID + " of " + h.Lineage.CorrelationID
			}
			if parent != tt.parent || out.Lineage.Hops != tt.hops {
				t.Errorf("parent %q, hops %d; want %q, %d", parent, out.Lineage.Hops, tt.parent, tt.hops)
			}
		})
	}
}

func TestHopsHaveSixDigits(t *testing.T) {
	d := NewReader(Config{}).Read([]byte(strings.Replace(envelopeOfTrade, "hops:3", "hops:999999", 1)))
	out := resolve(t.Context(), Entry{Detail: `{}`}, &d)
	entry, _ := NewStamper(Config{}).Apply(out.Entry, out.Lineage, 1<<20)
	if !slices.Contains(entry.Resources, "hops:999999") {
		t.Errorf("stamped %q after %d", entry.Resources, out.Lineage.Hops)
	}
}

// A copy of a delivery that has other events is not looked up by those of the first.
func TestTheIndexIsOfItsEvents(t *testing.T) {
	d := NewReader(Config{}).Read([]byte(records(stamped("a", "w-1", 1), stamped("b", "w-2", 1), stamped("c", "w-3", 1))))
	if out := resolve(t.Context(), Entry{Detail: `{"causation_id":"a"}`}, &d); out.Handled() != &d.Events[0] || d.index.places == nil {
		t.Errorf("handled %+v, indexed %v", out.Handled(), d.index.places != nil)
	}
	part := d
	part.Events = d.Events[1:]
	if out := resolve(t.Context(), Entry{Detail: `{"causation_id":"a"}`}, &part); out.Handled() != nil {
		t.Errorf("handled %+v", out.Handled())
	}
	if out := resolve(t.Context(), Entry{Detail: `{"causation_id":"c"}`}, &part); out.Handled() != &d.Events[2] {
		t.Errorf("handled %+v", out.Handled())
	}
}

// The correlation ID of a workflow's first event is minted, and that is no fault;
// a workflow that is lost is.
func TestUncorrelatedIsAFault(t *testing.T) {
	read := func(payload string) *Delivery {
		d := NewReader(Config{}).Read([]byte(payload))
		d.Identify("request-1")
		return &d
	}
	batch := records(stamped("a", "w-1", 1), stamped("b", "w-2", 1))
	for _, tt := range []struct {
		name   string
		d      *Delivery
		detail string
		want   bool
	}{
		{"FirstEvent", nil, `{}`, false},
		{"FirstEventOfAnInvocation", read(`{"any":"payload"}`), `{}`, false},
		{"FirstEventOfASchedule", read(`{"id":"s-1","source":"aws.events","detail-type":"Scheduled Event","detail":{}}`), `{}`, false},
		{"AfterAnEventOfAWS", read(`{"id":"r-1","source":"aws.rds","detail-type":"RDS DB Instance Event","detail":{"EventID":"RDS-EVENT-0006"}}`), `{}`, false},
		{"AfterAnEventWithoutAWorkflow", read(`{"id":"e-1","source":"shop","detail-type":"T","detail":{}}`), `{}`, false},
		{"OfABatchWithoutItsCause", read(batch), `{}`, true},
		{"OfABatchWithItsCause", read(batch), `{"causation_id":"a"}`, false},
		{"OfABatchWithAWorkflow", read(batch), `{"correlation_id":"w-9"}`, false},
	} {
		if out := resolve(t.Context(), Entry{Detail: tt.detail}, tt.d); out.Uncorrelated != tt.want || out.Lineage.CorrelationID == "" {
			t.Errorf("%s: %v, %q", tt.name, out.Uncorrelated, out.Lineage.CorrelationID)
		}
	}
}

// All that an invocation without events publishes is of one workflow.
func TestAnInvocationWithoutEventsIsOneWorkflow(t *testing.T) {
	for _, payload := range []string{`{"any":"payload"}`, `"text"`, `[]`, ``, `{"source":"schedule"}`} {
		ctx, span := StartProcess(t.Context(), Config{TracerProvider: noop.NewTracerProvider()}, NewReader(Config{}).Read([]byte(payload)), Invocation{RequestID: "request-1"})
		seen := map[string]bool{}
		for range 3 {
			seen[resolve(ctx, Entry{Detail: `{}`}, nil).Lineage.CorrelationID] = true
		}
		FinishProcess(span, nil)
		if len(seen) != 1 || seen[""] {
			t.Errorf("%s: %v", payload, seen)
		}
	}
	if a, b := resolve(t.Context(), Entry{Detail: `{}`}, nil), resolve(t.Context(), Entry{Detail: `{}`}, nil); a.Lineage.CorrelationID == b.Lineage.CorrelationID {
		t.Error("outside an invocation two events are one workflow")
	}
}

// A publisher without a tracer passes a decision on, and says so where it has none.
func TestAPublisherWithoutATracerDecidesNothing(t *testing.T) {
	of := func(traceparent string, more ...string) *Delivery {
		lines := `"correlation:w-1"`
		for _, line := range append(more, "traceparent:"+traceparent) {
			if line != "traceparent:" {
				lines += fmt.Sprintf(",%q", line)
			}
		}
		d := NewReader(Config{}).Read([]byte(`{"id":"e-1","source":"s","detail-type":"T","resources":[` + lines + `],"detail":{}}`))
		return &d
	}
	for _, tt := range []struct {
		name            string
		d               *Delivery
		sampled, minted bool
	}{
		{"NoEvent", nil, false, true},
		{"Sampled", of(sampledContext), true, false},
		{"Unsampled", of(unsampledContext), false, false},
		{"Minted", of(unsampledContext, "minted:1"), false, true},
		{"MintedInATrace", of(sampledContext, "minted:1"), false, true},
		{"Unstamped", of(""), false, true},
	} {
		for _, provider := range []trace.TracerProvider{nil, noop.NewTracerProvider(), spanless{}} {
			s := NewStamper(Config{TracerProvider: provider})
			for n := range 2 {
				out := make([]Outgoing, n+1)
				for i := range out {
					out[i] = s.Resolve(t.Context(), Entry{Detail: `{}`}, tt.d)
				}
				s.StartPublishing(t.Context(), each(out)).End(nil)
				entry, _ := s.Apply(out[n].Entry, out[n].Lineage, 1<<20)
				sc := out[n].Lineage.Publisher
				if !sc.IsValid() || sc.IsSampled() != tt.sampled || slices.Contains(entry.Resources, "minted:1") != tt.minted {
					t.Errorf("%s over %T: %q", tt.name, provider, entry.Resources)
				}
			}
		}
		traced := newRecorder(t)
		s := NewStamper(Config{TracerProvider: traced.provider})
		out := s.Resolve(t.Context(), Entry{Detail: `{}`}, tt.d)
		s.StartPublishing(t.Context(), []*Outgoing{&out}).End(nil)
		if entry, _ := s.Apply(out.Entry, out.Lineage, 1<<20); slices.Contains(entry.Resources, "minted:1") {
			t.Errorf("%s, traced: %q", tt.name, entry.Resources)
		}
	}
}

// spanless is a provider that makes no spans, and is not known as one.
type spanless struct{ noop.TracerProvider }

func (spanless) Tracer(string, ...trace.TracerOption) trace.Tracer { return spanlessTracer{} }

type spanlessTracer struct{ noop.Tracer }

func (spanlessTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, trace.SpanFromContext(ctx)
}

// A consumer of a context that was minted asks its own sampler.
func TestMintedContextsAreRead(t *testing.T) {
	for file, want := range map[string]bool{"stamped-by-untraced-publisher.json": false, "stamped-unsampled.json": true} {
		payload, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		l := NewReader(Config{}).Read(payload).Events[0].Lineage
		if sampled, decided := l.sampled(); sampled || decided != want || l.Minted == want || !l.Stamped {
			t.Errorf("%s: sampled %v, decided %v, %+v", file, sampled, decided, l)
		}
	}
	detail := `{"_throughline":{"correlation":"w","traceparent":"` + unsampledContext + `","hops":0,"minted":1}}`
	if l := NewReader(Config{}).Read([]byte(`{"id":"e","source":"s","detail-type":"T","detail":` + detail + `}`)).Events[0].Lineage; !l.Minted {
		t.Errorf("in a detail: %+v", l)
	}
	bad := NewReader(Config{}).Read([]byte(`{"id":"e","source":"s","detail-type":"T","resources":["minted:yes","traceparent:` + unsampledContext + `"],"detail":{}}`))
	if bad.Malformed != 1 || bad.Events[0].Lineage.Minted {
		t.Errorf("malformed: %+v", bad)
	}
}

// Who forwards an event's resources does not forward that its context was minted,
// unless the next one is.
func TestMintedIsNotForwarded(t *testing.T) {
	resources := []string{"arn:mine", "minted:1", "correlation:w-1", "traceparent:" + unsampledContext, "hops:0"}
	d := NewReader(Config{}).Read([]byte(`{"id":"e-1","source":"s","detail-type":"T","resources":["` + strings.Join(resources, `","`) + `"],"detail":{}}`))
	for _, minted := range []bool{false, true} {
		l := Lineage{CorrelationID: "w-1", Publisher: mustParse(t, sampledContext), Hops: 1, Minted: minted, handled: &d.Events[0]}
		entry, done := NewStamper(Config{}).Apply(Entry{Resources: resources}, l, 1<<20)
		added := 0
		for _, line := range entry.Resources {
			added += len(line)
		}
		for _, line := range resources {
			added -= len(line)
		}
		if slices.Contains(entry.Resources, "minted:1") != minted || !slices.Contains(entry.Resources, "traceparent:"+sampledContext) || done.Added != added || len(resources) != 5 || resources[1] != "minted:1" {
			t.Errorf("minted %v: %q, %d bytes added, want %d; given %q", minted, entry.Resources, done.Added, added, resources)
		}
	}
	own := Entry{Resources: []string{"traceparent:" + sampledContext}}
	if entry, _ := NewStamper(Config{}).Apply(own, Lineage{CorrelationID: "w", Publisher: Mint(trace.SpanContext{}), Minted: true}, 1<<20); slices.Contains(entry.Resources, "minted:1") {
		t.Errorf("beside the caller's own context: %q", entry.Resources)
	}
}

// BenchmarkPublishForEachRecord is one event for each record of a batch.
func BenchmarkPublishForEachRecord(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		for name, id := range map[string]func(i int) string{"Workflows": func(i int) string { return fmt.Sprint("w-", i) }, "OneWorkflow": func(int) string { return "w" }} {
			batch := make([]string, n)
			entries := make([]Entry, n)
			for i := range n {
				batch[i] = stamped(fmt.Sprint("e-", i), id(i), 1)
				entries[i] = Entry{Detail: fmt.Sprintf(`{"causation_id":"e-%d","correlation_id":%q}`, i, id(i))}
			}
			payload := []byte(records(batch...))
			s, r := NewStamper(Config{}), NewReader(Config{})
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				for b.Loop() {
					d := r.Read(payload)
					for i := range entries {
						s.Resolve(b.Context(), entries[i], &d)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
}
