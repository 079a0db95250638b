package app

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	part = template.Must(template.New("application").Parse(pageHTML))
)

// policy is the page's Content-Security-Policy: its own style, its own script and its own
// server only.
var policy = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; style-src " +
	pagestyle.Hash(pagestyle.Palette+pageCSS) + "; script-src " + pagestyle.Hash(pageJS)

// page serves the application's part of the page. It contains no token.
func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	_ = part.Execute(w, map[string]any{"CSS": template.CSS(pagestyle.Palette + pageCSS), "JS": template.JS(pageJS)}) // the user can reload the page
}
