package lineage

import (
	"errors"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// linksOf tells links by their kind: the span linked to and the ID beside it.
func linksOf(links []sdk.Link, kind string) (found []linkStub) {
	for _, link := range links {
		attrs := attributesOf(link.Attributes)
		if attrs[AttrLink] == kind || kind == "" && attrs[AttrLink] == nil {
			id, _ := attrs[AttrEventID].(string)
			if id == "" {
				id, _ = attrs[AttrCorrelationID].(string)
			}
			found = append(found, linkStub{link.SpanContext.TraceID(), link.SpanContext.SpanID(), id})
		}
	}
	return found
}

type linkStub struct {
	trace.TraceID
	trace.SpanID
	id string
}

func linkTo(sc trace.SpanContext, id string) linkStub { return linkStub{sc.TraceID(), sc.SpanID(), id} }

func wantLinks(t *testing.T, span tracetest.SpanStub, kind string, want ...linkStub) {
	t.Helper()
	if got := linksOf(span.Links, kind); !slices.Equal(got, want) {
		t.Errorf("%s: %s links %v, want %v", span.Name, kind, got, want)
	}
}

func wantAttributes(t *testing.T, span tracetest.SpanStub, want map[string]any) {
	t.Helper()
	got := attributesOf(span.Attributes)
	for key, value := range want {
		if list, ok := value.([]string); ok {
			if have, _ := got[key].([]string); !slices.Equal(have, list) {
				t.Errorf("%s: %s is %v, want %v", span.Name, key, got[key], value)
			}
		} else if got[key] != value {
			t.Errorf("%s: %s is %v, want %v", span.Name, key, got[key], value)
		}
	}
}

// each returns pointers to the entries of out.
func each(out []Outgoing) (list []*Outgoing) {
	for i := range out {
		list = append(list, &out[i])
	}
	return list
}

var tradeEntry = Entry{Source: "alchemiser.execution", DetailType: "TradeExecuted", Bus: "arn:aws:events:us-east-1:1:event-bus/trading",
	Detail: `{"event_id":"t-1","correlation_id":"workflow-1","causation_id":"plan-9"}`}

func TestPublishingOne(t *testing.T) {
	r := newRecorder(t)
	s := NewStamper(Config{TracerProvider: r.provider})
	d := handledEvent()
	ctx, parent := r.provider.Tracer("test").Start(t.Context(), "parent")
	out := []Outgoing{s.Resolve(ctx, tradeEntry, d)}
	p := s.StartPublishing(ctx, each(out))
	if current := trace.SpanContextFromContext(p.Context()); !current.Equal(out[0].Lineage.Publisher) || !current.Equal(p.Send().SpanContext()) {
		t.Errorf("current %v, publisher %v", current, out[0].Lineage.Publisher)
	}
	out[0].Size, out[0].Result = 1085, Result{EventID: "bus-1"}
	p.End(nil)
	p.End(errors.New("twice"))

	span := r.only(t)
	if span.Name != "send TradeExecuted" || span.SpanKind != trace.SpanKindProducer || span.Status.Code != codes.Unset || !sameSpan(span.Parent, parent.SpanContext()) {
		t.Errorf("%s %v %v under %v", span.Name, span.SpanKind, span.Status, span.Parent)
	}
	wantAttributes(t, span, map[string]any{
		"messaging.system": "aws.eventbridge", "messaging.operation.name": "send", "messaging.operation.type": "send", "messaging.destination.name": "trading",
		"messaging.message.id": "bus-1", "messaging.message.conversation_id": "workflow-1", "messaging.batch.message_count": nil,
		AttrEventID: "t-1", AttrEventType: "TradeExecuted", AttrCorrelationID: "workflow-1", AttrCausationID: "plan-9", AttrParentEventID: "trade-1",
		AttrHops: int64(4), AttrEntrySize: int64(1085), "error.type": nil,
		AttrXRayAnnotations: []string{AttrCorrelationID, AttrEventID, AttrEventType},
	})
	wantLinks(t, span, LinkCausation, linkTo(mustParse(t, sampledContext), "trade-1"))
	wantLinks(t, span, LinkCorrelation, linkTo(mustParse(t, unsampledContext), "workflow-1"))
}

func TestPublishingBatch(t *testing.T) {
	r := newRecorder(t)
	s := NewStamper(Config{TracerProvider: r.provider})
	other := Entry{DetailType: "WorkflowFailed", Bus: "trading", Detail: `{}`}
	entries := []Entry{tradeEntry, other, other}
	out := make([]Outgoing, len(entries))
	for i := range entries {
		out[i] = s.Resolve(t.Context(), entries[i], nil)
	}
	p := s.StartPublishing(t.Context(), each(out))
	out[0].Result, out[1].Result, out[2].Result = Result{EventID: "bus-1"}, Result{ErrorCode: "ThrottlingException"}, Result{ErrorCode: "InternalFailure"}
	p.End(nil)
	spans := r.spans.GetSpans()
	if got := names(spans); !slices.Equal(got, []string{"create TradeExecuted", "create WorkflowFailed", "create WorkflowFailed", "send trading"}) {
		t.Fatalf("spans %v", got)
	}
	send := spans[3]
	wantLinks(t, send, "", linkTo(out[0].Lineage.Publisher, ""), linkTo(out[1].Lineage.Publisher, ""), linkTo(out[2].Lineage.Publisher, ""))
	for i := range out {
		if !sameSpan(spans[i].SpanContext, out[i].Lineage.Publisher) || spans[i].SpanKind != trace.SpanKindProducer {
			t.Errorf("create span %d: %v", i, spans[i].SpanContext)
		}
	}
	if send.SpanKind != trace.SpanKindClient || send.Status.Code != codes.Error || send.Status.Description != "2 of 3 entries failed" {
		t.Errorf("send: %v %v", send.SpanKind, send.Status)
	}
	wantAttributes(t, send, map[string]any{"messaging.batch.message_count": int64(3), "error.type": "_OTHER", "messaging.destination.name": "trading", "messaging.operation.type": "send"})
	wantAttributes(t, spans[0], map[string]any{"error.type": nil, "messaging.message.id": "bus-1", "messaging.operation.type": "create"})
	wantAttributes(t, spans[1], map[string]any{"error.type": "ThrottlingException"})
	if spans[0].Status.Code != codes.Unset || spans[1].Status.Code != codes.Error {
		t.Errorf("statuses %v, %v", spans[0].Status, spans[1].Status)
	}
}

// apiError is an error as AWS's SDK makes them.
type apiError struct{}

func (apiError) Error() string     { return "api error: secret-in-the-text" }
func (apiError) ErrorCode() string { return "AccessDeniedException" }

func TestPublishingError(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind string
	}{
		{"Coded", errors.Join(apiError{}), "AccessDeniedException"},
		{"Plain", errors.New("secret-in-the-text"), "*errors.errorString"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t)
			s := NewStamper(Config{TracerProvider: r.provider})
			entries := []Entry{tradeEntry, {DetailType: "B", Bus: "other", Detail: "{}"}}
			out := []Outgoing{s.Resolve(t.Context(), entries[0], nil), s.Resolve(t.Context(), entries[1], nil)}
			s.StartPublishing(t.Context(), each(out)).End(c.err)
			spans := r.spans.GetSpans()
			if spans[2].Name != "send" {
				t.Errorf("several buses: %s", spans[2].Name)
			}
			for _, span := range spans {
				wantAttributes(t, span, map[string]any{"error.type": c.kind})
				if span.Status.Code != codes.Error || span.Status.Description != "" || len(span.Events) != 0 {
					t.Errorf("%s: %v %v", span.Name, span.Status, span.Events)
				}
			}
		})
	}
}

func TestPublishingWithoutProvider(t *testing.T) {
	s := NewStamper(Config{})
	process := Mint(trace.SpanContext{})
	ctx := trace.ContextWithSpanContext(t.Context(), process)
	for _, n := range []int{1, 3} {
		out := make([]Outgoing, n)
		p := s.StartPublishing(ctx, each(out))
		seen := map[trace.SpanID]bool{}
		for i := range out {
			sc := out[i].Lineage.Publisher
			if !sc.IsValid() || sc.IsSampled() || sc.TraceID() != process.TraceID() || seen[sc.SpanID()] {
				t.Errorf("publisher %v", sc)
			}
			seen[sc.SpanID()] = true
		}
		if p.Send().IsRecording() || p.Context() == nil {
			t.Error("records something")
		}
		out[0].Result.ErrorCode = "x"
		p.End(errors.New("x"))
	}
	noopStamper := NewStamper(Config{TracerProvider: noop.NewTracerProvider()})
	out := make([]Outgoing, 1)
	noopStamper.StartPublishing(t.Context(), each(out)).End(nil)
	if !out[0].Lineage.Publisher.IsValid() {
		t.Error("a provider without contexts leaves the stamp without one")
	}
}

// A publishing span without a parent follows the workflow of the event that is
// being handled, and asks the sampler only about a new one.
func TestPublishingRootFollowsTheWorkflow(t *testing.T) {
	never := newSampledRecorder(t, sdk.NeverSample())
	s := NewStamper(Config{TracerProvider: never.provider})
	send := func(d *Delivery) trace.SpanContext {
		out := []Outgoing{s.Resolve(t.Context(), tradeEntry, d)}
		s.StartPublishing(t.Context(), each(out)).End(nil)
		return out[0].Lineage.Publisher
	}
	if !send(handledEvent()).IsSampled() || send(nil).IsSampled() {
		t.Error("the sampled workflow is not recorded, or the new one is")
	}
	always := Config{TracerProvider: never.provider, Sample: func(trace.TraceID) bool { return true }}
	s = NewStamper(always)
	if !send(nil).IsSampled() {
		t.Error("Config.Sample is not asked")
	}
}
