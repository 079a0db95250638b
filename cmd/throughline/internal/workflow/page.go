package workflow

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// WriteHTML writes one page that needs no network and no server: the trees, a
// timeline over functions with the links drawn, sizes and durations, a search.
func WriteHTML(out io.Writer, workflows []*Workflow) error {
	documents := make([]Document, len(workflows))
	for i, w := range workflows {
		documents[i] = w.Document()
	}
	data, err := json.Marshal(documents) // escapes <, > and &, so it cannot end its script element
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := page.Execute(out, template.JS(data)); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
