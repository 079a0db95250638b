package template

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// LocalOptions configure reading a template whose application runs on this machine.
type LocalOptions struct {
	// Values are values of parameters and of pseudo parameters. They take precedence over
	// defaults.
	Values map[string]string
	// Open reads the template of a nested stack by its path relative to the template. If
	// nil, nested stacks are not read.
	Open func(name string) ([]byte, error)
	// Give returns what Ref (attribute "") or Fn::GetAtt returns for a resource of a
	// template. Required.
	Give func(l *Local, r Resource, attribute string) string
}

// Resource is one resource of a template. The ID of a resource in a nested stack has the
// IDs of the stacks before it, joined with hyphens.
type Resource struct {
	ID, Type string
	Name     string         // the name in the template, or the ID
	Node     *yamltree.Node // has Type, Properties and Metadata; nil for a resource that SAM creates
}

// Property returns one of the resource's properties, or nil.
func (r Resource) Property(keys ...string) *yamltree.Node {
	return r.Node.Get("Properties").At(keys...)
}

// Local is a template whose references have values on this machine: names, ARNs and URLs
// of local resources. It is not safe for concurrent use.
type Local struct {
	r *resolver
	// Dir is the folder of a nested stack's template, relative to the outermost template.
	Dir string
	*session
}

// session is what the templates of a stack and of its nested stacks share.
type session struct {
	notes []string
	names map[string]string // names of resources, by path and logical ID
	depth int               // the depth of nested references
}

// OpenLocal reads a template. It returns an error for a document that cannot be read or
// has no Resources.
func OpenLocal(data []byte, o LocalOptions) (*Local, error) {
	values := map[string]string{}
	for name, value := range o.Values {
		values[name] = alarms.Literal(value)
	}
	shared := &session{names: map[string]string{}}
	root, err := yamltree.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	shared.standIn(root, values)
	r, err := read(data, values)
	if err != nil {
		return nil, err
	}
	r.stacks.open = o.Open
	r.choose()
	l := &Local{r: r, session: shared}
	r.local = func(r *resolver, id, attribute string) string {
		of := &Local{r: r, session: shared}
		shared.depth++
		defer func() { shared.depth-- }()
		if shared.depth > deepest {
			return id
		}
		if id, alias, ok := strings.Cut(id, "."); ok && r.at(id) != nil { // SAM allows Function.Alias and Function.Version
			return o.Give(of, of.resource(id), alias)
		}
		return o.Give(of, of.resource(id), attribute)
	}
	return l, nil
}

// choose replaces each Fn::If by its branch, and removes AWS::NoValue.
func (r *resolver) choose() {
	root := *r.root
	root.Pairs = slices.Clone(root.Pairs)
	for i, p := range root.Pairs {
		if p.Key != "Conditions" {
			root.Pairs[i].Value = r.chosen(p.Value)
		}
	}
	r.root = &root
	for _, p := range root.Get("Resources").Members() {
		r.resources[p.Key] = p.Value
	}
}

func (r *resolver) chosen(n *yamltree.Node) *yamltree.Node {
	branches := r.branches(n, 0)
	if len(branches) == 0 {
		return nil
	}
	if n = branches[0]; n.Kind != yamltree.Map && n.Kind != yamltree.List {
		return n
	}
	out := *n
	out.Items, out.Pairs = nil, nil
	for _, item := range n.Items {
		if item = r.chosen(item); item != nil {
			out.Items = append(out.Items, item)
		}
	}
	for _, p := range n.Pairs {
		if p.Value = r.chosen(p.Value); p.Value != nil {
			out.Pairs = append(out.Pairs, p)
		}
	}
	return &out
}

// standIn sets a value for each parameter without one.
func (s *session) standIn(root *yamltree.Node, values map[string]string) {
	for _, p := range root.Get("Parameters").Members() {
		typ := p.Value.Get("Type").Value()
		ssm := strings.HasPrefix(typ, "AWS::SSM::") // its default is the name of a parameter in Systems Manager
		if _, given := values[p.Key]; given || p.Value.Get("Default") != nil && !ssm {
			continue
		}
		value := "local-" + strings.ToLower(p.Key)
		if allowed := p.Value.Get("AllowedValues").List(); len(allowed) > 0 {
			value = allowed[0].Value()
		} else if typ == "Number" {
			value = "1"
			if least := p.Value.Get("MinValue"); least != nil {
				value = least.Value()
			}
		}
		values[p.Key] = alarms.Literal(value)
		s.note("the parameter %s has no value and is set to %q: give one with --set %s=VALUE", p.Key, value, p.Key)
	}
}

// Notes returns values that were made up or are unknown, in order, including those of
// nested stacks.
func (l *Local) Notes() []string { return l.notes }

func (s *session) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// Root returns the template's document.
func (l *Local) Root() *yamltree.Node { return l.r.root }

// Resources returns the resources whose condition is true, in the template's order.
func (l *Local) Resources() []Resource {
	var list []Resource
	for _, p := range l.r.root.Get("Resources").Members() {
		list = append(list, l.resource(p.Key))
	}
	return list
}

// resource returns the resource of a logical ID of this template. It can be one that SAM
// creates.
func (l *Local) resource(id string) Resource {
	n := l.r.at(id)
	r := Resource{ID: strings.ReplaceAll(l.r.path, "/", "-") + id, Type: n.Get("Type").Value(), Node: n}
	key := l.r.path + id
	if known, ok := l.names[key]; ok {
		r.Name = known
		return r
	}
	r.Name, l.names[key] = r.ID, r.ID // the name of a resource whose name refers to itself
	if given := n.At("Properties", nameProperty(r.Type)); given != nil {
		if name, ok := l.r.text(given, exact); ok && name != "" {
			r.Name = literal(name)
		}
	}
	l.names[key] = r.Name
	return r
}

// Nested returns the template of a nested stack.
func (l *Local) Nested(r Resource) (*Local, error) {
	id := strings.TrimPrefix(r.ID, strings.ReplaceAll(l.r.path, "/", "-"))
	inner, err := l.r.stack(id)
	if err != nil {
		return nil, err
	}
	location, _ := l.r.text(inner.location, exact)
	return &Local{inner, path.Join(l.Dir, path.Dir(literal(location))), l.session}, nil
}

// Text returns a value as one text, or "" if there is none.
func (l *Local) Text(n *yamltree.Node) string {
	switch v := l.Value(n).(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		data, _ := json.Marshal(v) // plain values always marshal
		return string(data)
	default:
		return fmt.Sprint(v)
	}
}

// Value returns a part of the template in the form of JSON: map[string]any, []any,
// string, bool, [json.Number] or nil. AWS::NoValue and absent values are nil. An unknown
// value is "" and adds a note.
func (l *Local) Value(n *yamltree.Node) any { return l.value(n, 0) }

// deepestValue bounds the depth of a value. The parser allows 100.
const deepestValue = 128

func (l *Local) value(n *yamltree.Node, depth int) any {
	if n == nil || noValue(n) || depth > deepestValue {
		return nil
	}
	switch n.Kind {
	case yamltree.String:
		if dynamic(n.Value()) {
			l.note("%s is from a service that is not played", n.Value())
		}
		return n.Value()
	case yamltree.Bool:
		return n.Value() == "true"
	case yamltree.Number:
		if json.Valid([]byte(n.Text)) {
			return json.Number(n.Text)
		}
		return n.Value()
	case yamltree.List:
		out := []any{}
		for _, item := range n.Items {
			if v := l.value(item, depth+1); v != nil {
				out = append(out, v)
			}
		}
		return out
	case yamltree.Map:
		if len(n.Pairs) == 1 && (n.Pairs[0].Key == "Ref" || strings.HasPrefix(n.Pairs[0].Key, "Fn::")) {
			return l.function(n, depth)
		}
		out := map[string]any{}
		for _, p := range n.Pairs {
			if v := l.value(p.Value, depth+1); v != nil {
				out[p.Key] = v
			}
		}
		return out
	default:
		return nil
	}
}

// function returns the value of an intrinsic function, which can be a list or a mapping.
func (l *Local) function(n *yamltree.Node, depth int) any {
	name, of := n.Pairs[0].Key, n.Pairs[0].Value
	switch name {
	case "Fn::FindInMap":
		if found := l.r.inMap(of, 0); found != nil {
			return l.value(found, depth+1)
		}
		return l.value(at(of, 3).Get("DefaultValue"), depth+1)
	case "Fn::Base64":
		return base64.StdEncoding.EncodeToString([]byte(l.Text(of)))
	case "Fn::ToJsonString":
		data, _ := json.Marshal(l.value(of, depth+1)) // plain values always marshal
		return string(data)
	case "Fn::Length":
		list, _ := l.value(of, depth+1).([]any)
		return json.Number(strconv.Itoa(len(list)))
	case "Fn::GetAZs":
		region := literal(l.r.values["AWS::Region"])
		return []any{region + "a", region + "b", region + "c"}
	case "Fn::Split":
		return list(strings.Split(l.Text(at(of, 1)), at(of, 0).Value()))
	case "Fn::Join":
		items, _ := l.value(at(of, 1), depth+1).([]any)
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = fmt.Sprint(item)
		}
		return strings.Join(texts, at(of, 0).Value())
	case "Fn::Select":
		items, _ := l.value(at(of, 1), depth+1).([]any)
		if i, err := strconv.Atoi(l.Text(at(of, 0))); err == nil && i >= 0 && i < len(items) {
			return items[i]
		}
	case "Fn::ImportValue":
		l.note("%s is the export of another stack: its name is used as the value", l.Text(of))
		return l.Text(of)
	case "Ref":
		if p := l.r.root.At("Parameters", of.Value()); p != nil {
			value, _ := l.r.parameter(of.Value(), p, exact)
			if typ := p.Get("Type").Value(); strings.Contains(typ, "List") {
				return list(strings.Split(literal(value), ","))
			}
			return literal(value)
		}
		fallthrough
	default:
		if text, ok := l.r.text(n, exact); ok {
			return literal(text)
		}
	}
	l.note("line %d: the value of %s is unknown and is empty", n.Line, name)
	return ""
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = strings.TrimSpace(text)
	}
	return out
}

// LeftOut returns the resources whose condition is false, by ID, with the condition's
// name.
func (l *Local) LeftOut() map[string]string {
	out := map[string]string{}
	for _, u := range l.r.unmet {
		out[u.id] = u.condition
	}
	return out
}
