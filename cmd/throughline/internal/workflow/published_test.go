package workflow

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// onBus are the attributes of a handling of one event that came over a bus without a stamp:
// its workflow begins with the event's own ID.
func onBus(id string) attrs {
	return attrs{"messaging.system": "aws.eventbridge", "messaging.message.id": id, "throughline.event.id": id, "throughline.event.type": "OrderPaid"}
}

// published is a publication without a stamp that was answered an ID.
func published(parent, name, answered string, more attrs) Span {
	s := Span{
		ID: ID{parent, name}, Parent: parent + "1", Name: "send OrderPaid", Kind: "PRODUCER", Service: "pay", Start: t0.Add(5 * time.Millisecond), End: t0.Add(9 * time.Millisecond),
		Attributes: attrs{"throughline.event.type": "OrderPaid", "messaging.system": "aws.eventbridge", "messaging.message.id": answered, "throughline.correlation.id": correlation},
	}
	for k, v := range more {
		s.Attributes[k] = v
	}
	return s
}

// TestEventWithoutAStamp: of an event that carries none, as where the bus is to deduplicate by
// content, both sides know the ID that the bus gave it.
func TestEventWithoutAStamp(t *testing.T) {
	first := invocation("a", "pay", correlation, 0, attrs{"throughline.event.id": "order-1"})
	spans := []Span{
		first, published("a", "p", "bus-1", nil), published("a", "again", "bus-1", attrs{"throughline.deduplicated": true}),
		invocation("b", "ship", "bus-1", time.Second, onBus("bus-1")), invocation("c", "count", "bus-1", 2*time.Second, onBus("bus-1")),
		invocation("d", "other", "bus-2", time.Second, onBus("bus-2")),
		sentBy("b", "q", ViaSQS, attrs{"messaging.message.id": "m-1", "throughline.correlation.id": "bus-1"}),
	}
	want := []string{"a→b bus joined ID that the bus gave the event", "a→c bus joined ID that the bus gave the event"}
	if got := edges(spans); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, from := range []string{correlation, "bus-1"} {
		w := Build(spans, from)
		var text strings.Builder
		if err := WriteText(&text, w); err != nil {
			t.Fatal(err)
		}
		roots := 0
		for _, n := range w.Nodes {
			if n.Parent < 0 {
				roots++
			}
		}
		if roots != 1 || w.Counts.Handlings != 3 || w.Counts.Hops != 1 || strings.Contains(text.String(), "other") || strings.Contains(text.String(), "not traced: the event carried no stamp)\n│  └─ ⇢ ship") {
			t.Errorf("from %s: %d roots, %+v\n%s", from, roots, w.Counts, &text)
		}
	}
	// What two may have published is joined to neither.
	if got := edges(append(slices.Clone(spans), published("a", "p2", "bus-1", nil))); len(got) != 0 {
		t.Errorf("%q", got)
	}
	// An ID of a queue's message is none of a bus's.
	h := invocation("e", "work", "bus-1", time.Second, attrs{"messaging.system": "aws_sqs", "messaging.message.id": "bus-1"})
	if got := edges([]Span{first, published("a", "p", "bus-1", nil), h}); len(got) != 0 {
		t.Errorf("%q", got)
	}
	// A stamp's link says it by itself.
	linked := invocation("f", "ship", correlation, time.Second, onBus("bus-1"), Link{To: ID{"a", "p"}, Why: "causation", Sampled: true})
	if got := edges([]Span{first, published("a", "p", "bus-1", nil), linked}); !slices.Equal(got, []string{"a→f bus linked"}) {
		t.Errorf("%q", got)
	}
}

// TestOpenEndsOfEventsWithoutAStamp: the other side is asked for by the ID.
func TestOpenEndsOfEventsWithoutAStamp(t *testing.T) {
	first := invocation("a", "pay", correlation, 0, attrs{"throughline.event.id": "order-1"})
	asked := func(spans []Span, correlation string) bool {
		ends, _ := OpenEnds(spans, correlation)
		return slices.ContainsFunc(ends, func(e OpenEnd) bool { return e.ID == "bus-1" && slices.Contains(e.Attributes, "messaging.message.id") })
	}
	p, h := published("a", "p", "bus-1", nil), invocation("b", "ship", "bus-1", time.Second, onBus("bus-1"))
	linked := invocation("f", "ship", correlation, time.Second, onBus("bus-1"), Link{To: ID{"a", "p"}, Why: "causation", Sampled: true})
	if !asked([]Span{first, p}, correlation) || !asked([]Span{h}, "bus-1") {
		t.Error("the other side is not asked for")
	}
	if asked([]Span{first, p, h}, correlation) || asked([]Span{first, p, linked}, correlation) {
		t.Error("what is there is asked for")
	}
	if _, joined := OpenEnds([]Span{first, p, h}, correlation); !slices.Contains(joined, "bus-1") {
		t.Errorf("%v", joined)
	}
}
