package whycmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// printer writes lines. It makes every text from outside a part of one line.
type printer struct {
	out   io.Writer
	paint terminal.Paint
}

func (p printer) line(indent int, format string, args ...any) {
	fmt.Fprintln(p.out, strings.Repeat("  ", indent)+terminal.Line(fmt.Sprintf(format, args...)))
}

// write prints the answer for people.
func (a *Answer) write(out io.Writer) {
	p := printer{out, terminal.Painter(out)}
	a.head(p)
	if len(a.Rules) > 0 {
		fmt.Fprintln(out)
		p.line(0, "Rules in %s that match it, or may match it: %d", a.where, len(a.Rules))
		for _, m := range a.Rules {
			m.write(p)
		}
	}
	if len(a.Closest) > 0 {
		fmt.Fprintln(out)
		p.line(0, "The nearest of the rules that do not match it:")
		for _, n := range a.Closest {
			n.write(p)
		}
		if a.Other > 0 {
			p.line(1, "and %s more", phrase.Count(a.Other, "rule"))
		}
	}
	a.evidence(p)
}

// head prints the event and the result.
func (a *Answer) head(p printer) {
	e := a.Event
	text := "event " + e.ID
	if e.Type != "" {
		text += "  " + e.Type
	}
	if e.Source != "" {
		text += " of " + e.Source
	}
	p.line(0, "%s", text)
	var parts []string
	if t := published(a.Trail); t != nil {
		parts = append(parts, "published by "+t.By)
	}
	if e.Bus != "" {
		parts = append(parts, "on bus "+e.Bus)
	}
	if !e.Time.IsZero() {
		parts = append(parts, "at "+e.Time.Format(time.RFC3339))
	}
	if e.Workflow != "" {
		parts = append(parts, "of workflow "+e.Workflow)
	}
	if len(parts) > 0 {
		p.line(1, "%s", strings.Join(parts, ", "))
	}
	if !e.Whole {
		p.line(1, "%s", "its detail is not known: name the file that has it with --events, or the log of the bus with --logs")
	}
	fmt.Fprintln(p.out)
	if a.Handled {
		fmt.Fprintln(p.out, p.paint.Green("It was handled."))
	} else if len(a.Reasons) > 0 {
		fmt.Fprintln(p.out, p.paint.Red("Why it was not handled:"))
	}
	for _, r := range a.Reasons {
		p.line(1, "- %s", r.What)
		if r.Next != "" {
			p.line(2, "%s", r.Next)
		}
	}
	for _, note := range a.Notes {
		p.line(0, "%s", note)
	}
}

func (m Matched) write(p printer) {
	text := "rule " + m.Rule + " on bus " + m.Bus
	if m.Disabled {
		text += "  (disabled)"
	}
	if m.Unsure != "" {
		text += "  (depends on " + m.Unsure + ")"
	}
	p.line(1, "%s", text)
	for _, o := range m.Targets {
		text := "→ " + o.Target.Kind + " " + o.Target.Name
		if o.Result != "" {
			text += "  " + o.Result
		}
		if o.Says != "" {
			text += ": " + o.Says
		}
		p.line(2, "%s", text)
		if o.Target.DeadLetter != "" {
			p.line(3, "dead letters go to %s", o.Target.DeadLetter)
		} else if o.Target.Kind != "bus" && o.Result != "dead-letter" {
			p.line(3, "no dead-letter queue: an event that is not delivered within %s, or %s, is dropped", phrase.Duration(o.Target.MaxAge), phrase.Count(o.Target.Attempts, "retry"))
		}
	}
}

func (n Near) write(p printer) {
	text := "rule " + n.Rule + " on bus " + n.Bus
	if n.Disabled {
		text += "  (disabled)"
	}
	p.line(1, "%s", text)
	if n.Wrong != "" {
		p.line(2, "its pattern is not valid: %s", n.Wrong)
	}
	for _, m := range n.Misses {
		p.line(2, "%s", m.String())
	}
}

// evidence prints what spans, the log and metrics have.
func (a *Answer) evidence(p printer) {
	if a.Trail != nil && len(a.Trail.Handlings) > 0 {
		fmt.Fprintln(p.out)
		p.line(0, "Its handlings, from spans:")
		for _, h := range a.Trail.Handlings {
			text := fmt.Sprintf("%s  %s  took %s", h.At.Format("15:04:05.000"), h.Function, phrase.Duration(h.Took))
			if h.Repeat != "" {
				text += "  " + strings.ToUpper(h.Repeat)
			}
			if h.Failed {
				text += "  ERROR " + h.Error
			}
			p.line(1, "%s", text)
		}
	}
	if len(a.Steps) > 0 {
		fmt.Fprintln(p.out)
		p.line(0, "The log of the bus:")
		for _, s := range a.Steps {
			text := fmt.Sprintf("%s  %s", s.At.Format("15:04:05.000"), s.Type)
			if s.Rule != "" {
				text += "  rule " + s.Rule
			}
			if s.Target != "" {
				text += "  " + s.Target
			}
			p.line(1, "%s", text+with(s.Error))
		}
	}
	if len(a.Counts) > 0 {
		fmt.Fprintln(p.out)
		p.line(0, "CloudWatch's metrics in the %s after it, over all events:", phrase.Duration(within))
		for _, c := range a.Counts {
			p.line(1, "%s: %s %.0f", c.Of, c.Metric, c.Sum)
		}
	}
}
