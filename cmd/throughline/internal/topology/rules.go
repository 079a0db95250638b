package topology

import (
	"encoding/json"
	"fmt"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/local/eventpattern"
)

// Rule is a rule of a template with its event types, because spans do not have the rest
// of an event.
type Rule struct {
	template.Route
	types   []string              // the types in the pattern, as written
	pattern *eventpattern.Pattern // the pattern of the type only; nil matches every type
	events  bool                  // it has an event pattern
}

// Rules returns the rules of a template's routes. It returns an error for a pattern that
// EventBridge would refuse.
func Rules(routes []template.Route) ([]Rule, error) {
	rules := make([]Rule, 0, len(routes))
	for _, route := range routes {
		r := Rule{Route: route, events: route.Pattern != nil}
		var members map[string]json.RawMessage
		if route.Pattern != nil {
			if err := json.Unmarshal(route.Pattern, &members); err != nil {
				return nil, fmt.Errorf("rule %s: its event pattern is not an object", route.Rule)
			}
		}
		if types := members["detail-type"]; types != nil {
			alone, _ := json.Marshal(map[string]json.RawMessage{"detail-type": types}) // it was parsed from JSON
			pattern, err := eventpattern.Compile(alone)
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", route.Rule, err)
			}
			r.pattern = pattern
			var list []any
			_ = json.Unmarshal(types, &list) // compiled above
			for _, item := range list {
				if text, ok := item.(string); ok {
					r.types = append(r.types, text)
				}
			}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// takes reports whether the rule matches events of a type, regardless of its other
// conditions.
func (r *Rule) takes(eventType string) bool {
	if !r.events || r.Disabled {
		return false
	}
	event, _ := json.Marshal(map[string]string{"detail-type": eventType}) // strings always marshal
	return r.pattern == nil || r.pattern.Match(event)
}

// Differences are the differences between a template and the spans of its system.
type Differences struct {
	NeverMatched []string `json:"rules_never_matched,omitempty"`
	NotHandled   []string `json:"types_not_handled,omitempty"`
	NoRule       []NoRule `json:"types_without_rule,omitempty"`
}

// NoRule is a published type that no rule names. Like are similar types that rules name;
// see [eventpattern.Alike].
type NoRule struct {
	Type string   `json:"type"`
	Like []string `json:"like,omitempty"`
}

// Join compares the rules of a template with the graph of spans. If no spans were read,
// seen is false, and the graph becomes that of the rules.
func (g *Graph) Join(rules []Rule, seen bool) Differences {
	var d Differences
	for i := range rules {
		r := &rules[i]
		if !r.events || r.Disabled {
			continue
		}
		if !seen {
			for _, eventType := range r.types {
				g.at(kindEvent, eventType).routed(r)
			}
			continue
		}
		matched := false
		for _, c := range g.sorted() {
			if c.kind == kindEvent && r.takes(c.name) {
				c.matching = append(c.matching, r.Rule)
				matched = true
			}
		}
		if !matched {
			d.NeverMatched = append(d.NeverMatched, r.Rule)
		}
	}
	if !seen {
		return d
	}
	for _, c := range g.sorted() {
		if c.kind != kindEvent || len(c.senders) == 0 {
			continue
		}
		if len(c.receivers) == 0 {
			d.NotHandled = append(d.NotHandled, c.name)
		}
		if len(rules) > 0 && len(c.matching) == 0 {
			d.NoRule = append(d.NoRule, NoRule{c.name, like(c.name, rules)})
		}
	}
	return d
}

// routed records that a rule matches the channel's events, and its targets.
func (c *channel) routed(r *Rule) {
	c.matching = append(c.matching, r.Rule)
	c.buses[r.Bus] = true
	for _, target := range r.Targets {
		functions := target.Functions
		if target.Kind == "function" {
			functions = []string{target.Name}
		}
		for _, function := range functions {
			t := c.to(function)
			if target.Kind != "function" {
				t.via[target.Kind+" "+target.Name] = true
			}
		}
		if len(functions) == 0 {
			c.to(target.Kind + " " + target.Name)
		}
	}
}

// like returns the types of rules that are similar to name.
func like(name string, rules []Rule) []string {
	var found []string
	for i := range rules {
		for _, other := range rules[i].types {
			if other != name && eventpattern.Alike(name, other) {
				found = append(found, other)
			}
		}
	}
	return found
}
