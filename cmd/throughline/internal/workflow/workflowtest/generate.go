// Package workflowtest generates workflows with a known tree, for tests of readers and
// printers.
package workflowtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Truth is the expected tree of a generated workflow.
type Truth struct {
	CorrelationID string
	Parent        map[string]string // the cause of each event; "" for the first
	Handlings     map[string]int    // the number of handlings of each event
	Gaps          map[string]workflow.Gap
	Calls         int
	Repeats       int
	Errors        int
	Spans         int
	Depth         int // the depth of the deepest event, in events
}

// The events with something missing, by number.
const (
	unseenPublisher  = 7  // its publishing span is lost
	unsampled        = 11 // its link says that the span was not recorded
	unseenHandling   = 13 // published by a handling whose span is lost
	firstOfNoHandler = 17 // and every 29th after it
)

type generator struct {
	random *rand.Rand
	spans  []workflow.Span
	truth  Truth
	start  time.Time
	ids    uint64
}

// Workflow makes a workflow of n events that begins at start. It has fan-out and a long
// chain, several consumers, calls, errors, repeats of each kind, a missing publisher, a
// publisher that was not sampled, a missing handling, and events without a handling. The
// same n gives the same workflow.
func Workflow(n int, start time.Time) ([]workflow.Span, Truth) {
	g := &generator{
		random: rand.New(rand.NewPCG(1, uint64(n))), start: start.Truncate(time.Millisecond).UTC(),
		truth: Truth{CorrelationID: fmt.Sprintf("workflow-%d-events", n), Parent: map[string]string{}, Handlings: map[string]int{}, Gaps: map[string]workflow.Gap{}},
	}
	type made struct {
		id       string
		depth    int
		at       time.Duration
		handlers []workflow.Span // the handlings that can publish
		origin   workflow.ID
	}
	events := make([]made, 0, n)
	var origin workflow.ID
	for i := range n {
		parent := -1
		if i > 0 {
			parent = max(0, i-1-g.random.IntN(min(i, 12))) // a near parent, so that the tree is deep and has fan-out
			if i%40 == 0 {
				parent = 0 // one event with many children
			}
			for len(events[parent].handlers) == 0 {
				parent--
			}
		}
		id := fmt.Sprintf("event-%04d", i)
		e := made{id: id}
		eventType := types[i%len(types)]
		publication := workflow.Span{Kind: "PRODUCER", Name: "send " + eventType, Service: "strategy", Attributes: g.attributes(id, eventType, 0)}
		publication.Attributes["messaging.operation.type"] = "send"
		publication.Attributes[lineage.AttrEntrySize] = int64(300 + g.random.IntN(2000)*g.random.IntN(100))
		if parent >= 0 {
			p := events[parent]
			handler := p.handlers[g.random.IntN(len(p.handlers))]
			e.depth, e.at = p.depth+1, handler.Start.Sub(g.start)+time.Duration(1+g.random.IntN(20))*time.Millisecond
			publication.ID.Trace, publication.Parent, publication.Service = handler.ID.Trace, handler.ID.Span, handler.Service
			publication.Attributes[lineage.AttrHops] = int64(e.depth)
			publication.Attributes[lineage.AttrCausationID] = p.id
			publication.Links = []workflow.Link{link("causation", p.origin, p.id), link("correlation", origin, g.truth.CorrelationID)}
			g.truth.Parent[id] = p.id
		} else {
			publication.ID.Trace = g.trace()
			g.truth.Parent[id] = ""
		}
		publication.ID.Span = g.span()
		if i == 0 {
			origin = publication.ID
		}
		e.origin = publication.ID
		publication.Start = g.start.Add(e.at)
		publication.End = publication.Start.Add(time.Duration(1+g.random.IntN(9)) * time.Millisecond)
		g.truth.Depth = max(g.truth.Depth, e.depth)
		sampled := i != unsampled
		switch i {
		case unseenPublisher:
			g.truth.Gaps[id] = workflow.PublisherNotSeen
		case unsampled:
			g.truth.Gaps[id] = workflow.PublisherNotSampled
		case unseenHandling:
			publication.Parent, publication.ID.Trace = "00000000000000ff", g.trace()
			e.origin = publication.ID
			g.add(publication)
		default:
			g.add(publication)
		}
		if i >= firstOfNoHandler && i%29 == firstOfNoHandler {
			g.truth.Gaps[id] = workflow.NotHandled
		} else {
			e.handlers = g.handle(id, eventType, e.depth, publication, origin, sampled, g.truth.Parent[id])
		}
		events = append(events, e)
	}
	g.random.Shuffle(len(g.spans), func(i, j int) { g.spans[i], g.spans[j] = g.spans[j], g.spans[i] })
	g.truth.Spans = len(g.spans)
	return g.spans, g.truth
}

var (
	types     = []string{"SignalGenerated", "RebalancePlanned", "TradeExecuted", "AllTradesCompleted", "HedgeEvaluationCompleted", "ScheduleCreated"}
	functions = []string{"portfolio", "execution", "aggregator", "notifications", "hedge", "reports", "risk", "ledger", "archive", "compliance"}
	kinds     = []string{"retry", "redelivery", "republish", "replay"}
)

func (g *generator) attributes(id, eventType string, hops int) map[string]any {
	return map[string]any{
		lineage.AttrCorrelationID: g.truth.CorrelationID, lineage.AttrEventID: id, lineage.AttrEventType: eventType, lineage.AttrHops: int64(hops),
		lineage.AttrXRayAnnotations: []any{lineage.AttrCorrelationID, lineage.AttrEventID, lineage.AttrEventType},
	}
}

// handle adds the handlings of one event, and returns those that succeeded.
func (g *generator) handle(id, eventType string, hops int, publication workflow.Span, origin workflow.ID, sampled bool, parent string) []workflow.Span {
	var done []workflow.Span
	first := g.random.IntN(len(functions))
	for k := range 1 + g.random.IntN(3) {
		lag := time.Duration(5+g.random.IntN(400)) * time.Millisecond
		h := workflow.Span{
			ID: workflow.ID{Trace: g.trace(), Span: g.span()}, Kind: "CONSUMER", Name: "process " + eventType, Service: functions[(first+k)%len(functions)],
			Start: publication.End.Add(lag), Attributes: g.attributes(id, eventType, hops),
		}
		h.Links = []workflow.Link{link("causation", publication.ID, id), link("correlation", origin, g.truth.CorrelationID)}
		h.Links[0].Sampled = sampled
		h.End = h.Start.Add(time.Duration(25+g.random.IntN(300)*g.random.IntN(20)) * time.Millisecond)
		h.Attributes["messaging.operation.type"] = "process"
		h.Attributes[lineage.AttrLag] = lag.Milliseconds()
		h.Attributes[lineage.AttrInvocationID] = fmt.Sprintf("request-%s-%d", id, k)
		h.Attributes["faas.coldstart"] = g.random.IntN(15) == 0
		if parent != "" {
			h.Attributes[lineage.AttrCausationID] = parent
		}
		g.call(h)
		if g.random.IntN(12) == 0 {
			h = g.repeat(h)
		}
		g.add(h)
		g.truth.Handlings[id]++
		done = append(done, h)
	}
	return done
}

// repeat adds a first handling and returns the second, which repeats it.
func (g *generator) repeat(first workflow.Span) workflow.Span {
	kind := kinds[g.truth.Repeats%len(kinds)]
	again := first
	again.ID = workflow.ID{Trace: g.trace(), Span: g.span()}
	again.Start, again.End = first.End.Add(time.Second), first.End.Add(time.Second+40*time.Millisecond)
	again.Attributes = map[string]any{}
	maps.Copy(again.Attributes, first.Attributes)
	again.Attributes[lineage.AttrRepeatKind], again.Attributes[lineage.AttrRepeatCount] = kind, int64(1)
	again.Attributes[lineage.AttrRepeatFirstRequest] = first.Text(lineage.AttrInvocationID)
	again.Links = append([]workflow.Link{}, first.Links...)
	again.Links = append(again.Links, link("repeat", first.ID, first.Text(lineage.AttrEventID)))
	if kind == "retry" {
		first.Error, first.Message = true, "order AAPL: 500 Internal Server Error"
		g.truth.Errors++
	}
	g.add(first)
	g.truth.Handlings[first.Text(lineage.AttrEventID)]++
	g.truth.Repeats++
	return again
}

// call adds an outbound call below some handlings.
func (g *generator) call(h workflow.Span) {
	if g.random.IntN(3) > 0 {
		return
	}
	g.truth.Calls++
	status := int64(200)
	if g.random.IntN(20) == 0 {
		status = 429
		g.truth.Errors++
	}
	g.add(workflow.Span{
		ID: workflow.ID{Trace: h.ID.Trace, Span: g.span()}, Parent: h.ID.Span, Kind: "CLIENT", Name: "POST /v2/orders", Service: h.Service, Error: status >= 400,
		Start: h.Start.Add(3 * time.Millisecond), End: h.Start.Add(18 * time.Millisecond),
		Attributes: map[string]any{
			"http.request.method": "POST", "url.template": "/v2/orders", "server.address": "paper-api.alpaca.markets", "http.response.status_code": status,
			"http.response.header.x-request-id": []any{fmt.Sprintf("%016x", g.ids)},
		},
	})
}

func link(why string, to workflow.ID, id string) workflow.Link {
	key := lineage.AttrEventID
	if why == "correlation" {
		key = lineage.AttrCorrelationID
	}
	return workflow.Link{To: to, Why: why, Sampled: true, Attributes: map[string]any{lineage.AttrLink: why, key: id}}
}

func (g *generator) add(s workflow.Span) { g.spans = append(g.spans, s) }

func (g *generator) trace() string {
	g.ids++
	return fmt.Sprintf("%016x%016x", g.random.Uint64(), g.ids)
}

func (g *generator) span() string {
	g.ids++
	return fmt.Sprintf("%08x%08x", g.random.Uint32(), g.ids)
}

// Check compares a workflow with the truth and returns the differences, at most twenty
// lines. A backend without the flags of links cannot distinguish a publisher that was not
// sampled from a missing one.
func (t *Truth) Check(w *workflow.Workflow, keepsFlags bool) []string {
	var wrong []string
	say := func(format string, args ...any) {
		if len(wrong) < 20 {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	handlings, seen := map[string]int{}, map[string]bool{}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		if n.Kind == workflow.KindHandling && n.Span != nil {
			handlings[n.EventID]++
		}
		if n.Kind != workflow.KindEvent {
			continue
		}
		if seen[n.EventID] {
			say("%s occurs twice", n.EventID)
		}
		seen[n.EventID] = true
		above := ""
		if n.Parent >= 0 {
			above = w.Nodes[n.Parent].EventID
		}
		if want, known := t.Parent[n.EventID]; !known || above != want {
			say("%s is below %q, but %q caused it", n.EventID, above, want)
		}
		want := t.Gaps[n.EventID]
		if want == workflow.PublisherNotSampled && !keepsFlags {
			want = workflow.PublisherNotSeen
		}
		if n.Gap != want {
			say("%s: gap %q, want %q", n.EventID, n.Gap, want)
		}
	}
	for id := range t.Parent {
		if !seen[id] {
			say("%s is not in the tree", id)
		}
		if handlings[id] != t.Handlings[id] {
			say("%s: handled %d times, was %d", id, handlings[id], t.Handlings[id])
		}
	}
	if c := w.Counts; c.Events != len(t.Parent) || c.Calls != t.Calls || c.Repeats != t.Repeats || c.Errors != t.Errors || c.Spans != t.Spans {
		say("counts %+v; were %d events, %d calls, %d repeats, %d errors, %d spans", c, len(t.Parent), t.Calls, t.Repeats, t.Errors, t.Spans)
	}
	return wrong
}
