package metrics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of a line, by the EMF specification ("Specification: Embedded
// metric format"), PutMetricData and Logs Insights.
const (
	maxValuesPerMetric = 100
	maxDimensionValue  = 1024 // characters
	maxNamespace       = 255  // characters
	maxLeaves          = 180  // Logs Insights reads 200 fields, including the elements of arrays
)

// Flush writes the observations since the last Flush: one line for each set
// of dimensions and each minute of wall-clock time, or more lines if one
// would be too long. Then it writes the lines of Log. now is the time of
// observations without their own time. An error is that of w; the lines that
// were not written are counted.
//
// The lines follow CloudWatch's "Embedded metric format specification".
func (s *Set) Flush(w io.Writer, now time.Time) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	if s.dropped > 0 && s.config.Profile != Off {
		s.addDropped(now)
	}
	buckets, order, lines, out := s.buckets, s.order, s.lines, s.out[:0]
	s.buckets, s.order, s.lines, s.out, s.values = s.spareBuckets, s.spareOrder, nil, nil, 0
	s.spareBuckets, s.spareOrder = nil, nil
	s.types.turn()
	s.hosts.turn()
	s.targets.turn()
	if s.buckets == nil {
		s.buckets = map[bucketKey]*bucket{}
	}
	s.mu.Unlock()
	if len(order)+len(lines) == 0 {
		s.keep(nil, nil, out)
		return nil
	}

	for _, key := range order {
		out = s.appendBucket(out, key, buckets[key])
	}
	for _, l := range lines {
		out = s.appendLine(out, l, now)
	}
	_, err := w.Write(out)
	s.keep(order, buckets, out)
	if err != nil {
		s.Dropped(len(order) + len(lines))
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// addDropped records what was dropped, regardless of the bounds. The mutex is
// held.
func (s *Set) addDropped(now time.Time) {
	key := bucketKey{minute: floorMinute(now)}
	b := s.buckets[key]
	if b == nil {
		b = s.bucket()
		b.at, s.buckets[key] = now, b
		s.order = append(s.order, key)
	}
	b.get(byName()[TelemetryDropped]).sum += s.dropped
	s.dropped = 0
}

// keep ends a flush and keeps its buffers for the next one.
func (s *Set) keep(order []bucketKey, buckets map[bucketKey]*bucket, out []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(out) <= maxBuffer {
		s.out = out
	}
	for _, key := range order {
		b := buckets[key]
		if len(s.spare) < maxSpare && !slices.ContainsFunc(b.series, func(v series) bool { return cap(v.values) > maxValuesPerMetric }) {
			b.reset()
			s.spare = append(s.spare, b)
		}
	}
	if len(order) <= maxSpare {
		clear(buckets)
		s.spareBuckets, s.spareOrder = buckets, order[:0]
	}
}

// item is one metric of a bucket that is being written.
type item struct {
	*series
	values []float64 // not yet written
	emit   bool      // as a metric; else as a property
}

func (s *Set) appendBucket(out []byte, key bucketKey, b *bucket) []byte {
	var array [24]item
	items := s.items(array[:0], b, key.alone())
	for first := true; first || slices.ContainsFunc(items, func(i item) bool { return len(i.values) > 0 }); first = false {
		out = s.appendDocument(out, key, b, items, first)
	}
	return out
}

func (s *Set) items(items []item, b *bucket, alone bool) []item {
	for n := range b.series {
		v := &b.series[n]
		i := item{series: v, values: v.values, emit: v.metric.emitted(s.config.Profile, alone)}
		if v.metric.Kind == Counter {
			v.values = append(v.values[:0], v.sum)
			i.values = v.values
		}
		items = append(items, i)
	}
	zeros := zeros()
	for n := range zeros {
		z := &zeros[n]
		if b.find(z.metric) == nil && b.find(z.with) != nil && z.metric.emitted(s.config.Profile, alone) {
			items = append(items, item{series: &z.series, values: zero, emit: true})
		}
	}
	return items
}

var zero = []float64{0}

// appendDocument writes one line with as many of the remaining values as fit,
// and removes them from items. Only the first line has properties.
func (s *Set) appendDocument(out []byte, key bucketKey, b *bucket, items []item, first bool) []byte {
	d := document{out: append(out, '{'), leaves: 6}
	d.text(DimensionService, s.config.Service)
	apart := ""
	for _, one := range [...][2]string{{DimensionEventType, key.eventType}, {DimensionHost, key.host}, {DimensionTarget, key.target}} {
		if one[1] != "" {
			apart = one[0]
			d.text(apart, one[1])
		}
	}
	if apart != "" {
		d.leaves += 2
	}
	if s.config.Level != "" {
		d.text("level", s.config.Level)
		d.text("timestamp", b.at.UTC().Format(time.RFC3339Nano))
	}
	if first {
		d.properties(b, items)
	}
	var names [24]*Metric
	defined := names[:0]
	for k := range items {
		i := &items[k]
		if len(i.values) == 0 || !i.emit {
			i.values = nil
			continue
		}
		n := min(maxLeaves-d.leaves-2, maxValuesPerMetric, len(i.values)) // a metric definition has two fields
		if n <= 0 {
			continue
		}
		d.numbers(string(i.metric.Name), i.values[:n])
		d.leaves += 2
		i.values = i.values[n:]
		defined = append(defined, i.metric)
	}
	d.aws(s.config.Namespace, b.at, apart, defined)
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

// properties writes the fields that are only for queries: scalars of the
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
		slices.SortFunc(i.kinds, func(x, y kindCount) int { return strings.Compare(x.kind, y.kind) })
		for _, k := range i.kinds {
			d.number(name+"_"+k.kind, float64(k.n))
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
		for n, id := range b.correlations {
			d.out = append(d.out, "[,"[min(n, 1)])
			d.out = appendString(d.out, id)
		}
		d.out = append(d.out, ']')
		d.leaves += len(b.correlations)
	}
}

func (d *document) aws(namespace string, at time.Time, apart string, defined []*Metric) {
	d.key("_aws")
	d.out = append(d.out, `{"Timestamp":`...)
	d.out = strconv.AppendInt(d.out, at.UnixMilli(), 10)
	d.out = append(d.out, `,"CloudWatchMetrics":[`...)
	if len(defined) > 0 {
		d.out = append(d.out, `{"Namespace":`...)
		d.out = appendString(d.out, namespace)
		d.out = append(d.out, `,"Dimensions":[["`...)
		d.out = append(d.out, DimensionService...)
		if apart != "" {
			d.out = append(append(d.out, `","`...), apart...)
		}
		d.out = append(d.out, `"]],"Metrics":[`...)
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
	level := cmp.Or(s.config.Level, "WARN")
	d.text("level", level)
	d.text("timestamp", l.At.UTC().Format(time.RFC3339Nano))
	for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
		value, err := json.Marshal(l.Fields[name])
		if err != nil {
			continue // a value without a JSON form is omitted
		}
		d.key(name)
		d.out = append(d.out, value...)
	}
	return append(d.out, "}\n"...)
}

func appendString(out []byte, s string) []byte {
	if plain(s) {
		return append(append(append(out, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s) // strings always marshal; invalid UTF-8 becomes U+FFFD
	return append(out, quoted...)
}

// plain reports whether s needs no escape in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

func appendNumber(out []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.AppendInt(out, int64(v), 10)
	}
	return strconv.AppendFloat(out, v, 'g', -1, 64)
}
