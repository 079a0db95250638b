package render

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
)

//go:embed picture.html
var pictureText string

var pictureTemplate = template.Must(template.New("picture").Parse(pictureText))

// Picture writes the dashboard as one page of HTML that needs nothing else: the
// same panels, drawn from data between from and to, each alarm with the state it
// would have had and when it would have been in alarm. The set must be resolved.
// It returns the writer's error, and that of an expression which cannot be
// computed here.
func Picture(w io.Writer, s alarms.Set, data eval.Data, from, to time.Time) error {
	page := picturePage{Name: s.Name, From: from.UTC().Format(time.DateTime), To: to.UTC().Format(time.DateTime), Limits: eval.Limits}
	middle := from.Add(to.Sub(from) / 2)
	for _, at := range []time.Time{from, middle, to} {
		layout := "15:04"
		if to.Sub(from) > 36*time.Hour {
			layout = "Jan 2 15:04"
		}
		page.Ticks = append(page.Ticks, at.UTC().Format(layout))
	}
	for _, p := range Panels(s) {
		panel, err := draw(p, s.Prefix, data, from, to)
		if err != nil {
			return err
		}
		if n := len(page.Sections); n == 0 || page.Sections[n-1].Name != p.Section {
			page.Sections = append(page.Sections, pictureSection{Name: p.Section})
		}
		section := &page.Sections[len(page.Sections)-1]
		section.Panels = append(section.Panels, panel)
		page.States = append(page.States, panel.States...)
	}
	slices.SortStableFunc(page.States, func(a, b pictureState) int { return a.rank - b.rank })
	if err := pictureTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

type picturePage struct {
	Name, From, To, Limits string
	Ticks                  []string // the times at the beginning, the middle and the end of each graph
	States                 []pictureState
	Sections               []pictureSection
}

type pictureState struct {
	Name, Class, Text string
	rank              int
}

type pictureSection struct {
	Name   string
	Panels []picturePanel
}

type picturePanel struct {
	Title, Metric string
	Empty         bool
	Pieces        []string
	Dots          []pictureDot
	Thresholds    []pictureThreshold
	Bands         []pictureBand
	Most, Least   string
	States        []pictureState
}

type pictureDot struct{ X, Y string }

type pictureThreshold struct{ Y, Class, Text string }

type pictureBand struct{ X, Width string }

// The drawing is 400 by 120 of its own units.
const (
	pictureWidth  = 400.0
	pictureHeight = 120.0
)

func draw(p Panel, prefix string, data eval.Data, from, to time.Time) (picturePanel, error) {
	out := picturePanel{Title: p.Title, Metric: describe(p.Alarms[0])}
	points, known, err := eval.Datapoints(p.Alarms[0], data)
	if err != nil {
		return out, fmt.Errorf("draw %s: %w", p.Title, err)
	}
	out.Empty = !known || len(points) == 0
	most, least := 0.0, 0.0
	for at, f := range points {
		if at >= from.Unix() && at < to.Unix() {
			most, least = max(most, f), min(least, f)
		}
	}
	for _, a := range p.Alarms {
		if a.Threshold < most*4 || most == 0 {
			most = max(most, a.Threshold*1.1) // a threshold far above would flatten the line
		}
	}
	if most == least {
		most = least + 1
	}
	stretch := max(1, float64(to.Unix()-from.Unix()))
	x := func(at int64) float64 { return pictureWidth * float64(at-from.Unix()) / stretch }
	y := func(f float64) float64 { return pictureHeight * (1 - (f-least)/(most-least)) }
	out.plot(points, int64(p.Alarms[0].Period()), from, to, x, y)
	out.Most, out.Least = alarms.Readable(p.Alarms[0], most), alarms.Readable(p.Alarms[0], least)
	for _, a := range p.Alarms {
		report, err := eval.Backtest(a, data, from, to, 0)
		if err != nil {
			return out, fmt.Errorf("draw %s: %w", p.Title, err)
		}
		if a.Threshold <= most && a.Threshold >= least {
			out.Thresholds = append(out.Thresholds, pictureThreshold{coordinate(y(a.Threshold)), string(a.Meta.Severity), a.Comparison.Symbol() + " " + alarms.Readable(a, a.Threshold)})
		}
		out.bands(report, x, to)
		out.States = append(out.States, state(strings.TrimPrefix(a.Name, prefix), a, report))
	}
	return out, nil
}

func (p *picturePanel) plot(points eval.Series, period int64, from, to time.Time, x func(int64) float64, y func(float64) float64) {
	var piece []string
	last := int64(math.MinInt64)
	end := func() {
		if len(piece) > 1 {
			p.Pieces = append(p.Pieces, strings.Join(piece, " "))
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
		p.Dots = append(p.Dots, pictureDot{px, py})
		last = at
	}
	end()
	if len(p.Dots) > 200 {
		p.Dots = nil // the line shows it
	}
}

func (p *picturePanel) bands(r eval.Report, x func(int64) float64, to time.Time) {
	begin := r.From
	inAlarm := len(r.Transitions) > 0 && r.Transitions[0].From == eval.InAlarm || len(r.Transitions) == 0 && r.Pages > 0
	add := func(end time.Time) {
		if inAlarm {
			p.Bands = append(p.Bands, pictureBand{coordinate(x(begin.Unix())), coordinate(max(2, x(end.Unix())-x(begin.Unix())))})
		}
	}
	for _, t := range r.Transitions {
		add(t.At)
		begin, inAlarm = t.At, t.To == eval.InAlarm
	}
	add(to)
}

func state(name string, a alarms.Alarm, r eval.Report) pictureState {
	switch {
	case !r.Known:
		return pictureState{name, "unknown", "nothing recorded", 3}
	case r.Pages > 0:
		text := "1 page"
		if r.Pages > 1 {
			text = fmt.Sprintf("%d pages", r.Pages)
		}
		rank := 1
		if a.Meta.Severity == alarms.Critical {
			rank = 0
		}
		return pictureState{name, "alarm-" + string(a.Meta.Severity), text + ", " + r.InAlarm.String() + " in alarm", rank}
	default:
		return pictureState{name, "ok", "ok", 2}
	}
}

func describe(a alarms.Alarm) string {
	for _, q := range a.Queries {
		if q.Return && q.Stat == nil {
			return q.Expression
		}
	}
	s := a.Queries[0].Stat
	return s.Statistic + " of " + s.Metric
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
