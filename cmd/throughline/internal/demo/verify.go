package demo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/metrics"
)

// parents is the type of event that is being handled when each type is published. It
// follows from the functions' code, not from Throughline's output.
var parents = map[string]string{
	"RebalancePlanned":         "signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450",
	"TradeExecuted":            "rebalance-b2061ecc-65d4-44fd-a9e7-8b06a72ed508",
	"AllTradesCompleted":       heldBack,
	"HedgeEvaluationCompleted": "all-trades-completed-112d4095-eced-4ded-abfa-1f10856aab1d",
}

// verify compares what was reported with what happened and returns the differences.
func verify(t truth, r reported, details map[string]string) []string {
	v := &verifier{truth: t, reported: r, spans: map[workflow.ID]*workflow.Span{}}
	for i := range r.spans {
		v.spans[r.spans[i].ID] = &r.spans[i]
	}
	v.details(details)
	v.published()
	v.handlings()
	v.origins()
	v.attributes()
	v.counts()
	v.sizes()
	v.functions()
	v.repeats()
	v.orders()
	v.linksLead()
	return v.differences
}

// linksLead checks that each link refers to a span that was reported.
func (v *verifier) linksLead() {
	for i := range v.reported.spans {
		s := &v.reported.spans[i]
		for _, l := range s.Links {
			if v.spans[l.To] == nil {
				v.differ("%s at %s: its link %s refers to the span %s, which was not reported", s.Name, s.Service, l.Why, l.To.Span)
			}
		}
	}
}

type verifier struct {
	truth       truth
	reported    reported
	spans       map[workflow.ID]*workflow.Span
	differences []string
}

func (v *verifier) differ(format string, args ...any) {
	v.differences = append(v.differences, fmt.Sprintf(format, args...))
}

// publisher returns the span context in the event's stamp.
func publisher(e *buslocal.Event) workflow.ID { return contextOf(e.Line("traceparent")) }

func contextOf(traceparent string) workflow.ID {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return workflow.ID{}
	}
	return workflow.ID{Trace: parts[1], Span: parts[2]}
}

func links(s *workflow.Span, why string) []workflow.ID {
	var ids []workflow.ID
	for _, l := range s.Links {
		if l.Why == why {
			ids = append(ids, l.To)
		}
	}
	return ids
}

// first returns the first published event with the ID.
func (v *verifier) first(id string) *buslocal.Event {
	for _, e := range v.truth.ledger.Published {
		if eventID(e) == id {
			return e
		}
	}
	return nil
}

// published checks the span, the stamp and the cause of each published event.
func (v *verifier) published() {
	for _, e := range v.truth.ledger.Published {
		id := eventID(e)
		s := v.spans[publisher(e)]
		if s == nil || s.Kind != "PRODUCER" {
			v.differ("%s %s: its publishing span %s was not reported", e.DetailType, id, publisher(e).Span)
			continue
		}
		if got := s.Text("throughline.event.id"); got != "" && got != id {
			v.differ("%s %s: its span names the event %s", e.DetailType, id, got)
		}
		if size, _ := s.Number("throughline.entry.size"); int(size) != e.Size {
			v.differ("%s %s: its span says %.0f bytes, the bus measured %d", e.DetailType, id, size, e.Size)
		}
		parent := v.first(parents[e.DetailType])
		if parent == nil {
			if hops := e.Line("hops"); hops != "0" {
				v.differ("%s %s: a first event with %s hops", e.DetailType, id, hops)
			}
			continue
		}
		if !slices.Contains(links(s, "causation"), publisher(parent)) {
			v.differ("%s %s: its span has no causation link to the span that published %s", e.DetailType, id, eventID(parent))
		}
		if named := cmp.Or(e.Line("parent"), e.Line("causation")); named != eventID(parent) {
			v.differ("%s %s: its stamp names the parent %s, not %s", e.DetailType, id, named, eventID(parent))
		}
		if got, want := e.Line("hops"), nextHop(parent.Line("hops")); got != want {
			v.differ("%s %s: %s hops, want %s", e.DetailType, id, got, want)
		}
	}
}

func nextHop(hops string) string {
	var n int
	if _, err := fmt.Sscan(hops, &n); err != nil {
		return "unknown"
	}
	return fmt.Sprint(n + 1)
}

// handlings checks that each event that a function received has a process span with a
// link to the span that published it. A function that timed out could not export one.
func (v *verifier) handlings() {
	type key struct {
		function string
		cause    workflow.ID
	}
	want, got := map[key]int{}, map[key]int{}
	names := map[key]string{}
	for _, h := range v.truth.handled {
		if h.function == "reports" {
			continue
		}
		k := key{h.function, publisher(h.event)}
		want[k]++
		names[k] = h.event.DetailType + " " + eventID(h.event)
	}
	for i := range v.reported.spans {
		s := &v.reported.spans[i]
		if s.Kind != "CONSUMER" {
			continue
		}
		for _, cause := range links(s, "causation") {
			got[key{s.Service, cause}]++
		}
	}
	for k, n := range want {
		if got[k] != n {
			v.differ("%s: %d process spans at %s link to its publisher, and it was handled %d times", names[k], got[k], k.function, n)
		}
	}
	for k, n := range got {
		if want[k] == 0 {
			v.differ("%d process spans at %s link to %s, which published nothing that was handled there", n, k.function, k.cause.Span)
		}
	}
}

// origins checks that every span of a workflow is its origin or links to it.
func (v *verifier) origins() {
	several := map[string][]workflow.ID{} // first spans, by correlation ID
	for _, e := range v.truth.ledger.Published {
		if e.Line("origin") == "" {
			several[e.Line("correlation")] = append(several[e.Line("correlation")], publisher(e))
		}
	}
	for i := range v.reported.spans {
		s := &v.reported.spans[i]
		correlation := s.Text("throughline.correlation.id")
		if s.Kind != "PRODUCER" && s.Kind != "CONSUMER" || len(several[correlation]) == 0 {
			continue
		}
		if s.Kind == "CONSUMER" && len(links(s, "causation")) == 0 {
			continue // a schedule started it, before the origin
		}
		starts := several[correlation] // a schedule can start a workflow with several events
		linked := slices.Contains(starts, s.ID)
		for _, id := range append(links(s, "correlation"), links(s, "causation")...) {
			linked = linked || slices.Contains(starts, id)
		}
		if !linked {
			v.differ("%s at %s: it neither links to an origin of %s nor is one", s.Name, s.Service, correlation)
		}
	}
}

func (v *verifier) total(metric metrics.Name, by ...string) map[string]float64 {
	totals := map[string]float64{}
	for key, values := range observations(v.reported.docs, string(metric), by...) {
		totals[key] = sum(values)
	}
	return totals
}

func (v *verifier) count(what string, got float64, want int) {
	if got != float64(want) {
		v.differ("%s: reported %.0f, happened %d", what, got, want)
	}
}

func (v *verifier) counts() {
	begun := map[string]bool{} // workflows with a published event
	for _, e := range v.truth.ledger.Published {
		begun[e.Line("correlation")] = begun[e.Line("correlation")] || e.Line("hops") == "0"
	}
	lost, oversized := 0, 0
	for _, e := range v.truth.ledger.Published {
		if !begun[e.Line("correlation")] {
			lost++
		}
		if e.Size >= 200_000 {
			oversized++
		}
	}
	all := func(m metrics.Name) float64 { return v.total(m)[""] }
	v.count("events published", all(metrics.EventsPublished), len(v.truth.ledger.Published))
	v.count("events failed", all(metrics.EventsFailed), v.truth.ledger.Refused)
	v.count("events published whose workflow was lost", all(metrics.UncorrelatedPublished), lost)
	v.count("events close to the limit", all(metrics.OversizedEvents), oversized)
	if least, most := v.truth.outOfOrder(); all(metrics.OutOfOrderEvents) < float64(least) || all(metrics.OutOfOrderEvents) > float64(most) {
		v.differ("events out of order: reported %.0f, happened %d to %d", all(metrics.OutOfOrderEvents), least, most)
	}
	v.count("loops", all(metrics.LoopSuspected), 0)
	v.count("telemetry dropped", all(metrics.TelemetryDropped), 0)
}

// sizes compares the distribution of sizes by event type, value by value.
func (v *verifier) sizes() {
	want := map[string][]float64{}
	for _, e := range v.truth.ledger.Published {
		want[e.DetailType] = append(want[e.DetailType], float64(e.Size))
	}
	got := observations(v.reported.docs, string(metrics.PayloadSize), "EventType")
	for _, t := range slices.Sorted(maps.Keys(want)) {
		slices.Sort(want[t])
		slices.Sort(got[t])
		if !slices.Equal(got[t], want[t]) {
			v.differ("sizes of %s: reported %v, the bus measured %v", t, got[t], want[t])
		}
	}
}

// functions compares cold starts, durations and time-outs by function.
func (v *verifier) functions() {
	cold, timeouts := v.total(metrics.ColdStart, "Service"), v.total(metrics.Timeouts, "Service")
	durations := observations(v.reported.docs, string(metrics.Duration), "Service")
	for _, name := range slices.Sorted(maps.Keys(v.truth.invocations)) {
		colds, outs := 0, 0
		for _, i := range v.truth.invocations[name] {
			if i.ColdStart {
				colds++
			}
			if i.Status == lambdalocal.Timeout {
				outs++
			}
		}
		v.count("cold starts of "+name, cold[name], colds)
		v.count("time-outs of "+name, timeouts[name], outs)
		v.count("invocations of "+name, float64(len(durations[name])), len(v.truth.invocations[name]))
	}
}

// repeats compares the reported repeats with those of the bus.
func (v *verifier) repeats() {
	var want, got []string
	seen := map[string]*buslocal.Event{}
	for _, h := range v.truth.handled {
		if h.function == "reports" {
			continue
		}
		key := h.function + " " + eventID(h.event)
		before := seen[key]
		kind := ""
		switch {
		case h.receives > 1:
			kind = "retry"
		case before != nil && h.event.Replay != "":
			kind = "replay"
		case before != nil && before.ID == h.event.ID:
			kind = "redelivery"
		case before != nil:
			kind = "republish"
		}
		if before == nil {
			seen[key] = h.event
		}
		if kind != "" {
			want = append(want, h.function+" "+kind+" "+eventID(h.event))
		}
	}
	for _, line := range v.reported.repeats() {
		got = append(got, line.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		v.differ("repeats: reported %q, happened %q", got, want)
	}
	var flagged []string
	duplicates := 0
	for i := range v.reported.spans {
		s := &v.reported.spans[i]
		if kind := s.Text("throughline.repeat.kind"); kind != "" {
			flagged = append(flagged, s.Service+" "+kind+" "+s.Text("throughline.event.id"))
		}
	}
	slices.Sort(flagged)
	if !slices.Equal(flagged, want) {
		v.differ("repeats flagged on spans: %q, happened %q", flagged, want)
	}
	for _, w := range want {
		if !strings.Contains(w, " retry ") {
			duplicates++
		}
	}
	v.count("duplicates counted", v.total(metrics.DuplicateEvents)[""], duplicates)
}

// orders checks that each order had the context of its own span.
func (v *verifier) orders() {
	calls := 0
	for i := range v.reported.spans {
		if v.reported.spans[i].Text("http.request.method") == "POST" {
			calls++
		}
	}
	v.count("spans of orders", float64(calls), len(v.truth.orders))
	for n, o := range v.truth.orders {
		s := v.spans[contextOf(o.Traceparent)]
		switch {
		case s == nil:
			v.differ("order %d: its span was not reported", n)
		case headerOf(s) != o.RequestID || s.Text("http.response.status_code") != fmt.Sprint(o.Status):
			v.differ("order %d: its span says %s %s, the response was %d %s", n, s.Text("http.response.status_code"), headerOf(s), o.Status, o.RequestID)
		case o.CorrelationID != v.truth.ledger.Published[1].Line("correlation"):
			v.differ("order %d had the correlation ID %q", n, o.CorrelationID)
		}
	}
}

func headerOf(s *workflow.Span) string {
	if list, ok := s.Attributes["http.response.header.x-request-id"].([]any); ok && len(list) > 0 {
		text, _ := list[0].(string)
		return text
	}
	return s.Text("http.response.header.x-request-id")
}

// details compares each delivered detail with the published one, byte for byte, and each
// envelope with both.
func (v *verifier) details(published map[string]string) {
	for _, h := range v.truth.handled {
		id := eventID(h.event)
		want, known := published[id]
		if !known { // an event without an ID
			want = published[h.event.DetailType]
		}
		if h.event.Detail != want || !strings.HasSuffix(string(h.event.Envelope), `"detail":`+want+`}`) {
			v.differ("%s %s: its detail differs from the published one", h.event.DetailType, id)
		}
	}
}
