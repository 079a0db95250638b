package stands

import (
	"slices"
	"testing"

	"github.com/throughline/throughline/extension"
)

// NewBusCount is a test case: the events that a function puts on a new custom bus,
// the failures, and the expected counts of the extension.
type NewBusCount struct {
	Name    string
	Begin   func(Orders)
	Adapt   func(*extension.Config)
	Entries int // of each call
	Twice   bool
	Content bool // the bus deduplicates by content
	Stamped int
	Counted map[string]float64
}

// NewBusCounts are the cases: PutEvents two times if Twice is set, else PutEvents and PutRawEvents.
var NewBusCounts = []NewBusCount{
	{Name: "both operations", Entries: 1, Stamped: 2, Counted: map[string]float64{"EventsPublished": 2}},
	{Name: "a hundred entries", Entries: 100, Stamped: 200, Counted: map[string]float64{"EventsPublished": 200}},
	{Name: "throttled", Entries: 1, Begin: func(o Orders) { o.Throttle(2) }, Stamped: 2, Counted: map[string]float64{"EventsPublished": 2}},
	{Name: "throttled for good", Entries: 1, Begin: func(o Orders) { o.Throttle(99) }, Counted: map[string]float64{"EventsFailed": 2, "EventsFailed_ThrottlingException": 2}},
	// A retry after a lost response puts a second event on the bus.
	{Name: "an answer that is lost", Entries: 1, Begin: func(o Orders) { o.Cut(1) }, Stamped: 3, Counted: map[string]float64{"EventsPublished": 2}},
	{Name: "entries that fail", Entries: 2, Begin: func(o Orders) { o.FailEntries("InternalFailure", 1) }, Stamped: 3, Counted: map[string]float64{"EventsPublished": 3, "EventsFailed": 1, "EventsFailed_InternalFailure": 1}},
	{Name: "by content", Entries: 1, Twice: true, Content: true, Counted: map[string]float64{"EventsPublished": 1, "EventsDeduplicated": 1, "StampSkipped": 2, "StampSkipped_content-based": 2}},
	{Name: "by content, stamped", Entries: 1, Twice: true, Content: true, Adapt: func(c *extension.Config) { c.Tracing.StampContentBased = true }, Stamped: 1, Counted: map[string]float64{"EventsPublished": 1, "EventsDeduplicated": 1}},
}

// Check compares the events that the bus accepted from a function with the layer and
// from one without it, and compares the counts.
func (c *NewBusCount) Check(t *testing.T, with, without Orders, counted map[string]float64) {
	t.Helper()
	got, stamped := with.Taken()
	want, none := without.Taken()
	if !slices.Equal(got, want) || none != 0 {
		t.Errorf("the bus took %q\nwithout the layer %q", got, want)
	}
	if stamped != c.Stamped {
		t.Errorf("%d of %d events are stamped, want %d", stamped, len(got), c.Stamped)
	}
	for _, name := range []string{"EventsPublished", "EventsFailed", "EventsDeduplicated", "EventsUnknown", "StampSkipped"} {
		if counted[name] != c.Counted[name] {
			t.Errorf("%s is %v, want %v: %v", name, counted[name], c.Counted[name], counted)
		}
	}
	for name, want := range c.Counted {
		if counted[name] != want {
			t.Errorf("%s is %v, want %v: %v", name, counted[name], want, counted)
		}
	}
}
