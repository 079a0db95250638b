package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// function is a function of metric math with its least and most number of arguments. most
// is 0 for any number.
type function struct {
	least, most int
	compute     func(m *calculator, name string, args []value) (value, error)
}

func (f function) takes() string {
	switch {
	case f.most == 0:
		return fmt.Sprintf("at least %d arguments", f.least)
	case f.most > f.least:
		return fmt.Sprintf("%d or %d arguments", f.least, f.most)
	}
	return fmt.Sprintf("%d arguments", f.least)
}

// functions are the functions of "Using math expressions with CloudWatch metrics" that
// need one datapoint or its neighbours. A function over all datapoints of a series, such
// as AVG of one series, is not supported: AWS advises against it in alarms, because it
// does not publish the range of datapoints.
var functions map[string]function

func init() { // METRICS and IF call back into the calculator
	functions = map[string]function{
		"ABS": pointwise(math.Abs), "CEIL": pointwise(math.Ceil), "FLOOR": pointwise(math.Floor), "LOG": pointwise(math.Log), "LOG10": pointwise(math.Log10),
		"SUM": reduction(sum, false), "AVG": reduction(func(a []float64) float64 { return sum(a) / float64(len(a)) }, true), "MIN": reduction(slices.Min[[]float64], false), "MAX": reduction(slices.Max[[]float64], false),
		"IF": {2, 3, choose}, "FILL": {2, 2, fill}, "METRICS": {0, 1, (*calculator).metrics}, "PERIOD": {1, 1, period}, "TIME_SERIES": {1, 1, timeSeries},
		"METRIC_COUNT": {1, 1, countMetrics}, "DATAPOINT_COUNT": reduction(func(a []float64) float64 { return float64(len(a)) }, false), "REMOVE_EMPTY": {1, 1, removeEmpty},
		"FIRST": pick(func(int) int { return 0 }), "LAST": pick(func(n int) int { return n - 1 }), "SLICE": {2, 3, slice},
		"DIFF":      neighbours(func(f, before float64, _ int64) float64 { return f - before }),
		"RATE":      neighbours(func(f, before float64, seconds int64) float64 { return (f - before) / float64(seconds) }),
		"DIFF_TIME": neighbours(func(_, _ float64, seconds int64) float64 { return float64(seconds) }),
		"MINUTE":    clock(time.Time.Minute), "HOUR": clock(time.Time.Hour), "DATE": clock(time.Time.Day), "YEAR": clock(time.Time.Year),
		"MONTH": clock(func(t time.Time) int { return int(t.Month()) }),
		"DAY":   clock(func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }), // Monday is 1
		"EPOCH": clock(func(t time.Time) int { return int(t.Unix()) }),
	}
}

// pointwise makes a function that applies f to each datapoint.
func pointwise(f func(float64) float64) function {
	return function{1, 1, func(m *calculator, _ string, args []value) (value, error) { return m.map1(f, args[0]), nil }}
}

// reduction makes a function that reduces several series to one, over the series that
// have a datapoint. If zeros is set, a missing datapoint counts as 0.
func reduction(f func([]float64) float64, zeros bool) function {
	return function{1, 0, func(m *calculator, name string, args []value) (value, error) {
		list := args
		if len(args) == 1 && args[0].items != nil {
			list = args[0].items
		} else if len(args) == 1 {
			return value{}, fmt.Errorf("%s of one series is a single number over all datapoints, which is not supported in a backtest: write %s([a, b])", name, name)
		}
		return m.reduce(f, zeros, list)
	}}
}

func sum(a []float64) (total float64) {
	for _, f := range a {
		total += f
	}
	return total
}

// choose is IF. The result has no datapoint where the condition or the value for false
// has none. A missing value for true is 0.
func choose(m *calculator, _ string, args []value) (value, error) {
	condition, yes, no := args[0], args[1], value{vector: true}
	if len(args) == 3 {
		no = args[2]
	}
	if !condition.vector && !yes.vector && !no.vector {
		if condition.scalar != 0 {
			return yes, nil
		}
		return no, nil
	}
	out := Series{}
	for _, at := range m.seconds {
		c, ok := condition.at(at)
		if !ok {
			continue
		}
		if c == 0 {
			if f, ok := no.at(at); ok {
				out[at] = f
			}
			continue
		}
		f, ok := yes.at(at)
		if ok || condition.vector { // if the condition is a number, the series is copied as it is
			out[at] = f
		}
	}
	return value{series: out, vector: true}, nil
}

// fill is FILL of a series or of each series of an array.
func fill(m *calculator, name string, args []value) (value, error) {
	series, with := args[0], args[1]
	if series.items != nil {
		return m.over(series, func(v value) (value, error) { return fill(m, name, []value{v, with}) })
	}
	switch with.text {
	case "REPEAT":
		return value{series: m.repeat(series), vector: true}, nil
	case "LINEAR":
		return value{series: m.interpolate(series), vector: true}, nil
	}
	out := Series{}
	for _, at := range m.seconds {
		f, ok := series.at(at)
		if !ok {
			f, ok = with.at(at)
		}
		if ok {
			out[at] = f
		}
	}
	return value{series: out, vector: true}, nil
}

// repeat fills a gap with the previous datapoint. Before the first datapoint the gap
// stays.
func (m *calculator) repeat(v value) Series {
	out := Series{}
	last, seen := 0.0, false
	for _, at := range m.seconds {
		if f, ok := v.at(at); ok {
			last, seen = f, true
		}
		if seen {
			out[at] = last
		}
	}
	return out
}

// interpolate fills a gap between two datapoints linearly. Gaps at the ends stay.
func (m *calculator) interpolate(v value) Series {
	out := Series{}
	before := -1 // the index of the last datapoint
	for i, at := range m.seconds {
		f, ok := v.at(at)
		if !ok {
			continue
		}
		out[at] = f
		for j := before + 1; before >= 0 && j < i; j++ {
			from, _ := v.at(m.seconds[before])
			share := float64(m.seconds[j]-m.seconds[before]) / float64(at-m.seconds[before])
			out[m.seconds[j]] = from + share*(f-from)
		}
		before = i
	}
	return out
}

// neighbours makes a function of a datapoint, the previous one and the seconds between
// them.
func neighbours(f func(now, before float64, seconds int64) float64) function {
	var compute func(m *calculator, name string, args []value) (value, error)
	compute = func(m *calculator, name string, args []value) (value, error) {
		if args[0].items != nil {
			return m.over(args[0], func(v value) (value, error) { return compute(m, name, []value{v}) })
		}
		if !args[0].vector {
			return value{}, errors.New(name + " takes a series")
		}
		out := Series{}
		last, before, seen := int64(0), 0.0, false
		for _, at := range m.seconds {
			now, ok := args[0].at(at)
			if !ok {
				continue
			}
			if seen {
				out[at] = f(now, before, at-last)
			}
			last, before, seen = at, now, true
		}
		return value{series: out, vector: true}, nil
	}
	return function{1, 1, compute}
}

// clock makes a function of the timestamp. It has a value for every period, with or
// without a datapoint.
func clock(of func(time.Time) int) function {
	return function{1, 1, func(m *calculator, _ string, _ []value) (value, error) {
		out := Series{}
		for _, at := range m.seconds {
			out[at] = float64(of(time.Unix(at, 0).UTC()))
		}
		return value{series: out, vector: true}, nil
	}}
}

func period(m *calculator, _ string, _ []value) (value, error) {
	return value{scalar: float64(m.period)}, nil
}

func timeSeries(m *calculator, _ string, args []value) (value, error) {
	return value{series: args[0].over(m.seconds), vector: true}, nil
}

// metrics is METRICS(): the metrics of the alarm, or those whose ID contains a text.
func (m *calculator) metrics(_ string, args []value) (value, error) {
	var items []value
	for _, q := range m.queries {
		if v, ok := m.stats[q.ID]; ok && (len(args) == 0 || strings.Contains(q.ID, args[0].text)) {
			items = append(items, v)
		}
	}
	if len(items) == 0 {
		return value{}, errors.New("METRICS(" + strconv.Quote(args[0].text) + ") selects no metric")
	}
	return array(items), nil
}

// pick makes a function that selects one series of an array, by the array's length.
func pick(which func(n int) int) function {
	return function{1, 1, func(_ *calculator, name string, args []value) (value, error) {
		if args[0].items == nil {
			return value{}, errors.New(name + " takes an array of metrics")
		}
		return args[0].items[which(len(args[0].items))], nil
	}}
}

// slice is SLICE: the series of an array from one index up to, not including, another.
func slice(_ *calculator, name string, args []value) (value, error) {
	n := len(args[0].items)
	if n == 0 || args[1].vector || len(args) == 3 && args[2].vector {
		return value{}, errors.New(name + " takes an array of metrics and numbers")
	}
	bound := func(f float64) int { return int(min(max(f, 0), float64(n))) }
	from, to := bound(args[1].scalar), n
	if len(args) == 3 {
		to = bound(args[2].scalar)
	}
	return array(args[0].items[min(from, to):to]), nil
}

func countMetrics(_ *calculator, name string, args []value) (value, error) {
	if args[0].items == nil {
		return value{}, errors.New(name + " takes an array of metrics")
	}
	return value{scalar: float64(len(args[0].items))}, nil
}

// removeEmpty is REMOVE_EMPTY: the array without the series that have no datapoint.
func removeEmpty(_ *calculator, _ string, args []value) (value, error) {
	items := slices.DeleteFunc(slices.Clone(args[0].items), func(v value) bool { return v.vector && len(v.series) == 0 })
	return array(items), nil
}
