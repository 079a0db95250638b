package eval

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms"
)

// Recording holds the observations in lines of the embedded metric format: a metrics
// file, or an exported log group. It implements [Data]. It is not safe for concurrent
// use.
type Recording struct {
	metrics     map[string]map[int64][]sample // by namespace, name and dimensions; by minute
	first, last int64
}

type sample struct{ value, count float64 }

// maxLine is the largest line in bytes. CloudWatch accepts an EMF document of 1 MiB.
const maxLine = 2 << 20

// ReadRecording reads metrics lines and skips lines that are not in the embedded metric
// format. It returns an error if the reader fails, if a line is longer than 2 MiB, and if
// no line has a metric.
func ReadRecording(r io.Reader) (*Recording, error) {
	rec := &Recording{metrics: map[string]map[int64][]sample{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		rec.line(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	if len(rec.metrics) == 0 {
		return nil, errors.New("no line is in the embedded metric format: give a file such as build/demo/metrics.jsonl, or a log group's export")
	}
	return rec, nil
}

// Span returns the minute of the first observation and the end of the minute of the last.
func (r *Recording) Span() (from, to time.Time) {
	return time.Unix(r.first, 0).UTC(), time.Unix(r.last+60, 0).UTC()
}

type directive struct {
	AWS *struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name string }
		}
	} `json:"_aws"`
}

func (r *Recording) line(line []byte) {
	if i := strings.IndexByte(string(line[:min(len(line), 200)]), '{'); i > 0 {
		line = line[i:] // skip the prefix of a log line
	}
	var d directive
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &d) != nil || d.AWS == nil || json.Unmarshal(line, &fields) != nil {
		return
	}
	minute := floor(d.AWS.Timestamp/1000, 60)
	if minute <= 0 {
		return
	}
	if r.first == 0 || minute < r.first {
		r.first = minute
	}
	r.last = max(r.last, minute)
	for _, group := range d.AWS.CloudWatchMetrics {
		for _, set := range group.Dimensions {
			dimensions := make([]alarms.Dimension, 0, len(set))
			for _, name := range set {
				var value string
				_ = json.Unmarshal(fields[name], &value) // a dimension that is not a text has an empty value
				dimensions = append(dimensions, alarms.Dimension{Name: name, Value: value})
			}
			for _, m := range group.Metrics {
				key := Key(alarms.Stat{Namespace: group.Namespace, Metric: m.Name, Dimensions: dimensions})
				if r.metrics[key] == nil {
					r.metrics[key] = map[int64][]sample{}
				}
				r.metrics[key][minute] = append(r.metrics[key][minute], samples(fields[m.Name])...)
			}
		}
	}
}

// samples reads a metric's member: a number, an array of numbers, or values with counts.
func samples(raw json.RawMessage) []sample {
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return []sample{{one, 1}}
	}
	var many []float64
	if json.Unmarshal(raw, &many) == nil {
		out := make([]sample, len(many))
		for i, f := range many {
			out[i] = sample{f, 1}
		}
		return out
	}
	var counted struct{ Values, Counts []float64 }
	if json.Unmarshal(raw, &counted) != nil {
		return nil
	}
	var out []sample
	for i, f := range counted.Values {
		n := 1.0
		if i < len(counted.Counts) {
			n = counted.Counts[i]
		}
		out = append(out, sample{f, n})
	}
	return out
}

// Series implements [Data]. It returns the statistic of the observations of each period.
func (r *Recording) Series(s alarms.Stat) (Series, bool) {
	minutes, ok := r.metrics[Key(alarms.Stat{Namespace: s.Namespace, Metric: s.Metric, Dimensions: s.Dimensions})]
	if !ok || s.Period <= 0 {
		return nil, false
	}
	periods := map[int64][]sample{}
	for at, observed := range minutes {
		start := floor(at, int64(s.Period))
		periods[start] = append(periods[start], observed...)
	}
	out := Series{}
	for at, observed := range periods {
		if f, ok := statistic(s.Statistic, observed); ok {
			out[at] = f
		}
	}
	return out, true
}

func statistic(name string, observed []sample) (float64, bool) {
	if len(observed) == 0 {
		return 0, false
	}
	total, n, least, most := 0.0, 0.0, math.Inf(1), math.Inf(-1)
	for _, s := range observed {
		total, n = total+s.value*s.count, n+s.count
		least, most = min(least, s.value), max(most, s.value)
	}
	switch name {
	case "Sum":
		return total, true
	case "SampleCount":
		return n, true
	case "Average":
		return total / n, n > 0
	case "Minimum":
		return least, true
	case "Maximum":
		return most, true
	}
	p, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
	if err != nil || !strings.HasPrefix(name, "p") || p < 0 || p > 100 {
		return 0, false
	}
	return quantile(observed, n*p/100), true
}

// quantile returns the smallest value that has at least rank observations at or below it.
func quantile(observed []sample, rank float64) float64 {
	observed = slices.Clone(observed)
	slices.SortFunc(observed, func(a, b sample) int { return cmp.Compare(a.value, b.value) })
	seen := 0.0
	for _, s := range observed {
		if seen += s.count; seen >= rank {
			return s.value
		}
	}
	return observed[len(observed)-1].value
}
