package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Bounds of a line: the EMF specification takes 100 values of a metric, and
// Logs Insights reads 200 fields of an event, the elements of arrays included.
const (
	maxValuesPerMetric = 100
	maxLeaves          = 180
)

// Flush writes what was recorded since the last Flush, one line for each
// dimension set and wall-clock minute of observation, more where a line would
// grow too long, then the lines given to Log. now dates only what has no time
// of its own. An error is w's; what was not written then is counted.
//
// The lines follow CloudWatch's "Embedded metric format specification".
func (s *Set) Flush(w io.Writer, now time.Time) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	buckets, order, lines, dropped := s.buckets, s.order, s.lines, s.dropped
	s.buckets, s.order, s.lines, s.dropped, s.values = map[bucketKey]*bucket{}, nil, nil, 0, 0
	s.mu.Unlock()

	if dropped > 0 && s.config.Profile != Off {
		key := bucketKey{minute: floorMinute(now)}
		if buckets[key] == nil {
			buckets[key] = &bucket{at: now, metrics: map[Name]*series{}}
			order = append(order, key)
		}
		b := buckets[key]
		if b.metrics[TelemetryDropped] == nil {
			b.metrics[TelemetryDropped] = &series{}
			b.order = append(b.order, TelemetryDropped)
		}
		b.metrics[TelemetryDropped].sum += dropped
	}
	out := make([]byte, 0, 4096)
	for _, key := range order {
		out = s.appendBucket(out, key, buckets[key])
	}
	for _, l := range lines {
		out = s.appendLine(out, l, now)
	}
	if len(out) == 0 {
		return nil
	}
	if _, err := w.Write(out); err != nil {
		s.Dropped(len(order) + len(lines))
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// item is one metric of a bucket, on its way into lines.
type item struct {
	metric Metric
	series *series
	values []float64 // still to be written
	emit   bool      // as a metric; else as a property
}

func (s *Set) appendBucket(out []byte, key bucketKey, b *bucket) []byte {
	dimensions := []string{DimensionService}
	switch {
	case key.eventType != "":
		dimensions = append(dimensions, DimensionEventType)
	case key.host != "":
		dimensions = append(dimensions, DimensionHost)
	}
	items := s.items(b, dimensions)
	for first := true; first || slices.ContainsFunc(items, func(i item) bool { return len(i.values) > 0 }); first = false {
		out = s.appendDocument(out, key, b, dimensions, items, first)
	}
	return out
}

func (s *Set) items(b *bucket, dimensions []string) []item {
	var items []item
	for _, name := range b.order {
		m, v := byName[name], b.metrics[name]
		i := item{metric: m, series: v, values: v.values, emit: emits(m, s.config.Profile, dimensions)}
		if m.Kind == Counter {
			i.values = []float64{v.sum}
		}
		items = append(items, i)
	}
	for _, m := range catalogue {
		if m.ZeroWith != "" && b.metrics[m.Name] == nil && b.metrics[m.ZeroWith] != nil && emits(m, s.config.Profile, dimensions) {
			items = append(items, item{metric: m, series: &series{}, values: []float64{0}, emit: true})
		}
	}
	return items
}

func emits(m Metric, p Profile, dimensions []string) bool {
	return slices.ContainsFunc(m.DimensionSets(p), func(set []string) bool { return slices.Equal(set, dimensions) })
}

// appendDocument writes one line with as many of the remaining values as fit,
// and takes them off items. Properties stand in the first line alone.
func (s *Set) appendDocument(out []byte, key bucketKey, b *bucket, dimensions []string, items []item, first bool) []byte {
	d := document{out: append(out, '{'), leaves: 4 + 2*len(dimensions)}
	d.text(DimensionService, s.config.Service)
	if key.eventType != "" {
		d.text(DimensionEventType, key.eventType)
	}
	if key.host != "" {
		d.text(DimensionHost, key.host)
	}
	if s.config.Level != "" {
		d.text("level", s.config.Level)
		d.text("timestamp", b.at.UTC().Format(time.RFC3339Nano))
	}
	if first {
		d.properties(b, items)
	}
	var defined []Metric
	for n := range items {
		i := &items[n]
		if len(i.values) == 0 || !i.emit {
			i.values = nil
			continue
		}
		room := min(maxLeaves-d.leaves-2, maxValuesPerMetric, len(i.values)) // a definition is two fields
		if room <= 0 {
			continue
		}
		d.numbers(string(i.metric.Name), i.values[:room])
		d.leaves += 2
		i.values = i.values[room:]
		defined = append(defined, i.metric)
	}
	d.aws(s.config.Namespace, b.at, dimensions, defined)
	return append(d.out, "}\n"...)
}

// document is one line that is being written.
type document struct {
	out    []byte
	leaves int
}

func (d *document) key(name string) {
	if d.out[len(d.out)-1] != '{' {
		d.out = append(d.out, ',')
	}
	d.out = append(appendString(d.out, name), ':')
}

func (d *document) text(name, value string) {
	d.key(name)
	d.out = appendString(d.out, value)
	d.leaves++
}

func (d *document) number(name string, value float64) {
	d.key(name)
	d.out = appendNumber(d.out, value)
	d.leaves++
}

func (d *document) numbers(name string, values []float64) {
	if len(values) == 1 {
		d.number(name, values[0])
		return
	}
	d.key(name)
	d.out = append(d.out, '[')
	for i, v := range values {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		d.out = appendNumber(d.out, v)
	}
	d.out = append(d.out, ']')
	d.leaves += len(values)
}

// properties are what stands beside the metrics for queries: scalars of the
// arrays, exemplars, kinds, and the metrics that this profile does not emit.
func (d *document) properties(b *bucket, items []item) {
	count := 0
	for _, i := range items {
		name := string(i.metric.Name)
		if i.metric.Kind == Distribution && len(i.series.values) > 0 {
			if i.emit {
				count = max(count, len(i.series.values))
				d.number(name+"Max", slices.Max(i.series.values))
			} else {
				d.number(name, slices.Max(i.series.values))
			}
		} else if i.metric.Kind == Counter && !i.emit {
			d.number(name, i.series.sum)
		}
		for _, kind := range slices.Sorted(maps.Keys(i.series.kinds)) {
			d.number(name+"_"+kind, float64(i.series.kinds[kind]))
		}
	}
	if count > 0 {
		d.number("Count", float64(count))
	}
	if b.largestID != "" {
		d.text("LargestEventID", b.largestID)
	}
	if b.slowestID != "" {
		d.text("SlowestRequestID", b.slowestID)
	}
	if len(b.correlations) > 0 {
		d.key("CorrelationIDs")
		list, _ := json.Marshal(b.correlations) // strings always marshal
		d.out = append(d.out, list...)
		d.leaves += len(b.correlations)
	}
}

func (d *document) aws(namespace string, at time.Time, dimensions []string, defined []Metric) {
	d.key("_aws")
	d.out = append(d.out, `{"Timestamp":`...)
	d.out = strconv.AppendInt(d.out, at.UnixMilli(), 10)
	d.out = append(d.out, `,"CloudWatchMetrics":[`...)
	if len(defined) > 0 {
		d.out = append(d.out, `{"Namespace":`...)
		d.out = appendString(d.out, namespace)
		d.out = append(d.out, `,"Dimensions":[[`...)
		for i, name := range dimensions {
			if i > 0 {
				d.out = append(d.out, ',')
			}
			d.out = appendString(d.out, name)
		}
		d.out = append(d.out, `]],"Metrics":[`...)
		for i, m := range defined {
			if i > 0 {
				d.out = append(d.out, ',')
			}
			d.out = append(d.out, `{"Name":"`...)
			d.out = append(d.out, m.Name...)
			d.out = append(d.out, `","Unit":"`...)
			d.out = append(d.out, m.Unit...)
			d.out = append(d.out, `"}`...)
		}
		d.out = append(d.out, `]}`...)
	}
	d.out = append(d.out, `]}`...)
}

// appendLine writes a rare line: {"throughline":kind,"message":…,fields}.
func (s *Set) appendLine(out []byte, l Line, now time.Time) []byte {
	if l.At.IsZero() {
		l.At = now
	}
	d := document{out: append(out, '{')}
	d.text("throughline", l.Kind)
	d.text("message", l.Message)
	d.text("service", s.config.Service)
	level := s.config.Level
	if level == "" {
		level = "WARN"
	}
	d.text("level", level)
	d.text("timestamp", l.At.UTC().Format(time.RFC3339Nano))
	for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
		value, err := json.Marshal(l.Fields[name])
		if err != nil {
			continue // a value that JSON has no form for says nothing
		}
		d.key(name)
		d.out = append(d.out, value...)
	}
	return append(d.out, "}\n"...)
}

func appendString(out []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // strings always marshal; invalid UTF-8 becomes U+FFFD
	return append(out, quoted...)
}

func appendNumber(out []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.AppendInt(out, int64(v), 10)
	}
	return strconv.AppendFloat(out, v, 'g', -1, 64)
}
