package workflow

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/lineage"
)

// WriteText prints the tree: an event a line, below it each handling, below that the
// calls and events that it caused. +TIME is the time since the workflow began. Span IDs
// and links are at the end of the line, eight digits of each, unless the tree has to fit
// a terminal, see [terminal.Fit]. Texts of spans are printed without control characters.
func WriteText(out io.Writer, w *Workflow) error {
	const hang, most = 2, 24
	err := terminal.Fit(out, hang, func(out io.Writer) error {
		p := printer{out: bufio.NewWriter(out), w: w, last: lastOf(w.Nodes), levels: most}
		if columns := terminal.Columns(out); columns > 0 {
			const level = 3 // columns; half of the width is for the text
			p.brief, p.levels = true, min(most, columns/2/level)
		}
		p.header()
		for i := range w.Nodes {
			p.node(i)
		}
		return p.out.Flush()
	})
	if err != nil {
		return fmt.Errorf("write tree: %w", err)
	}
	return nil
}

type printer struct {
	out    *bufio.Writer
	w      *Workflow
	last   []bool // for each node: whether it is the last child of its parent
	open   []bool // for each level above: whether a line continues to a later node
	brief  bool   // omit span IDs
	levels int    // the number of levels that are drawn; deeper ones show their number
}

// lastOf returns for each node whether it is the last child of its parent.
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
	facts := []string{phrase.Count(c.Events, "event"), phrase.Count(len(p.w.Functions), "function"), phrase.Count(c.Spans, "span")}
	for _, f := range []struct {
		n    int
		noun string
	}{{c.Hops, "hop"}, {c.Repeats, "repeat"}, {c.Loops, "loop"}, {c.Errors, "error"}, {c.Gaps, "gap"}} {
		if f.n > 0 {
			facts = append(facts, phrase.Count(f.n, f.noun))
		}
	}
	began := ""
	if !p.w.Start.IsZero() {
		began = ", from " + p.w.Start.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	fmt.Fprintf(p.out, "%s  %s in %s%s\n", Clean(p.w.CorrelationID), strings.Join(facts, ", "), took(p.w.Duration()), began)
	if n := len(p.w.Joined); n > 0 {
		const show = 3
		names := make([]string, 0, show)
		for _, id := range p.w.Joined[:min(n, show)] {
			names = append(names, Clean(id))
		}
		if n > show {
			names = append(names, fmt.Sprintf("%d more", n-show))
		}
		fmt.Fprintf(p.out, "joined by hops: %s\n", strings.Join(names, ", "))
	}
	if p.w.Unjoined {
		fmt.Fprintf(p.out, "hops join it to more than %d correlation IDs: the others are not shown\n", maxCorrelations)
	}
}

func (p *printer) node(i int) {
	n := &p.w.Nodes[i]
	p.open = append(p.open[:min(n.Depth, len(p.open))], !p.last[i])
	for _, goesOn := range p.open[:min(n.Depth, p.levels)] {
		if goesOn {
			p.out.WriteString("│  ")
		} else {
			p.out.WriteString("   ")
		}
	}
	if n.Depth > p.levels {
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
	case n.Kind == KindHop:
		facts = p.hop(n)
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
	if size, ok := s.Number(lineage.AttrEntrySize); ok {
		facts = append(facts, bytesText(size))
	}
	switch n.Loop {
	case LoopType:
		facts = append(facts, "LOOP, one of its causes has the same type")
	case LoopHops:
		facts = append(facts, fmt.Sprintf("LOOP, hop %.0f", s.hops()))
	}
	if s.Error {
		facts = append(facts, strings.TrimSpace("FAILED "+Clean(s.Message)))
	}
	return append(facts, changed(p.w, n), p.ids(s))
}

// hop returns the facts of a hop.
func (p *printer) hop(n *Node) []string {
	s := n.Span
	if s == nil {
		return []string{"→ " + Clean(n.Type)}
	}
	facts := []string{"→ " + Clean(s.Name), "from " + Clean(s.Service), p.since(s), "took " + took(s.Duration())}
	if count, ok := s.Number(attrBatchCount); ok {
		facts = append(facts, phrase.Count(int(count), "message"))
	}
	if size, ok := s.Number(attrBodySize); ok {
		facts = append(facts, bytesText(size))
	} else if size, ok := s.Number(attrRequestSize); ok {
		facts = append(facts, bytesText(size))
	}
	if at := s.Text(attrScheduleAt); at != "" {
		facts = append(facts, "due "+Clean(at))
	}
	if failed, ok := s.Number(lineage.AttrFailedCount); ok && failed > 0 {
		facts = append(facts, fmt.Sprintf("%.0f FAILED", failed))
	}
	if s.Error {
		facts = append(facts, strings.TrimSpace("FAILED "+Clean(cmp.Or(s.Message, s.Text("error.type")))))
	}
	return append(facts, p.ids(s))
}

// edgeText describes the evidence for the place of a handling. For an event that a link
// names, the links show it.
func edgeText(e Edge) string {
	switch {
	case e.How == "" || e.Via == ViaBus && e.How == Linked:
		return ""
	case e.By == "":
		return string(e.Via) + " " + string(e.How)
	case e.How == Inferred:
		return string(e.Via) + " " + string(e.How) + " from " + e.By
	default:
		return string(e.Via) + " " + string(e.How) + " by " + e.By
	}
}

// changed returns a correlation ID that differs from the one above.
func changed(w *Workflow, n *Node) string {
	if !w.changes(n) {
		return ""
	}
	return "CORRELATION " + Clean(n.Span.Correlation())
}

// waited describes what a handling waited for.
func (p *printer) waited(n *Node) string {
	if len(n.Waited) == 0 {
		return ""
	}
	text := fmt.Sprintf("waited for %d other %s", len(n.Waited), Clean(n.Type))
	if run := n.Span.Text(lineage.AttrRunID); run != "" {
		text += " of run " + Clean(run)
	}
	return text
}

func (p *printer) handling(n *Node) []string {
	s := n.Span
	facts := []string{"⇢ " + Clean(s.Service), p.since(s), "took " + took(s.Duration())}
	switch lag, from := p.w.Lag(n); from {
	case "":
	case LagFromEvent: // the time of publication is within that second
		facts = append(facts, "lag ≤"+took(lag))
	default:
		facts = append(facts, "lag "+took(lag))
	}
	if s.Text("faas.coldstart") == "true" {
		facts = append(facts, "cold start")
	}
	if hops := s.Text(lineage.AttrHops); hops != "" {
		facts = append(facts, "hop "+Clean(hops))
	}
	if size, ok := s.Number(attrBatchCount); ok {
		text := fmt.Sprintf("batch of %.0f", size)
		if failed, partly := s.Number(lineage.AttrFailedCount); partly {
			text += fmt.Sprintf(", %.0f failed", failed)
		}
		facts = append(facts, text)
	}
	facts = append(facts, edgeText(n.Edge), changed(p.w, n), p.waited(n), repeat(s))
	if early, ok := s.Number(lineage.AttrOrderEarly); ok {
		facts = append(facts, fmt.Sprintf("OUT OF ORDER, its child came %s earlier", took(milliseconds(early))))
	}
	if dropped := s.Text(lineage.AttrLinksDropped); dropped != "" {
		facts = append(facts, Clean(dropped)+" links dropped")
	}
	if s.Error && n.Failed() {
		facts = append(facts, failure(n))
	}
	if n.Again > 0 {
		facts = append(facts, "the same batch as above")
	}
	return append(facts, p.ids(s))
}

// failure describes the failure of a handling.
func failure(n *Node) string {
	word := "ERROR "
	if n.Span.returnedItems() {
		word = "FAILED, "
	}
	return strings.TrimRight(word+Clean(n.Error()), " ,")
}

// repeat describes the kind of repeat, and the first request.
func repeat(s *Span) string {
	kind := s.Text(lineage.AttrRepeatKind)
	if kind == "" {
		return ""
	}
	text := strings.ToUpper(Clean(kind))
	if count, ok := s.Number(lineage.AttrRepeatCount); ok && count > 1 {
		text += fmt.Sprintf(" no. %.0f", count)
	}
	if id := s.Text(lineage.AttrRepeatFirstRequest); id != "" {
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
	return append(facts, p.ids(s))
}

func (p *printer) ids(s *Span) string {
	if p.brief {
		return ""
	}
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

// Clean makes a text from outside a part of a line, with at most 300 bytes; see
// [terminal.Line].
func Clean(s string) string {
	const most = 300
	if len(s) <= most {
		return terminal.Line(s)
	}
	return terminal.Line(strings.ToValidUTF8(s[:most], "")) + "…"
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
