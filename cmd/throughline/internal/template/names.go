package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// Names are the names of a template's functions, buses and rules on the default bus.
// Unknown are the logical IDs of those whose names CloudFormation generates, or depend on
// parameters without a value.
type Names struct {
	Functions, Buses, DefaultRules, Unknown []string
	NewBuses                                []string // new custom buses
}

// NoID is the error for a value of something that the template does not have.
type NoID string

func (id NoID) Error() string {
	return fmt.Sprintf("--set %s: the template has no such parameter or resource", string(id))
}

// NamesIn reads the names in a template. values are values of its parameters, which take
// precedence over their defaults, and names of its resources by logical ID, such as those
// that CloudFormation generated. It returns an error for a template that cannot be read,
// and [NoID] for a value of anything else.
func NamesIn(template []byte, values map[string]string) (Names, error) {
	texts := make(map[string]string, len(values))
	for name, value := range values {
		texts[name] = alarms.Literal(value)
	}
	r, err := read(template, texts)
	if err != nil {
		return Names{}, err
	}
	r.physical = values
	n := naming{resolver: r, generated: map[string]bool{}}
	for _, p := range r.root.Get("Resources").Members() {
		typ, properties := p.Value.Get("Type").Value(), p.Value.Get("Properties")
		switch typ {
		case "AWS::Serverless::Function":
			n.put(&n.Functions, p.Key, properties.Get("FunctionName"))
			n.events(p.Key, properties)
		case "AWS::Serverless::StateMachine":
			n.events(p.Key, properties)
		case "AWS::Lambda::Function":
			n.put(&n.Functions, p.Key, properties.Get("FunctionName"))
		case newBusType:
			n.put(&n.NewBuses, p.Key, properties.Get("Name"))
		case "AWS::Events::EventBus":
			n.put(&n.Buses, p.Key, properties.Get("Name"))
		case "AWS::Events::Rule":
			n.rule(p.Key, properties, "Name")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(values)) {
		if !n.has(id) {
			return Names{}, NoID(id)
		}
	}
	return n.Names, nil
}

// has reports whether the template has a parameter or a resource of this name.
func (n *naming) has(id string) bool {
	return strings.HasPrefix(id, "AWS::") || n.root.At("Parameters", id) != nil || n.at(id) != nil || n.generated[id] ||
		slices.ContainsFunc(n.unmet, func(u unmet) bool { return u.id == id })
}

// read parses a template, expands its loops and removes resources with a false condition.
func read(template []byte, values map[string]string) (*resolver, error) {
	root, err := yamltree.Parse(template)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	if root.Get("Resources") == nil {
		return nil, errors.New("it is not a SAM or CloudFormation template: it has no Resources")
	}
	r := &resolver{root: root, values: values}
	left := maxLooped
	looped := *root
	looped.Pairs = slices.Clone(root.Pairs)
	for i, p := range looped.Pairs {
		if p.Key == "Resources" || p.Key == "Conditions" {
			looped.Pairs[i].Value = r.loop(p.Value, &left)
		}
	}
	r.root = &looped
	for i, p := range looped.Pairs {
		if p.Key != "Resources" || p.Value == nil {
			continue
		}
		resources := *p.Value
		resources.Pairs = slices.DeleteFunc(slices.Clone(resources.Pairs), func(p yamltree.Pair) bool {
			condition := p.Value.Get("Condition").Value()
			out := condition != "" && r.condition(condition, 0) == no
			if out {
				r.unmet = append(r.unmet, unmet{p.Key, p.Value.Get("Type").Value(), condition})
			}
			return out
		})
		looped.Pairs[i].Value = &resources
		r.resources = make(map[string]*yamltree.Node, len(resources.Pairs))
		for _, resource := range resources.Pairs {
			r.resources[resource.Key] = resource.Value
		}
	}
	return r, nil
}

// unmet is a resource with a false condition.
type unmet struct{ id, typ, condition string }

// naming collects names, as far as the template and the values have them.
type naming struct {
	*resolver
	Names
	generated map[string]bool // the logical IDs of rules that SAM makes of events
}

func (n *naming) events(id string, properties *yamltree.Node) {
	for _, event := range properties.Get("Events").Members() {
		switch event.Value.Get("Type").Value() {
		case "EventBridgeRule", "CloudWatchEvent":
			n.generated[id+event.Key] = true
			n.rule(id+event.Key, event.Value.Get("Properties"), "RuleName")
		}
	}
}

func (n *naming) put(list *[]string, id string, name *yamltree.Node) {
	text, ok := n.text(name, exact)
	if given, known := n.physical[id]; known {
		text, ok = alarms.Literal(given), true
	}
	if !ok || text == "" {
		list, text = &n.Unknown, id
	}
	text = literal(text)
	if !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}

// literal returns the meaning of a spec's text without placeholders.
func literal(text string) string {
	parts, err := alarms.Parts(text)
	if err != nil || len(parts) != 1 {
		return text
	}
	return parts[0].Text
}

func (n *naming) rule(id string, p *yamltree.Node, name string) {
	if bus := p.Get("EventBusName"); len(n.branches(bus, 0)) > 0 {
		text, ok := n.text(bus, exact)
		if text = lastSegment(text); !ok || text != "default" {
			if !ok {
				n.Unknown = appendNew(n.Unknown, id+"'s bus")
			} else {
				n.Buses = appendNew(n.Buses, literal(text))
			}
			return
		}
	}
	if p.Get("Pattern") == nil && p.Get("EventPattern") == nil {
		return // a rule with a schedule matches no event
	}
	n.Buses = appendNew(n.Buses, "default")
	n.put(&n.DefaultRules, id, p.Get(name))
}

func appendNew(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
