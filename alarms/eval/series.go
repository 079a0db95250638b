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

// Series is a metric's datapoints by the second at which their period begins,
// in Unix time. A period without a datapoint is missing.
type Series map[int64]float64

// Data gives the datapoints of a metric under a statistic and a period, and
// false where nothing is known of the metric at all.
type Data interface {
	Series(alarms.Stat) (Series, bool)
}

// Table is [Data] that was fetched: series by [Key].
type Table map[string]Series

// Key names a metric under a statistic and a period.
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

// Datapoints are what an alarm holds against its threshold: its metric, or what
// its expressions make of its metrics. Known is false where nothing is known of
// any of its metrics. It returns an error for an expression that cannot be
// computed here.
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
		return nil, known, fmt.Errorf("%s: %s is several series: an alarm watches one", a.Name, returned.Expression)
	}
	return v.over(m.seconds), known, nil
}

// span is every period from the first to the last second of a set.
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

// maxPeriods bounds what a file with a stray timestamp can ask for: more than
// the 455 days of hours, and than 15 days of minutes, that CloudWatch keeps.
const maxPeriods = 1 << 20

// value is a scalar or a series during the computation of an expression.
type value struct {
	scalar float64
	series Series
	vector bool
	items  []value // of an array of series; never empty
	text   string  // a word or a text in quotes, for functions that take one
}

// array is one array of series; arrays within it, as in [METRICS("a"), METRICS("b")],
// are joined.
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

// finite is false of what CloudWatch has no datapoint for: a division by zero.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
