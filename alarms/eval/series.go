package eval

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Series maps the start of each period, in Unix seconds, to its datapoint. A period
// without an entry is missing.
type Series map[int64]float64

// Data returns the datapoints of a metric for a statistic and a period, and false if it
// has nothing of the metric.
type Data interface {
	Series(alarms.Stat) (Series, bool)
}

// Table is [Data] that was read in advance: series by [Key].
type Table map[string]Series

// Key returns the key of a metric, a statistic and a period in a [Table].
func Key(s alarms.Stat) string {
	dimensions := slices.Clone(s.Dimensions)
	slices.SortFunc(dimensions, func(a, b alarms.Dimension) int { return cmp.Compare(a.Name, b.Name) })
	var b strings.Builder
	fmt.Fprintf(&b, "%s\x00%s\x00%s\x00%d", s.Namespace, s.Metric, s.Statistic, s.Period)
	for _, d := range dimensions {
		b.WriteString("\x00" + d.Name + "\x00" + d.Value)
	}
	return b.String()
}

// Series implements [Data].
func (t Table) Series(s alarms.Stat) (Series, bool) {
	series, ok := t[Key(s)]
	return series, ok
}

// Datapoints returns the values that an alarm compares with its threshold: its metric, or
// the result of its expression. known is false if data has none of its metrics. It
// returns an error for an expression that this package does not compute.
func Datapoints(a alarms.Alarm, data Data) (points Series, known bool, err error) {
	a = a.Normalize()
	values := map[string]value{}
	seconds := map[int64]bool{}
	var returned alarms.Query
	for _, q := range a.Queries {
		if q.Return {
			returned = q
		}
		if q.Stat == nil {
			continue
		}
		series, ok := data.Series(*q.Stat)
		known = known || ok
		values[q.ID] = value{series: series, vector: true}
		for at := range series {
			seconds[at] = true
		}
	}
	if returned.Stat != nil {
		return values[returned.ID].series, known, nil
	}
	m := calculator{stats: values, seconds: span(seconds, int64(a.Period())), period: int64(a.Period()), queries: a.Queries}
	v, err := m.query(returned, nil)
	if err != nil {
		return nil, known, fmt.Errorf("%s: compute %s: %w", a.Name, returned.Expression, err)
	}
	if v.items != nil {
		return nil, known, fmt.Errorf("%s: %s returns several series: an alarm watches one", a.Name, returned.Expression)
	}
	return v.over(m.seconds), known, nil
}

// span returns every period from the first to the last second of a set.
func span(seconds map[int64]bool, period int64) []int64 {
	if len(seconds) == 0 || period <= 0 {
		return nil
	}
	all := slices.Sorted(maps.Keys(seconds))
	first, last := all[0], all[len(all)-1]
	if (last-first)/period > maxPeriods {
		first = last - maxPeriods*period
	}
	out := make([]int64, 0, (last-first)/period+1)
	for at := first; at <= last; at += period {
		out = append(out, at)
	}
	return out
}

// maxPeriods bounds the periods that a file with a wrong timestamp can cause. It is more
// than the 455 days of hourly data, and the 15 days of one-minute data, that CloudWatch
// keeps.
const maxPeriods = 1 << 20

// value is an intermediate result of an expression: a number, a series, an array or a
// text.
type value struct {
	scalar float64
	series Series
	vector bool
	items  []value // the series of an array; never empty
	text   string  // a word or a quoted text, for functions that accept one
}

// array makes one array of series. Nested arrays, as in [METRICS("a"), METRICS("b")], are
// joined.
func array(items []value) value {
	if slices.ContainsFunc(items, func(v value) bool { return v.items != nil }) {
		var flat []value
		for _, v := range items {
			if v.items != nil {
				flat = append(flat, v.items...)
			} else {
				flat = append(flat, v)
			}
		}
		items = flat
	}
	if len(items) == 0 {
		return value{vector: true}
	}
	return value{items: items}
}

func (v value) at(second int64) (float64, bool) {
	if !v.vector {
		return v.scalar, finite(v.scalar)
	}
	f, ok := v.series[second]
	return f, ok
}

func (v value) over(seconds []int64) Series {
	if v.vector {
		return v.series
	}
	out := Series{}
	for _, at := range seconds {
		if finite(v.scalar) {
			out[at] = v.scalar
		}
	}
	return out
}

// finite reports whether f is a number. CloudWatch has no datapoint for a division by
// zero.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
