package workflow

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/throughline/throughline/tracing"
)

// WriteText prints the tree for a person: an event a line, below it each
// handling, below that the calls and events that it caused. +TIME is since the
// workflow began. IDs of spans and what they link to stand at the end of the
// line, eight digits of each. What spans say is printed without the control
// characters that a terminal would obey.
func WriteText(out io.Writer, w *Workflow) error {
	p := printer{out: bufio.NewWriter(out), w: w, last: lastOf(w.Nodes)}
	p.header()
	for i := range w.Nodes {
		p.node(i)
	}
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write tree: %w", err)
	}
	return nil
}

type printer struct {
	out  *bufio.Writer
	w    *Workflow
	last []bool // of each node: it is the last below its parent
	open []bool // of each depth above: a line goes on to a later node
}

// lastOf tells of each node whether no later one has its parent.
func lastOf(nodes []Node) []bool {
	last, seen := make([]bool, len(nodes)), make([]bool, len(nodes)+1)
	for i := len(nodes) - 1; i >= 0; i-- {
		last[i] = !seen[nodes[i].Parent+1]
		seen[nodes[i].Parent+1] = true
	}
	return last
}

func (p *printer) header() {
	c := p.w.Counts
	facts := []string{plural(c.Events, "event"), plural(len(p.w.Functions), "function"), plural(c.Spans, "span")}
	for _, f := range []struct {
		n    int
		noun string
	}{{c.Repeats, "repeat"}, {c.Errors, "error"}, {c.Gaps, "gap"}} {
		if f.n > 0 {
			facts = append(facts, plural(f.n, f.noun))
		}
	}
	began := ""
	if !p.w.Start.IsZero() {
		began = ", from " + p.w.Start.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	fmt.Fprintf(p.out, "%s  %s in %s%s\n", Clean(p.w.CorrelationID), strings.Join(facts, ", "), took(p.w.Duration()), began)
}

// shown is how many levels are drawn; deeper ones say their number instead.
const shown = 24

func (p *printer) node(i int) {
	n := &p.w.Nodes[i]
	p.open = append(p.open[:min(n.Depth, len(p.open))], !p.last[i])
	for _, goesOn := range p.open[:min(n.Depth, shown)] {
		if goesOn {
			p.out.WriteString("│  ")
		} else {
			p.out.WriteString("   ")
		}
	}
	if n.Depth > shown {
		fmt.Fprintf(p.out, "⋯%d ", n.Depth)
	}
	if p.last[i] {
		p.out.WriteString("└─ ")
	} else {
		p.out.WriteString("├─ ")
	}
	for k, fact := range p.facts(n) {
		if k > 0 {
			p.out.WriteString("  ")
		}
		p.out.WriteString(fact)
	}
	p.out.WriteByte('\n')
}

func (p *printer) facts(n *Node) []string {
	var facts []string
	switch {
	case n.Kind == KindEvent:
		facts = p.event(n)
	case n.Kind == KindCall:
		facts = p.call(n.Span)
	case n.Span == nil:
		facts = []string{"⇢"}
	default:
		facts = p.handling(n)
	}
	if n.Gap != "" {
		facts = append(facts, "("+n.Gap.Explain()+")")
	}
	kept := facts[:0]
	for _, f := range facts {
		if f != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

func (p *printer) since(s *Span) string { return "+" + took(s.Start.Sub(p.w.Start)) }

func (p *printer) event(n *Node) []string {
	facts := []string{Clean(n.Type), Clean(n.EventID)}
	if n.Type == "" && n.EventID == "" {
		facts[0] = "event"
	}
	s := n.Span
	if s == nil {
		return facts
	}
	facts = append(facts, "from "+Clean(s.Service), p.since(s))
	if size, ok := s.Number(tracing.AttrEntrySize); ok {
		facts = append(facts, bytesText(size))
	}
	if s.Error {
		facts = append(facts, strings.TrimSpace("FAILED "+Clean(s.Message)))
	}
	return append(facts, ids(s))
}

func (p *printer) handling(n *Node) []string {
	s := n.Span
	facts := []string{"⇢ " + Clean(s.Service), p.since(s), "took " + took(s.Duration())}
	if lag, ok := s.Number(tracing.AttrLag); ok {
		facts = append(facts, "lag "+took(milliseconds(lag)))
	}
	if s.Text("faas.coldstart") == "true" {
		facts = append(facts, "cold start")
	}
	if hops := s.Text(tracing.AttrHops); hops != "" {
		facts = append(facts, "hop "+Clean(hops))
	}
	if size, ok := s.Number("messaging.batch.message_count"); ok {
		facts = append(facts, fmt.Sprintf("batch of %.0f", size))
	}
	facts = append(facts, repeat(s))
	if early, ok := s.Number(tracing.AttrOrderEarly); ok {
		facts = append(facts, fmt.Sprintf("OUT OF ORDER, its child came %s earlier", took(milliseconds(early))))
	}
	if dropped := s.Text(tracing.AttrLinksDropped); dropped != "" {
		facts = append(facts, Clean(dropped)+" links dropped")
	}
	if s.Error {
		facts = append(facts, strings.TrimSpace("ERROR "+Clean(s.Message)))
	}
	if n.Again > 0 {
		facts = append(facts, "the same batch as above")
	}
	return append(facts, ids(s))
}

// repeat says what kind of repeat a handling was, and of which request.
func repeat(s *Span) string {
	kind := s.Text(tracing.AttrRepeatKind)
	if kind == "" {
		return ""
	}
	text := strings.ToUpper(Clean(kind))
	if count, ok := s.Number(tracing.AttrRepeatCount); ok && count > 1 {
		text += fmt.Sprintf(" no. %.0f", count)
	}
	if id := s.Text(tracing.AttrRepeatFirstRequest); id != "" {
		text += " of request " + Clean(short(id))
	}
	return text
}

func (p *printer) call(s *Span) []string {
	facts := []string{Clean(s.Name), Clean(s.Text("http.response.status_code")), p.since(s), "took " + took(s.Duration())}
	if s.Error && s.Text("http.response.status_code") == "" {
		facts = append(facts, "ERROR "+Clean(s.Text("error.type")))
	}
	if resend := s.Text("http.request.resend_count"); resend != "" {
		facts = append(facts, "resend "+Clean(resend))
	}
	if id := s.header("x-request-id"); id != "" {
		facts = append(facts, "X-Request-ID "+Clean(id))
	}
	return append(facts, ids(s))
}

func ids(s *Span) string {
	parts := []string{short(s.ID.Span)}
	for i, l := range s.Links {
		const most = 8
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.Links)-most))
			break
		}
		parts = append(parts, l.Why+"→"+short(l.To.Span))
	}
	return Clean("[" + strings.Join(parts, " ") + "]")
}

func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}

// Clean makes a string from outside harmless to a terminal, and a line of it:
// control characters and those that turn the direction of text become a dot.
func Clean(s string) string {
	const most = 300
	cut := false
	if len(s) > most {
		s, cut = s[:most], true
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return '·'
		default:
			return r
		}
	}, strings.ToValidUTF8(s, ""))
	if cut {
		s += "…"
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

func took(d time.Duration) string {
	switch {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.1f min", d.Minutes())
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
