package scaffold

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms/internal/node"
)

// Names are the names that a template's functions, buses and rules on the
// default bus will have. Unknown are the logical names of those that
// CloudFormation makes up or whose parameters have no value.
type Names struct {
	Functions, Buses, DefaultRules, Unknown []string
}

// NamesIn reads the names from a template; values are those of its parameters,
// before their defaults. It returns an error for a template that cannot be read.
func NamesIn(template []byte, values map[string]string) (Names, error) {
	root, err := node.Parse(template)
	if err != nil {
		return Names{}, fmt.Errorf("read the template: %w", err)
	}
	if root.Get("Resources") == nil {
		return Names{}, errors.New("read the template: it has no Resources")
	}
	n := naming{root: root, values: values}
	for _, r := range root.Get("Resources").Pairs {
		p := r.Value.Get("Properties")
		switch r.Value.Get("Type").Value() {
		case "AWS::Serverless::Function":
			n.put(&n.Functions, r.Key, p.Get("FunctionName"))
			for _, event := range pairs(p.Get("Events")) {
				switch event.Value.Get("Type").Value() {
				case "EventBridgeRule", "CloudWatchEvent":
					n.rule(r.Key+event.Key, event.Value.Get("Properties"), "RuleName")
				}
			}
		case "AWS::Lambda::Function":
			n.put(&n.Functions, r.Key, p.Get("FunctionName"))
		case "AWS::Events::EventBus":
			n.put(&n.Buses, r.Key, p.Get("Name"))
		case "AWS::Events::Rule":
			n.rule(r.Key, p, "Name")
		}
	}
	return n.Names, nil
}

// naming resolves names as far as the template and the values tell them.
type naming struct {
	Names
	root   *node.Node
	values map[string]string
}

func (n *naming) put(list *[]string, id string, name *node.Node) {
	text, ok := n.text(name, 0)
	if !ok {
		list, text = &n.Unknown, id
	}
	if !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}

func (n *naming) rule(id string, p *node.Node, name string) {
	if bus := p.Get("EventBusName"); bus != nil && bus.Value() != "default" {
		n.put(&n.Buses, id+"'s bus", bus)
		return
	}
	if p.Get("Pattern") == nil && p.Get("EventPattern") == nil {
		return // a schedule: it matches no event
	}
	if !slices.Contains(n.Buses, "default") {
		n.Buses = append(n.Buses, "default")
	}
	n.put(&n.DefaultRules, id, p.Get(name))
}

// text resolves a literal, Ref, Fn::GetAtt or Fn::Sub.
func (n *naming) text(v *node.Node, depth int) (string, bool) {
	const deepest = 8 // of references to references
	if v == nil || depth > deepest {
		return "", false
	}
	switch {
	case v.Scalar():
		return v.Value(), v.Value() != ""
	case v.Get("Ref") != nil:
		return n.reference(v.Get("Ref").Value(), depth)
	case len(v.Get("Fn::GetAtt").List()) > 0:
		return n.reference(v.Get("Fn::GetAtt").List()[0].Value(), depth)
	case v.Get("Fn::Sub").Scalar():
		return n.substitute(v.Get("Fn::Sub").Value(), depth)
	}
	return "", false
}

func (n *naming) reference(name string, depth int) (string, bool) {
	if value, ok := n.values[name]; ok {
		return value, true
	}
	if p := n.root.At("Parameters", name, "Default"); p.Scalar() {
		return p.Value(), true
	}
	p := n.root.At("Resources", name, "Properties")
	for _, member := range []string{"Name", "FunctionName"} {
		if text, ok := n.text(p.Get(member), depth+1); ok {
			return text, true
		}
	}
	return "", false
}

func (n *naming) substitute(text string, depth int) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), b.Len() > 0
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", false
		}
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
		} else {
			logical, _, _ := strings.Cut(name, ".") // an attribute
			value, ok := n.reference(logical, depth+1)
			if !ok {
				return "", false
			}
			b.WriteString(value)
		}
		text = rest
	}
}
