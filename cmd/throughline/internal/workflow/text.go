package workflow

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText prints the tree for a person: an event a line, below it each
// handling, below that the calls and events it caused. IDs of spans and what
// they link to stand at the end of the line, eight digits of each.
func WriteText(out io.Writer, w *Workflow) error {
	p := &printer{}
	p.linef("%s  %s, %s, %s in %s", w.CorrelationID,
		plural(w.Events(), "event"), plural(len(w.Functions), "function"), plural(w.Spans, "span"), took(w.End.Sub(w.Start)))
	for i, e := range w.Roots {
		p.event(e, "", i == len(w.Roots)-1 && len(w.Unlinked) == 0)
	}
	for i, h := range w.Unlinked {
		p.handling(h, "", i == len(w.Unlinked)-1)
	}
	_, err := io.WriteString(out, p.b.String())
	return err
}

type printer struct{ b strings.Builder }

func (p *printer) linef(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func branch(last bool) (here, below string) {
	if last {
		return "└─ ", "   "
	}
	return "├─ ", "│  "
}

func (p *printer) event(e *Event, indent string, last bool) {
	here, below := branch(last)
	facts := []string{e.Type, e.ID}
	if s := e.Published; s != nil {
		facts = append(facts, "from "+s.Service)
		if size, ok := s.Number("throughline.entry.size"); ok {
			facts = append(facts, bytesText(size))
		}
		if s.Error {
			facts = append(facts, "FAILED "+s.Message)
		}
		facts = append(facts, p.ids(s))
	}
	if e.Gap != "" {
		facts = append(facts, "("+e.Gap+")")
	}
	p.linef("%s%s%s", indent, here, join(facts))
	for i, h := range e.Handled {
		p.handling(h, indent+below, i == len(e.Handled)-1)
	}
}

func (p *printer) handling(h *Handling, indent string, last bool) {
	here, below := branch(last)
	s := h.Span
	facts := []string{"⇢ " + s.Service, took(s.End.Sub(s.Start))}
	if lag, ok := s.Number("throughline.lag_ms"); ok {
		facts = append(facts, "lag "+took(time.Duration(lag*float64(time.Millisecond))))
	}
	if s.Text("faas.coldstart") == "true" {
		facts = append(facts, "cold start")
	}
	if hops := s.Text("throughline.hops"); hops != "" {
		facts = append(facts, "hop "+hops)
	}
	if kind := s.Text("throughline.repeat.kind"); kind != "" {
		facts = append(facts, strings.ToUpper(kind))
	}
	if early, ok := s.Number("throughline.order.early_ms"); ok {
		facts = append(facts, fmt.Sprintf("OUT OF ORDER, its child came %s earlier", took(time.Duration(early*float64(time.Millisecond)))))
	}
	if s.Error {
		facts = append(facts, "ERROR "+s.Message)
	}
	facts = append(facts, p.ids(s))
	p.linef("%s%s%s", indent, here, join(facts))
	inner := indent + below
	rest := len(h.Outbound) + len(h.Published)
	for _, c := range h.Outbound {
		rest--
		p.outbound(c, inner, rest == 0)
	}
	for _, e := range h.Published {
		rest--
		p.event(e, inner, rest == 0)
	}
}

func (p *printer) outbound(s *Span, indent string, last bool) {
	here, _ := branch(last)
	facts := []string{s.Name, s.Text("http.response.status_code"), took(s.End.Sub(s.Start))}
	if id := headerText(s, "x-request-id"); id != "" {
		facts = append(facts, "X-Request-ID "+id)
	}
	facts = append(facts, p.ids(s))
	p.linef("%s%s%s", indent, here, join(facts))
}

// headerText is a recorded response header; the conventions make it a list.
func headerText(s *Span, name string) string {
	key := "http.response.header." + name
	if list, ok := s.Attributes[key].([]any); ok && len(list) > 0 {
		text, _ := list[0].(string)
		return text
	}
	return s.Text(key)
}

func (p *printer) ids(s *Span) string {
	parts := []string{short(s.ID.Span)}
	for _, l := range s.Links {
		parts = append(parts, l.Why+"→"+short(l.To.Span))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}

func join(facts []string) string {
	kept := facts[:0:0]
	for _, f := range facts {
		if f != "" {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, "  ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func took(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
}

func bytesText(n float64) string {
	if n < 1000 {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.1f KB", n/1000)
}
