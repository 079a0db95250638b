package sizescmd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/distribution"
	"github.com/throughline/throughline/cmd/throughline/internal/emf"
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/sizemeter"
)

// report is the sizes of the events of some files.
type report struct {
	types   distribution.Types
	all     distribution.Distribution
	largest []event // descending
	top     int     // the number of largest events to keep
	skipped int     // documents that are not events
	left    records.Left
	reader  *lineage.Reader
	stamper *lineage.Stamper
}

type event struct {
	EventID   string `json:"event_id"`
	EventType string `json:"event_type"`
	Size      int    `json:"size_bytes"`
}

func newReport(top int) *report {
	return &report{top: top, reader: lineage.NewReader(lineage.Config{}), stamper: lineage.NewStamper(lineage.Config{})}
}

// read adds the events in r.
func (r *report) read(in io.Reader) error {
	left, err := records.Read(in, func(d records.Document) error {
		r.addDocument(d.JSON, d.Queued)
		return nil
	})
	r.left.Add(left)
	return err
}

func (r *report) addDocument(document []byte, queued bool) {
	switch {
	case bytes.Contains(document, []byte(`"_aws"`)):
		r.addMetrics(document)
	case r.addEntry(document):
	default:
		r.addDelivered(document, queued)
	}
}

// addMetrics reads a line of the embedded metric format: every size in it, and the ID of
// the largest event.
func (r *report) addMetrics(document []byte) {
	var line struct {
		EventType      string
		PayloadSize    json.RawMessage
		PayloadSizeMax float64
		LargestEventID string
	}
	if json.Unmarshal(document, &line) != nil || line.EventType == "" || line.PayloadSize == nil {
		return
	}
	for _, size := range emf.Values(line.PayloadSize) {
		r.add(line.EventType, int(size))
	}
	if line.LargestEventID != "" {
		r.rank(event{line.LargestEventID, line.EventType, int(line.PayloadSizeMax)})
	}
}

// addEntry reads an element of a PutEvents request, whose size is exact.
func (r *report) addEntry(document []byte) bool {
	var e struct {
		Source, DetailType, Detail *string
		Resources                  []string
		Time                       any
		EventBusName               string
	}
	if json.Unmarshal(document, &e) != nil || e.Source == nil || e.DetailType == nil || e.Detail == nil {
		return false
	}
	size := sizemeter.Entry{Source: *e.Source, DetailType: *e.DetailType, Detail: *e.Detail, Resources: e.Resources, HasTime: e.Time != nil}.Size()
	out := r.stamper.Resolve(context.Background(), lineage.Entry{Source: *e.Source, DetailType: *e.DetailType, Detail: *e.Detail}, nil)
	r.add(*e.DetailType, size)
	r.rank(event{out.EventID, *e.DetailType, size})
	return true
}

// addDelivered reads an event as a consumer received it. Its size is that of the entry,
// or 14 bytes less if the entry had a time, which an envelope does not show.
func (r *report) addDelivered(document []byte, queued bool) {
	d := r.reader.Read(document)
	known := d.Shape == lineage.ShapeEventBridge || d.Shape == lineage.ShapeSQS || d.Shape == lineage.ShapeSNS || d.Shape == lineage.ShapeAlarm || d.Shape == lineage.ShapeSchedule
	if !known && (!queued || d.Shape == lineage.ShapeUnknown) {
		d = r.notification(document)
	}
	if len(d.Events) == 0 {
		r.skipped++
	}
	for i := range d.Events {
		e := &d.Events[i]
		size := sizemeter.Entry{Source: e.Source, DetailType: e.Type, Detail: string(e.Detail), Resources: e.Resources}.Size()
		r.add(e.Type, size)
		r.rank(event{e.ID, e.Type, size})
	}
}

// notification reads an SNS notification in a queue, which is not an event itself.
func (r *report) notification(document []byte) lineage.Delivery {
	var n struct{ Type, TopicArn, Message string }
	if json.Unmarshal(document, &n) != nil || n.Type != "Notification" || n.TopicArn == "" {
		return lineage.Delivery{}
	}
	d := r.reader.Read([]byte(n.Message))
	if d.Shape == lineage.ShapeUnknown {
		return lineage.Delivery{}
	}
	return d
}

func (r *report) add(eventType string, size int) {
	if eventType == "" {
		eventType = "(no type)"
	}
	r.types.Of(eventType).Add(size)
	r.all.Add(size)
}

// rank keeps e if it is among the largest. An event that is in several files counts once.
func (r *report) rank(e event) {
	if e.EventID == "" {
		e.EventID = "(no ID)"
	}
	for i, known := range r.largest {
		if known.EventID == e.EventID && known.EventType == e.EventType {
			if e.Size <= known.Size {
				return
			}
			r.largest = slices.Delete(r.largest, i, i+1)
			break
		}
	}
	at, _ := slices.BinarySearchFunc(r.largest, e, func(a, b event) int { return cmp.Or(b.Size-a.Size, cmp.Compare(a.EventID, b.EventID)) })
	if at >= r.top {
		return
	}
	r.largest = slices.Insert(r.largest, at, e)
	r.largest = r.largest[:min(len(r.largest), r.top)]
}

// summary is the report as it is printed.
type summary struct {
	Limit         int        `json:"limit_bytes"`
	QuantileError float64    `json:"quantile_error"`
	Types         []typeLine `json:"types"`
	Histogram     []bar      `json:"histogram"`
	Largest       []event    `json:"largest"`
	Skipped       int        `json:"skipped"` // lines and documents that are not events
	Truncated     bool       `json:"truncated,omitempty"`
}

type typeLine struct {
	EventType string  `json:"event_type"`
	Events    int64   `json:"events"`
	Bytes     int64   `json:"bytes"`
	P50       int     `json:"p50_bytes"`
	P95       int     `json:"p95_bytes"`
	P99       int     `json:"p99_bytes"`
	Max       int     `json:"max_bytes"`
	OfLimit   float64 `json:"max_percent_of_limit"`
	Chunks    int64   `json:"billed_chunks"`
}

// bar is the events of at least From and less than To bytes; 0 means no bound.
type bar struct {
	From   int   `json:"from_bytes"`
	To     int   `json:"to_bytes,omitempty"`
	Events int64 `json:"events"`
}

func (r *report) summary(limit int) summary {
	s := summary{Limit: limit, QuantileError: distribution.Error, Largest: r.largest, Skipped: r.noEvents(), Truncated: r.left.Truncated}
	for _, name := range r.types.Names() {
		s.Types = append(s.Types, line(name, r.types.Of(name), limit))
	}
	slices.SortStableFunc(s.Types, func(a, b typeLine) int { return b.Max - a.Max })
	if len(s.Types) > 1 {
		s.Types = append(s.Types, line("all", &r.all, limit))
	}
	s.Histogram = bars(&r.all)
	return s
}

// noEvents returns the number of lines and documents that are not events.
func (r *report) noEvents() int { return r.skipped + r.left.Lines + r.left.TooLong }

func line(name string, d *distribution.Distribution, limit int) typeLine {
	return typeLine{name, d.Count(), d.Sum(), d.Quantile(0.5), d.Quantile(0.95), d.Quantile(0.99), d.Max(), sizemeter.Utilization(d.Max(), limit), d.Chunks()}
}

// bars returns the histogram. Its ranges double from 256 bytes; empty ranges at both ends
// are omitted.
func bars(d *distribution.Distribution) []bar {
	const smallest, largest = 256, 16 << 20
	var bounds []int
	for b := smallest; b <= largest; b *= 2 {
		bounds = append(bounds, b)
	}
	var list []bar
	for i, n := range d.Histogram(bounds) {
		b := bar{Events: n}
		if i > 0 {
			b.From = bounds[i-1]
		}
		if i < len(bounds) {
			b.To = bounds[i]
		}
		list = append(list, b)
	}
	full := func(b bar) bool { return b.Events > 0 }
	first := slices.IndexFunc(list, full)
	if first < 0 {
		return nil
	}
	last := len(list)
	for !full(list[last-1]) {
		last--
	}
	return list[first:last]
}

// bytesText formats a size.
func bytesText(n int) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n >= mib && n%mib == 0:
		return fmt.Sprintf("%d MiB", n/mib)
	case n >= kib && n%kib == 0:
		return fmt.Sprintf("%d KiB", n/kib)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
