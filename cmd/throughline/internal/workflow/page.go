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

// pageHead and pageTail are the page before and after its data. The page's
// Content-Security-Policy allows only this style and script: the page makes no request,
// and no text of a span can run.
var pageHead, pageTail = func() (head, tail string) {
	script, style := pageJS+chartsJS, pagestyle.Palette+pageCSS
	policy := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action 'none'", pagestyle.Hash(style), pagestyle.Hash(script))
	whole := strings.NewReplacer("{{csp}}", policy, "{{css}}", style, "{{js}}", script).Replace(pageHTML)
	head, tail, _ = strings.Cut(whole, "{{data}}")
	return head, tail
}()

// WriteHTML writes one self-contained page: the trees, a timeline of functions with
// links, sizes and durations, and a search.
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

// WriteDocuments writes the data of the page of [WriteHTML] as JSON. The page's function
// replaceDocuments shows it instead of the page's own data.
func WriteDocuments(out io.Writer, workflows []*Workflow) error {
	documents := make([]pageDocument, len(workflows))
	for i, w := range workflows {
		documents[i] = newPageDocument(w.Document())
	}
	// The encoder escapes <, > and &, so that no string ends the element.
	if err := json.NewEncoder(out).Encode(documents); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// pageDocument is a [Document] in the form of the page, which is half as long: a link is
// [why, node], or [why, span ID, sampled] if its target is not in the page, and the start
// of a span is its offset.
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
