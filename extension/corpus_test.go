package extension

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/lineage/lineagetest"
	"github.com/throughline/throughline/tracing/otlp"
)

// The corpus as Lambda hands it over through the layer's runtime endpoint, where
// it is held before it is handed on, and where it is read as it passes: its spans
// tell what the library's tell.
func TestCorpus(t *testing.T) {
	for name, length := range map[string]bool{"Held": true, "Streamed": false} {
		t.Run(name, func(t *testing.T) {
			for _, c := range lineagetest.Corpus() {
				t.Run(c.Name, func(t *testing.T) {
					told := throughRuntime(t, c.Payload, length)
					c.Check(t, &told)
				})
			}
		})
	}
}

// throughRuntime hands a payload to a runtime, with or without its length, and
// returns what the span of its handling tells.
func throughRuntime(t *testing.T, payload string, length bool) lineagetest.Span {
	t.Helper()
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/next") {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0")
		if length {
			w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
		} else {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, payload)
	}))
	t.Cleanup(l.Close)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	if _, body := get(t, url+runtimePath+"next"); body != payload {
		t.Fatalf("handed on as %.200q", body)
	}
	var told lineagetest.Span
	delivery := d.inFlight.Find("").Delivery
	delivery.Each(func(e *lineage.Event) { told.Events = append(told.Events, strings.Clone(e.ID)) })
	post(t, url+runtimePath+"request-1/response", "{}")
	if d.count() != 1 {
		t.Fatalf("%d spans", d.count())
	}
	read(t, d.spans[0], &told)
	return told
}

// read reads the one span in a request.
func read(t *testing.T, request []byte, told *lineagetest.Span) {
	t.Helper()
	type value map[string]any
	type attributes []struct {
		Key   string
		Value value
	}
	var body struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					Name       string
					Kind       int
					Attributes attributes
					Links      []struct {
						TraceID, SpanID string
						Attributes      attributes
					}
				}
			}
		}
	}
	line, err := otlp.AppendJSON(nil, request)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &body); err != nil {
		t.Fatal(err)
	}
	s := body.ResourceSpans[0].ScopeSpans[0].Spans[0]
	told.Name, told.Kind, told.Attributes = s.Name, map[int]string{2: "SERVER", 5: "CONSUMER"}[s.Kind], map[string][]string{}
	each := func(list attributes, do func(key, value string)) {
		for _, a := range list {
			for kind, value := range a.Value {
				if kind != "arrayValue" {
					do(a.Key, fmt.Sprint(value))
					continue
				}
				values, _ := value.(map[string]any)["values"].([]any)
				for _, element := range values {
					do(a.Key, fmt.Sprint(element.(map[string]any)["stringValue"]))
				}
			}
		}
	}
	each(s.Attributes, func(key, value string) { told.Attributes[key] = append(told.Attributes[key], value) })
	for _, l := range s.Links {
		link := lineagetest.Link{To: "00-" + l.TraceID + "-" + l.SpanID}
		each(l.Attributes, func(key, value string) {
			switch key {
			case lineage.AttrLink:
				link.Why = value
			case lineage.AttrEventID, lineage.AttrCorrelationID:
				link.ID = value
			case "messaging.message.id":
				link.Message = value
			}
		})
		told.Links = append(told.Links, link)
	}
}
