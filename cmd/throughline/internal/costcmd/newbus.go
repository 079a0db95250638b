package costcmd

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/sizemeter"
)

// stampBytes is what a stamp has whose IDs are a word and a UUID (docs/wire.md).
const stampBytes = 259

// groupQuota is how many events and KB together an event group takes in a second (EventBridge
// user guide, "Quotas" of custom event buses).
const groupQuota = 1500

// kilobytes is what a new custom bus bills of an event, and how much of it a stamp adds.
func kilobytes(size int) (all, stamp float64) {
	n := sizemeter.Kilobytes(size)
	return float64(n), float64(n - sizemeter.Kilobytes(max(0, size-stampBytes)))
}

// newBusCost is a month of the events on new custom buses, all of them as if they went there.
type newBusCost struct {
	PricesAsOf string        `json:"prices_as_of"`
	Source     string        `json:"prices_source"`
	Deliveries float64       `json:"deliveries_of_each_event"`
	Types      []newTypeCost `json:"types"`
	Total      newTypeCost   `json:"total"`
	// Stamp and StampShare are how much of it the stamp causes, at most: sizes are taken to hold one.
	Stamp      float64 `json:"stamp"`
	StampShare float64 `json:"stamp_share"`
}

// newTypeCost is a month of one event type.
type newTypeCost struct {
	EventType string  `json:"event_type"`
	Events    float64 `json:"events"`
	Kilobytes float64 `json:"billed_kilobytes"` // on ingestion
	StampKB   float64 `json:"stamp_kilobytes"`
	In        float64 `json:"in"`
	Out       float64 `json:"out"`
	Kept      float64 `json:"kept"`
	// PerGroup is how many events a second one event group takes.
	PerGroup float64 `json:"events_per_second_in_a_group"`
}

func (c newTypeCost) monthly() float64 { return c.In + c.Out + c.Kept }

// projectNewBus is a month of u on new custom buses that keep events for retention days,
// where each event is delivered so many times.
func projectNewBus(u usage, p newBusPrices, retention int, deliveries float64) *newBusCost {
	out := &newBusCost{PricesAsOf: p.AsOf, Source: p.Source, Deliveries: deliveries, Total: newTypeCost{EventType: "all"}}
	scale := float64(month) / float64(u.over)
	months := max(0, float64(retention-1)) * float64(day) / float64(month) // a day is free
	kb := float64(1<<10) / gb
	for _, t := range u.types {
		c := newTypeCost{EventType: t.eventType, Events: t.events * scale, Kilobytes: t.kilobytes * scale, StampKB: t.stamp * scale}
		c.In, c.Out, c.Kept = c.Kilobytes*kb*p.InPerGB, c.Kilobytes*kb*p.OutPerGB*deliveries, c.Kilobytes*kb*p.KeptPerGBMonth*months
		if c.Events > 0 {
			c.PerGroup = groupQuota / (1 + c.Kilobytes/c.Events)
		}
		out.Types = append(out.Types, c)
		total := &out.Total
		total.Events, total.Kilobytes, total.StampKB, total.In, total.Out, total.Kept = total.Events+c.Events, total.Kilobytes+c.Kilobytes, total.StampKB+c.StampKB, total.In+c.In, total.Out+c.Out, total.Kept+c.Kept
	}
	if out.Total.Events > 0 {
		out.Total.PerGroup = groupQuota / (1 + out.Total.Kilobytes/out.Total.Events)
	}
	if out.Total.Kilobytes > 0 {
		out.StampShare = out.Total.StampKB / out.Total.Kilobytes
		out.Stamp = out.StampShare * out.Total.monthly()
	}
	slices.SortFunc(out.Types, func(a, b newTypeCost) int {
		return cmp.Or(cmp.Compare(b.monthly(), a.monthly()), cmp.Compare(a.EventType, b.EventType))
	})
	return out
}

// write prints it. retention is in days.
func (c *newBusCost) write(out io.Writer, retention int, estimated bool) error {
	fmt.Fprintf(out, "\nthe same events on new custom buses, each delivered %g times; prices of %s, which are not certain: %s\n\n", c.Deliveries, c.PricesAsOf, terminal.Line(c.Source))
	table := [][]string{{"EVENTS", "KB", "IN", "OUT", fmt.Sprintf("KEPT %d d", retention), "A GROUP", "TYPE"}}
	for _, t := range append(c.Types[:len(c.Types):len(c.Types)], c.Total) {
		table = append(table, []string{fmt.Sprintf("%.0f", t.Events), fmt.Sprintf("%.0f", t.Kilobytes), money(t.In), money(t.Out), money(t.Kept), fmt.Sprintf("%.0f/s", t.PerGroup), terminal.Line(t.EventType)})
	}
	if err := terminal.Table(out, len(table[0])-1, table); err != nil {
		return err
	}
	if estimated {
		fmt.Fprintln(out, "\nKB are estimated from hourly averages")
	}
	_, err := fmt.Fprintf(out, "\nin all %s a month, of which a stamp of %d bytes causes %s (%.0f %% of the KB)\nan event group takes %d a second, counted as events and KB together; what JSONata, schemas and CONTENT_BASED add is not known\n",
		money(c.Total.monthly()), stampBytes, money(c.Stamp), 100*c.StampShare, groupQuota)
	return err
}

// average is kilobytes of events of which an average size alone is known: the remainder of
// each by the KB is taken to be anything.
func average(events, bytes float64) (all, stamp float64) {
	const half = 0.5
	return max(events, events*half+bytes/(1<<10)), events * stampBytes / (1 << 10)
}
