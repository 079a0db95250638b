package workflow

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/tracing"
)

// MermaidEdges is how many arrows Mermaid draws unless its maxEdges is raised.
const MermaidEdges = 500

// WriteMermaid writes the workflow as a Mermaid flowchart: a box an event, an
// arrow a handling, named by the function that handled it.
func WriteMermaid(out io.Writer, w *Workflow) error {
	m := bufio.NewWriter(out)
	m.WriteString("flowchart LR\n")
	for i := range w.Nodes {
		n := &w.Nodes[i]
		switch {
		case n.Kind == KindEvent:
			fmt.Fprintf(m, "  n%d[\"%s\"]\n", i, label(n))
			if n.Parent >= 0 {
				h := &w.Nodes[n.Parent]
				fmt.Fprintf(m, "  n%d -->|\"%s\"| n%d\n", h.Parent, handler(h), i)
			}
		case n.Kind == KindHandling && !w.publishes(i):
			fmt.Fprintf(m, "  n%d([\"%s\"])\n  n%d --> n%d\n", i, handler(n)+"<br/>"+took(n.Span.Duration()), n.Parent, i)
		}
	}
	if err := m.Flush(); err != nil {
		return fmt.Errorf("write Mermaid: %w", err)
	}
	return nil
}

// publishes tells whether an event stands below the handling at i.
func (w *Workflow) publishes(i int) bool {
	for j := i + 1; j < len(w.Nodes) && w.Nodes[j].Depth > w.Nodes[i].Depth; j++ {
		if w.Nodes[j].Parent == i && w.Nodes[j].Kind == KindEvent {
			return true
		}
	}
	return false
}

func label(n *Node) string {
	text := mermaidText(n.Type)
	if text == "" {
		text = "event"
	}
	if n.EventID != "" {
		text += "<br/>" + mermaidText(n.EventID)
	}
	if n.Gap != "" {
		text += "<br/>(" + n.Gap.Explain() + ")"
	}
	return text
}

func handler(h *Node) string {
	if h.Span == nil {
		return "(" + h.Gap.Explain() + ")"
	}
	text := mermaidText(h.Span.Service)
	if kind := h.Span.Text(tracing.AttrRepeatKind); kind != "" {
		text += " (" + mermaidText(kind) + ")"
	}
	if h.Span.Error {
		text += " (error)"
	}
	return text
}

// mermaidText writes what would be markup, to Mermaid or to HTML, as Mermaid's entities.
func mermaidText(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "#", "#35;", "`", "#96;", "|", "#124;").Replace(Clean(s))
}
