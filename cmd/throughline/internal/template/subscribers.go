package template

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
	"github.com/throughline/throughline/local/eventpattern"
)

// everything is a pattern that matches every event.
const everything = `{"source":[{"prefix":""}]}`

// subscriber adds the route of a subscriber of a new custom bus. It assumes a role to
// reach its target.
func (w *routing) subscriber(id string, p *yamltree.Node) {
	route := Route{Rule: w.shown(id), Bus: w.newBus(id, p.Get("EventBusArn")), Disabled: w.is(p.Get("State"), "stopped")}
	route.Pattern, route.Beyond = w.filters(p.At("FilterConfiguration", "Filters"))
	target := w.to(p.At("InvokeConfiguration", "TargetArn"), true)
	if queue, ok := w.resource(p.At("OnFailureConfiguration", "Arn"), "AWS::SQS::Queue"); ok {
		target.DeadLetter = w.shown(queue)
	} else if text, ok := w.text(p.At("OnFailureConfiguration", "Arn"), exact); ok {
		target.DeadLetter = literal(lastSegment(text))
	}
	route.Targets = []Endpoint{target}
	w.routes = append(w.routes, route)
}

// newBus returns the name of a subscriber's bus.
func (w *routing) newBus(id string, n *yamltree.Node) string {
	if of, ok := w.resource(n, newBusType); ok {
		return w.shown(of)
	}
	if text, ok := w.text(n, exact); ok {
		name, _, _ := strings.Cut(NewBusDimension(literal(text)), "/")
		return name
	}
	return strings.Join(append([]string{id + "'s bus"}, references(n)...), " ")
}

// filters returns the filters of a subscriber, which an event must all match, as one
// pattern.
func (w *routing) filters(n *yamltree.Node) (json.RawMessage, string) {
	all := map[string]any{}
	var beyond []string
	for _, filter := range w.list(n) {
		scope := (&Template{w.resolver}).Scalar(filter.Get("Scope"))
		if scope != "DATA" {
			beyond = append(beyond, "its filter on "+scope)
			continue
		}
		text, _ := w.text(filter.Get("Pattern"), exact)
		var pattern map[string]any
		if json.Unmarshal([]byte(literal(text)), &pattern) != nil {
			beyond = append(beyond, "a filter that the template does not have")
			continue
		}
		if twice := eventpattern.Merge(all, pattern); twice != "" {
			beyond = append(beyond, fmt.Sprintf("a second filter on %s", twice))
		}
	}
	text, _ := json.Marshal(all) // it was parsed from JSON
	if len(all) == 0 {
		text = []byte(everything)
	}
	return text, strings.Join(beyond, ", ")
}
