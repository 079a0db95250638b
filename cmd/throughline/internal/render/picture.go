package render

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
)

var (
	//go:embed picture.html
	pictureText string
	//go:embed picture.css
	pictureCSS string
)

var pictureTemplate = template.Must(template.New("picture").Parse(pictureText))

// Picture writes the dashboard as one self-contained HTML page: the same panels, drawn
// from data between from and to. The page starts with alarms that are in ALARM at the
// end, or were. For each panel it describes in words what it shows and when the alarm
// fires. Panels without data are collapsed. The set must be resolved. It returns an error
// of the writer, and an error for an expression that package eval does not compute.
func Picture(w io.Writer, s alarms.Set, data eval.Data, from, to time.Time) error {
	page := picturePage{Name: s.Name, From: from.UTC().Format(time.DateTime), To: to.UTC().Format(time.DateTime), Limits: eval.Limits, CSS: template.CSS(pagestyle.Palette + pictureCSS)}
	counts := map[standing]int{}
	for _, p := range Panels(s) {
		panel, err := draw(p, s.Prefix, data, from, to)
		if err != nil {
			return err
		}
		for _, state := range panel.States {
			counts[state.standing]++
		}
		switch {
		case panel.standing <= wasInAlarm:
			page.Alarmed = append(page.Alarmed, panel)
		case panel.standing == noData:
			page.Empty = append(page.Empty, panel)
		default:
			page.Fine = append(page.Fine, panel)
		}
	}
	slices.SortStableFunc(page.Alarmed, func(a, b picturePanel) int {
		return cmp.Or(cmp.Compare(a.standing, b.standing), strings.Compare(string(a.severity), string(b.severity))) // critical before warning
	})
	for _, one := range []struct {
		of   standing
		text string
	}{{inAlarm, "in alarm"}, {wasInAlarm, "was in alarm before"}, {fine, "fine"}, {noData, "without data"}} {
		if n := counts[one.of]; n > 0 || one.of == inAlarm {
			page.Counts = append(page.Counts, pictureCount{n, one.text, one.of.class()})
		}
	}
	if err := pictureTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

type picturePage struct {
	Name, From, To, Limits string
	CSS                    template.CSS
	Counts                 []pictureCount
	Alarmed, Fine, Empty   []picturePanel
}

type pictureCount struct {
	N           int
	Text, Class string
}

// standing is the state of an alarm over the drawn time, the worst first.
type standing int

const (
	inAlarm standing = iota // at the end
	wasInAlarm
	fine
	noData
)

func (s standing) class() string { return [...]string{"now", "was", "fine", "none"}[s] }

type pictureState struct {
	standing
	Name, Severity, Text string
}

// Class returns the CSS class of the state.
func (s pictureState) Class() string { return s.class() }

// Class returns the CSS class of the panel.
func (p picturePanel) Class() string { return p.class() }

type picturePanel struct {
	standing
	severity alarms.Severity

	Title, Section, What, Runbook, Shown string
	Rules                                []pictureRule
	States                               []pictureState
	drawing
}

// pictureRule describes when an alarm of the panel is in ALARM.
type pictureRule struct{ Severity, Text string }

func draw(p Panel, prefix string, data eval.Data, from, to time.Time) (picturePanel, error) {
	out := picturePanel{standing: noData, severity: alarms.Warning, Title: p.Title, Section: p.Section, Shown: shown(p.Alarms[0])}
	out.What, out.Runbook = what(p.Alarms[0])
	points, known, err := eval.Datapoints(p.Alarms[0], data)
	if err != nil {
		return out, fmt.Errorf("draw %s: %w", p.Title, err)
	}
	var reports []eval.Report
	for _, a := range p.Alarms {
		report, err := eval.Backtest(a, data, from, to, 0)
		if err != nil {
			return out, fmt.Errorf("draw %s: %w", p.Title, err)
		}
		reports = append(reports, report)
		state := stateOf(strings.TrimPrefix(a.Name, prefix), a, report)
		if state.Name == p.Title {
			state.Name = "It"
		}
		out.States = append(out.States, state)
		out.Rules = append(out.Rules, pictureRule{string(a.Meta.Severity), rule(a)})
		if state.standing < out.standing || state.standing == out.standing && a.Meta.Severity == alarms.Critical {
			out.standing, out.severity = state.standing, a.Meta.Severity
		}
	}
	if known && len(points) > 0 && out.standing != noData {
		out.drawing = newDrawing(p.Alarms, reports, points, from, to)
		out.Says = p.Title + ": " + out.Says + out.inWords()
	} else {
		out.standing = noData
	}
	return out, nil
}

// inWords describes the states of the panel's alarms, for screen readers.
func (p *picturePanel) inWords() string {
	text := ""
	for _, s := range p.States {
		text += "; " + s.Name + " " + s.Text
	}
	return text
}

func stateOf(name string, a alarms.Alarm, r eval.Report) pictureState {
	s := pictureState{noData, name, string(a.Meta.Severity), "has no data"}
	if !r.Known {
		return s
	}
	stretches := alarmed(r)
	all := time.Duration(0)
	for _, in := range stretches {
		all += in.end.Sub(in.begin)
	}
	switch n := len(stretches); {
	case n == 0:
		s.standing, s.Text = fine, "was never in alarm"
	case stretches[n-1].end.Equal(r.To):
		s.standing, s.Text = inAlarm, "is in alarm since "+clock(stretches[n-1].begin, r)
	default:
		last := stretches[n-1]
		s.standing, s.Text = wasInAlarm, fmt.Sprintf("was in alarm from %s to %s", clock(last.begin, r), clock(last.end, r))
	}
	if n := len(stretches); n > 1 {
		s.Text += fmt.Sprintf(", %d times, for %s in all", n, minutes(all))
	} else if n == 1 {
		s.Text += ", for " + minutes(all)
	}
	return s
}

// clock formats a time, with the day if the drawn time has several.
func clock(at time.Time, r eval.Report) string {
	if r.To.Sub(r.From) > 24*time.Hour {
		return at.UTC().Format("Jan 2 15:04")
	}
	return at.UTC().Format("15:04")
}

type stretch struct{ begin, end time.Time }

// alarmed returns the times in ALARM.
func alarmed(r eval.Report) (list []stretch) {
	begin := r.From
	in := len(r.Transitions) > 0 && r.Transitions[0].From == eval.InAlarm || len(r.Transitions) == 0 && r.Pages > 0
	for _, t := range r.Transitions {
		if in {
			list = append(list, stretch{begin, t.At})
		}
		begin, in = t.At, t.To == eval.InAlarm
	}
	if in {
		list = append(list, stretch{begin, r.To})
	}
	return list
}
