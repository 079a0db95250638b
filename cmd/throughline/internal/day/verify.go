package main

import (
	"fmt"
	"math"
)

// expected returns how an edge of a mechanism is recognized. Where there are two ways,
// THROUGHLINE_HOPS decides.
func expected(e edge, hops string) string {
	switch e.Via {
	case "bus":
		if e.Unstamped {
			return "joined"
		}
		return "linked"
	case "scheduler":
		return "inferred"
	case "sqs", "sns":
		if hops == "carry" && e.Kind != "function" { // Lambda replaces the parent in the header of a notification
			return "linked"
		}
	}
	return "joined"
}

// verify compares what was reported with what happened and returns the differences.
func verify(d day, seen measured, hops string) []string {
	var differences []string
	differ := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	name := func(id string) string { return fmt.Sprintf("%s %.8s", d.function(id), id) }
	for _, o := range d.orphans {
		differ("error of this program: the sender of a delivery to %s is not known: %s %s", name(o.To), o.Via, o.ID)
	}
	if want := d.plan.hops(); want > 0 && len(d.edges) != want {
		differ("error of this program: %d hops, the plan has %d", len(d.edges), want)
	}
	if d.unstamped > d.skipped {
		differ("%d events were published without a stamp, and StampSkipped counts %d", d.unstamped, d.skipped)
	}
	type ends struct{ via, from, to string }
	got := map[ends]string{}
	for _, e := range seen.edges {
		if how, twice := got[ends{e.via, e.from, e.to}]; twice {
			differ("%s from %s to %s is both %s and %s", e.via, name(e.from), name(e.to), how, e.how)
		}
		got[ends{e.via, e.from, e.to}] = e.how
	}
	truth := map[ends]bool{}
	for _, e := range d.edges {
		key := ends{e.Via, e.From, e.To}
		truth[key] = true
		how, found := got[key]
		switch {
		case !found && e.Lost == "":
			differ("not reported: %s %s from %s to %s", e.Via, e.Kind, name(e.From), name(e.To))
		case found && how != expected(e, hops):
			differ("%s %s from %s to %s is %s, not %s", e.Via, e.Kind, name(e.From), name(e.To), how, expected(e, hops))
		}
	}
	for _, e := range seen.edges {
		if !truth[ends{e.via, e.from, e.to}] {
			differ("never happened: %s from %s to %s (%s)", e.via, name(e.from), name(e.to), e.how)
		}
	}
	for _, i := range d.invocations {
		if n := seen.spans[i.RequestID]; n != i.Attempts {
			differ("%s: %d attempts, and %d spans", name(i.RequestID), i.Attempts, n)
		}
	}
	return differences
}

// hops returns the number of hops in the plan, or 0 if faults change it.
func (p plan) hops() int {
	trades, trading := 0, 0
	if len(p.Strategies) == 0 {
		return 0
	}
	for _, s := range p.Strategies {
		if s.Dies || s.Stale {
			return 0
		}
		if trades += len(s.Trades); len(s.Trades) > 0 {
			trading++
		}
	}
	// schedule, its event, workers, queue, events of trades, of strategies to two, of the day, of the data
	return 2 + len(p.Strategies) + 2*trades + 2*trading + 2
}

// percent returns a percentage, rounded to a tenth.
func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return math.Round(1000*float64(n)/float64(of)) / 10
}
