package workflow

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/charts.js
	chartsJS string
)

// pageHead and pageTail are the page before and after its data. Its policy
// allows this very style and script and nothing else: no request leaves it, and
// nothing that a span says could run.
var pageHead, pageTail = func() (head, tail string) {
	script, style := pageJS+chartsJS, pagestyle.Palette+pageCSS
	policy := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action 'none'", pagestyle.Hash(style), pagestyle.Hash(script))
	whole := strings.NewReplacer("{{csp}}", policy, "{{css}}", style, "{{js}}", script).Replace(pageHTML)
	head, tail, _ = strings.Cut(whole, "{{data}}")
	return head, tail
}()

// WriteHTML writes one page that needs no network and no server: the trees, a
// timeline over functions with the links drawn, sizes and durations, a search.
func WriteHTML(out io.Writer, workflows []*Workflow) error {
	page := bufio.NewWriter(out)
	page.WriteString(pageHead)
	if err := WriteDocuments(page, workflows); err != nil {
		return err
	}
	page.WriteString(pageTail)
	if err := page.Flush(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// WriteDocuments writes the data of the page that [WriteHTML] writes, as JSON: its
// function replaceDocuments shows it in the place of what the page holds.
func WriteDocuments(out io.Writer, workflows []*Workflow) error {
	documents := make([]pageDocument, len(workflows))
	for i, w := range workflows {
		documents[i] = newPageDocument(w.Document())
	}
	// The encoder escapes <, > and &, so that no string ends the element that it stands in.
	if err := json.NewEncoder(out).Encode(documents); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// pageDocument is a [Document] as the page reads it: a link is [why, node], or
// [why, span ID, sampled] where what it points at is not here, and the start of
// a span is left to its offset. It makes the page half as long.
type pageDocument struct {
	Document
	Nodes []pageNode `json:"nodes"`
}

type pageNode struct {
	NodeDoc
	Span *pageSpan `json:"span,omitempty"`
}

type pageSpan struct {
	*SpanDoc
	Start *struct{} `json:"start,omitempty"`
	Links []any     `json:"links,omitempty"`
}

func newPageDocument(d Document) pageDocument {
	at := make(map[ID]int, len(d.Nodes))
	for i := len(d.Nodes) - 1; i >= 0; i-- {
		if s := d.Nodes[i].Span; s != nil {
			at[ID{s.Trace, s.ID}] = i
		}
	}
	page := pageDocument{d, make([]pageNode, len(d.Nodes))}
	for i, n := range d.Nodes {
		page.Nodes[i].NodeDoc = n
		if n.Span == nil {
			continue
		}
		span := &pageSpan{SpanDoc: n.Span}
		for _, l := range n.Span.Links {
			if node, here := at[ID{l.Trace, l.ID}]; here {
				span.Links = append(span.Links, []any{l.Why, node})
			} else {
				span.Links = append(span.Links, []any{l.Why, l.ID, l.Sampled})
			}
		}
		page.Nodes[i].Span = span
	}
	return page
}
