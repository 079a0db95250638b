package render

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
)

// drawing is a graph of 400 by 120 units, which the page scales, and its axes, in per
// cent of its height and width.
type drawing struct {
	Drawn      bool
	Says       string // a description for screen readers
	Pieces     []string
	Dots       []dot
	Thresholds []threshold
	Bands      []band
	Rows       []tick // ticks of the vertical axis, from the top
	Columns    []tick // ticks of the horizontal axis, from the left
}

type dot struct{ X, Y string }

type threshold struct{ Y, Class, Text string }

type band struct{ X, Width string }

// tick is a mark of an axis. At is in per cent, On in units of the drawing. Edge is
// "first" or "last" if the text would extend beyond the end of the axis.
type tick struct{ At, On, Text, Edge string }

const (
	graphWidth  = 400.0
	graphHeight = 120.0
)

// newDrawing draws the points between from and to, with the alarms' thresholds and the
// times in ALARM.
func newDrawing(list []alarms.Alarm, reports []eval.Report, points eval.Series, from, to time.Time) drawing {
	g := drawing{Drawn: true}
	least, most, whole := math.Inf(1), math.Inf(-1), alarms.Readable(list[0], 0.5) == "0.5"
	for at, f := range points {
		if at >= from.Unix() && at < to.Unix() {
			least, most, whole = min(least, f), max(most, f), whole && f == math.Trunc(f)
		}
	}
	if least > most {
		least, most = 0, 0
	}
	g.Says = fmt.Sprintf("between %s and %s", alarms.Readable(list[0], least), alarms.Readable(list[0], most))
	low, high := min(0, least), max(0, most)
	for _, a := range list {
		if a.Threshold < high*4 || high == 0 { // a threshold far above would flatten the line
			high = max(high, a.Threshold*1.1)
		}
	}
	if high == low {
		high = low + 1
	}
	marks := scale(list[0], low, high, whole)
	low, high = min(low, marks[0]), max(high, marks[len(marks)-1])
	x := func(at int64) float64 {
		return graphWidth * float64(at-from.Unix()) / max(1, float64(to.Unix()-from.Unix()))
	}
	y := func(f float64) float64 { return graphHeight * (1 - (f-low)/(high-low)) }
	for _, f := range slices.Backward(marks) {
		g.Rows = append(g.Rows, tick{coordinate(y(f) / graphHeight * 100), coordinate(y(f)), alarms.Readable(list[0], f), ""})
	}
	for _, at := range times(from, to) {
		g.Columns = append(g.Columns, column(at, x(at.Unix()), to.Sub(from)))
	}
	g.plot(points, int64(list[0].Period()), from, to, x, y)
	for i, a := range list {
		if a.Threshold <= high && a.Threshold >= low {
			g.Thresholds = append(g.Thresholds, threshold{coordinate(y(a.Threshold)), string(a.Meta.Severity), a.Comparison.Symbol() + " " + alarms.Readable(a, a.Threshold)})
		}
		for _, s := range alarmed(reports[i]) {
			g.Bands = append(g.Bands, band{coordinate(x(s.begin.Unix())), coordinate(max(2, x(s.end.Unix())-x(s.begin.Unix())))})
		}
	}
	return g
}

func (g *drawing) plot(points eval.Series, period int64, from, to time.Time, x func(int64) float64, y func(float64) float64) {
	var piece []string
	last := int64(math.MinInt64)
	end := func() {
		if len(piece) > 1 {
			g.Pieces = append(g.Pieces, strings.Join(piece, " "))
		}
		piece = nil
	}
	for _, at := range sortedTimes(points) {
		if at < from.Unix() || at >= to.Unix() {
			continue
		}
		if at != last+period {
			end()
		}
		px, py := coordinate(x(at+period/2)), coordinate(y(points[at]))
		piece = append(piece, px+","+py)
		g.Dots = append(g.Dots, dot{px, py})
		last = at
	}
	end()
	const many = 60
	if len(g.Dots) > many {
		g.Dots = nil // the line shows it
	}
}

// scale returns three to six round numbers in the alarm's unit that cover low to high. A
// count has only whole numbers.
func scale(a alarms.Alarm, low, high float64, whole bool) []float64 {
	const parts, kibi = 4, 1024
	rough, base, times := (high-low)/parts, 10.0, []float64{1, 2, 5, 10}
	if strings.HasSuffix(alarms.Readable(a, kibi), "KiB") {
		base, times = kibi, []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, kibi}
	}
	unit := math.Pow(base, math.Floor(math.Log(rough)/math.Log(base)+1e-9))
	step := unit
	for _, n := range times {
		if step = unit * n; step >= rough*0.999 {
			break
		}
	}
	if whole {
		step = max(1, step)
	}
	var marks []float64
	for n := math.Floor(low/step + 1e-9); ; n++ {
		marks = append(marks, n*step)
		if n*step >= high*(1-1e-9) {
			return marks
		}
	}
}

// times returns at most six round times between from and to.
func times(from, to time.Time) []time.Time {
	const most = 6
	step := 24 * time.Hour
	for _, s := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour} {
		if step = s; to.Sub(from)/s < most {
			break
		}
	}
	for to.Sub(from)/step >= most {
		step *= 2
	}
	var list []time.Time
	for at := from.UTC().Truncate(step); !at.After(to); at = at.Add(step) {
		if !at.Before(from) {
			list = append(list, at)
		}
	}
	return list
}

func column(at time.Time, x float64, all time.Duration) tick {
	t := tick{At: coordinate(x / graphWidth * 100), On: coordinate(x), Text: at.UTC().Format("15:04")}
	if all > 24*time.Hour && at.UTC().Truncate(24*time.Hour).Equal(at.UTC()) {
		t.Text = at.UTC().Format("Jan 2")
	}
	const near = 0.06
	switch {
	case x < graphWidth*near:
		t.Edge = "first"
	case x > graphWidth*(1-near):
		t.Edge = "last"
	}
	return t
}

func sortedTimes(points eval.Series) []int64 {
	out := make([]int64, 0, len(points))
	for at := range points {
		out = append(out, at)
	}
	slices.Sort(out)
	return out
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
