package devcmd

import (
	"context"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	page = template.Must(template.New("page").Parse(pageHTML))
)

// policy is the page's Content-Security-Policy: its own style, its own script and its own
// server only.
var policy = "default-src 'none'; connect-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src " +
	pagestyle.Hash(pagestyle.Palette+pageCSS) + "; script-src " + pagestyle.Hash(pageJS)

// patience bounds how long a request for changes waits.
const patience = 25 * time.Second

// pages serves the list of workflows, their trees and the map to this machine's browser.
// Requests for changes end when stopped ends. played, if not nil, serves /app/ for the
// application.
func pages(stopped context.Context, s *store, at started, played http.Handler) http.Handler {
	token := newToken()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		html(w, policy)
		_ = page.Execute(w, map[string]any{ // the user can reload the page
			"CSS": template.CSS(pagestyle.Palette + pageCSS), "JS": template.JS(pageJS), "Variables": append(at.variables(), "OTEL_SERVICE_NAME=my-service"), "Token": token, "Played": played != nil,
		})
	})
	mux.HandleFunc("GET /api/workflows", func(w http.ResponseWriter, r *http.Request) {
		if after, err := strconv.Atoi(r.URL.Query().Get("after")); err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			defer context.AfterFunc(stopped, cancel)()
			s.Wait(ctx, after)
		}
		answer(w, s.list(r.Context(), strings.TrimSpace(r.URL.Query().Get("find"))))
	})
	mux.HandleFunc("GET /api/workflow", func(w http.ResponseWriter, r *http.Request) {
		if tree, ok := s.asked(w, r); ok {
			w.Header().Set("Content-Type", "application/json")
			_ = workflow.WriteDocuments(w, []*workflow.Workflow{tree}) // the page repeats the request
		}
	})
	mux.HandleFunc("GET /workflow", func(w http.ResponseWriter, r *http.Request) {
		if tree, ok := s.asked(w, r); ok {
			html(w, "frame-ancestors 'self'") // the page's own policy has the rest
			_ = workflow.WriteHTML(w, []*workflow.Workflow{tree})
		}
	})
	mux.HandleFunc("GET /map", func(w http.ResponseWriter, r *http.Request) { s.serveMap(w, r) })
	mux.HandleFunc("POST /api/clear", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Clear(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return own(token, mux, played)
}

func html(w http.ResponseWriter, policy string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the page repeats the request
}

// keyOf returns the workflow or trace of a request: id is a correlation ID, trace a trace
// ID. ok is false if the request has neither.
func keyOf(r *http.Request) (k key, ok bool) {
	q := r.URL.Query()
	if trace := q.Get("trace"); trace != "" {
		return key{trace: true, id: strings.ToLower(trace)}, true
	}
	return key{id: q.Get("id")}, q.Get("id") != ""
}

// asked returns the tree of a request. If ok is false, it has already sent an error
// response.
func (s *store) asked(w http.ResponseWriter, r *http.Request) (tree *workflow.Workflow, ok bool) {
	k, ok := keyOf(r)
	if !ok {
		http.Error(w, "name a workflow with ?id=CORRELATION_ID, or a trace with ?trace=TRACE_ID", http.StatusBadRequest)
		return nil, false
	}
	tree, err := s.Tree(r.Context(), k)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, false
	}
	return tree, true
}

// listed is the maximum number of workflows in a response.
const listed = 500

// listing is the response of /api/workflows: the matching workflows that ended last.
type listing struct {
	Version   int   `json:"version"`
	Found     int   `json:"found"`
	Workflows []row `json:"workflows"`
}

type row struct {
	CorrelationID string    `json:"correlation_id,omitempty"`
	TraceID       string    `json:"trace_id,omitempty"` // for a trace that belongs to no workflow
	Name          string    `json:"name,omitempty"`     // for such a trace: the name of its first span
	Start         time.Time `json:"start"`
	DurationMS    float64   `json:"duration_ms"`
	Spans         int       `json:"spans"`
	Errors        int       `json:"errors,omitempty"`
	Repeats       int       `json:"repeats,omitempty"`
	Hops          float64   `json:"hops,omitempty"`
	Loop          bool      `json:"loop,omitempty"` // more hops than the limit for a loop
	Functions     []string  `json:"functions,omitempty"`
	Changed       int       `json:"changed"` // the version of the last change
}

// list returns the workflows that contain a text or, if none does, the workflow of the
// event with that ID.
func (s *store) list(ctx context.Context, text string) listing {
	entries, found, version := s.List(strings.ToLower(text), listed)
	if found == 0 && text != "" {
		if id, err := s.file().CorrelationOf(ctx, text); err == nil && id != "" {
			all, _, _ := s.List(strings.ToLower(id), listed)
			for _, e := range all {
				if !e.trace && e.id == id {
					entries, found = append(entries, e), 1
				}
			}
		}
	}
	l := listing{version, found, []row{}}
	for _, e := range entries {
		one := row{
			Start: e.start.UTC(), DurationMS: float64(e.end.Sub(e.start).Microseconds()) / 1000, Spans: e.spans, Errors: e.errors, Repeats: e.repeats,
			Hops: e.hops, Loop: e.hops > lineage.DefaultMaxHops, Functions: e.functions, Changed: e.changed,
		}
		if one.CorrelationID = e.id; e.trace {
			one.CorrelationID, one.TraceID, one.Name = "", e.id, e.root
		}
		l.Workflows = append(l.Workflows, one)
	}
	return l
}
