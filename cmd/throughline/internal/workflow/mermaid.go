package workflow

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/internal/lineage"
)

// MermaidEdges is Mermaid's default limit of arrows, maxEdges.
const MermaidEdges = 500

// WriteMermaid writes the workflow as a Mermaid flowchart. Events are boxes, hops are
// slanted boxes, and handlings are arrows, labelled with the function and how it was
// caused. Arrows without a span link are dotted.
func WriteMermaid(out io.Writer, w *Workflow) error {
	m := bufio.NewWriter(out)
	m.WriteString("flowchart LR\n")
	for i := range w.Nodes {
		n := &w.Nodes[i]
		switch {
		case n.Kind == KindEvent || n.Kind == KindHop:
			shape := "[\"%s\"]"
			if n.Kind == KindHop {
				shape = "[/\"%s\"/]"
			}
			fmt.Fprintf(m, "  n%d"+shape+"\n", i, label(n))
			if n.Parent < 0 {
				continue
			}
			h := &w.Nodes[n.Parent]
			if h.Kind == KindHandling && h.Parent >= 0 {
				fmt.Fprintf(m, "  n%d %s|\"%s\"| n%d\n", h.Parent, arrow(h), handler(h), i)
			} else { // a function without a known cause
				fmt.Fprintf(m, "  n%d --> n%d\n", n.Parent, i)
			}
		case n.Kind == KindHandling && n.Parent < 0:
			fmt.Fprintf(m, "  n%d([\"%s\"])\n", i, handler(n))
		case n.Kind == KindHandling && !w.publishes(i):
			fmt.Fprintf(m, "  n%d([\"%s\"])\n  n%d %s n%d\n", i, handler(n)+"<br/>"+took(n.Span.Duration()), n.Parent, arrow(n), i)
		}
	}
	if err := m.Flush(); err != nil {
		return fmt.Errorf("write Mermaid: %w", err)
	}
	return nil
}

// arrow returns the arrow for the evidence of a handling.
func arrow(h *Node) string {
	if h.Edge.How == Joined || h.Edge.How == Inferred {
		return "-.->"
	}
	return "-->"
}

// publishes reports whether an event or a hop is below the handling at i.
func (w *Workflow) publishes(i int) bool {
	for j := i + 1; j < len(w.Nodes) && w.Nodes[j].Depth > w.Nodes[i].Depth; j++ {
		if w.Nodes[j].Parent == i && (w.Nodes[j].Kind == KindEvent || w.Nodes[j].Kind == KindHop) {
			return true
		}
	}
	return false
}

func label(n *Node) string {
	text := MermaidText(n.Type)
	switch {
	case n.Kind == KindHop && n.Span != nil:
		return MermaidText(n.Span.Name)
	case text == "":
		text = "event"
	}
	if n.EventID != "" {
		text += "<br/>" + MermaidText(n.EventID)
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
	text := MermaidText(h.Span.Service)
	if kind := h.Span.Text(lineage.AttrRepeatKind); kind != "" {
		text += " (" + MermaidText(kind) + ")"
	}
	if h.Span.Error && h.Failed() {
		text += " (error)"
	}
	if edge := edgeText(h.Edge); edge != "" {
		text += "<br/>" + MermaidText(edge)
	}
	return text
}

// entities replace characters that are markup to Mermaid or HTML. Mermaid looks for its
// directives, %%{init: …}%%, in the whole text, including labels.
var entities = strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "#", "#35;", "`", "#96;", "|", "#124;",
	"%", "#37;", "{", "#123;", "}", "#125;", `\`, "#92;")

// MermaidText returns a text from outside as a part of a label in double quotes.
func MermaidText(s string) string { return entities.Replace(Clean(s)) }
