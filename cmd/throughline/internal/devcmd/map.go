package devcmd

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/topology"
)

var (
	//go:embed map.html
	mapHTML string
	//go:embed map.css
	mapCSS string

	mapPage = template.Must(template.New("map").Funcs(template.FuncMap{
		"bytes": phrase.Bytes, "join": strings.Join, "find": find, "class": class,
		"half": func(from, length int) int { return from + length/2 }, "tones": func() []string { return []string{"", "error", "repeat"} },
	}).Parse(mapHTML))
)

// mapPolicy is the map's Content-Security-Policy: its own style only.
var mapPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; style-src " + pagestyle.Hash(pagestyle.Palette+mapCSS)

// class returns the CSS class of a box for its kind.
func class(kind string) string {
	if kind == "function" || kind == "event" {
		return kind
	}
	return "other"
}

// find returns the address of the page with the workflows that contain a name.
func find(name string) string { return "/#find=" + url.QueryEscape(name) }

// serveMap serves the map of all spans, or of the workflow in the request.
func (s *store) serveMap(w http.ResponseWriter, r *http.Request) {
	var g topology.Graph
	of, one := keyOf(r)
	err := s.spansOf(r, of, one, &g)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	html(w, mapPolicy)
	document := g.Document(g.Join(nil, true))
	drawing, drawn := document.Draw()
	_ = mapPage.Execute(w, map[string]any{ // the user can reload the page
		"CSS": template.CSS(pagestyle.Palette + mapCSS), "Map": document, "One": one, "Of": of.id, "Drawing": drawing, "Drawn": drawn && len(drawing.Boxes) > 0,
	})
}

func (s *store) spansOf(r *http.Request, of key, one bool, g *topology.Graph) error {
	if !one {
		return spanstore.Each(r.Context(), s.file(), spanstore.Tell{}, g.Add)
	}
	tree, err := s.Tree(r.Context(), of)
	if err != nil {
		return err
	}
	for i := range tree.Nodes {
		if span := tree.Nodes[i].Span; span != nil {
			_ = g.Add(span) // this Add returns no error
		}
	}
	return nil
}
