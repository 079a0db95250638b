package template

import (
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// resolver computes the values of a template's intrinsic functions, as far as the
// template and its stack have them. It follows "Intrinsic function reference" of the
// CloudFormation user guide.
type resolver struct {
	root *yamltree.Node
	// resources are the resources of root by logical ID. byName are logical IDs by the
	// names in the template, filled on first use.
	resources map[string]*yamltree.Node
	byName    map[string][]string
	// values are values of parameters and of pseudo parameters, which take precedence
	// over defaults. A value is a text of a spec and can have placeholders.
	values map[string]string
	// physical are the names of deployed resources by logical ID.
	physical map[string]string
	// prefix is the prefix of placeholders of a nested template.
	prefix string
	// path is the path of the nested stack: Inner/
	path string
	// assumed are conditions that are true if the resource that is being read exists.
	assumed map[string]bool
	// unmet are the resources with a false condition.
	unmet []unmet
	stacks
	// noted, if not nil, records the names of resources. reading is the resource that is
	// being read.
	noted   *namedResources
	reading string
	// local, if not nil, returns what Ref and Fn::GetAtt return for a resource that runs
	// locally.
	local func(r *resolver, id, attribute string) string
	// placeholders, if not nil, represent unknown values. Otherwise these stay unknown.
	placeholders *placeholders
}

// placeholders are the parameters of the spec, by name.
type placeholders struct {
	origin map[string]string // what each placeholder represents, by name
	of     map[string]placeholder
}

type placeholder struct {
	description  string
	value        string
	hasValue     bool
	fromTemplate bool
	logicalID    string // the logical ID of the resource that has this name
}

// take returns a unique placeholder for an origin.
func (p *placeholders) take(origin, wanted string, about placeholder) string {
	name := wanted
	for n := 2; p.origin[name] != "" && p.origin[name] != origin; n++ {
		name = wanted + strconv.Itoa(n)
	}
	p.origin[name], p.of[name] = origin, about
	return "${" + name + "}"
}

// mode says whether a text can have placeholders.
type mode bool

const (
	exact mode = false // for conditions and numbers: parameters have their values or defaults
	open  mode = true  // for names: parameters stay parameters
)

const deepest = 24 // the depth of nested functions and references

// text returns a value as a text of a spec, and false if it is unknown.
func (r *resolver) text(n *yamltree.Node, m mode) (string, bool) { return r.eval(n, m, 0) }

func (r *resolver) eval(n *yamltree.Node, m mode, depth int) (string, bool) {
	if n == nil || depth > deepest {
		return "", false
	}
	if n.Scalar() {
		return alarms.Literal(n.Value()), n.Value() != "" && !dynamic(n.Value())
	}
	if len(n.Pairs) != 1 {
		return "", false
	}
	of := n.Pairs[0].Value
	switch n.Pairs[0].Key {
	case "Ref":
		return r.reference(of.Value(), m, depth)
	case "Fn::GetAtt":
		return r.attribute(of, m, depth)
	case "Fn::Sub":
		return r.sub(of, m, depth)
	case "Fn::Join":
		items, ok := r.items(at(of, 1), m, depth)
		if !ok || len(of.List()) != 2 {
			return "", false
		}
		return strings.Join(items, alarms.Literal(at(of, 0).Value())), true
	case "Fn::Select":
		items, ok := r.items(at(of, 1), m, depth)
		index, err := at(of, 0).Float()
		if !ok || err != nil || index < 0 || int(index) >= len(items) {
			return "", false
		}
		return strings.TrimSpace(items[int(index)]), true
	case "Fn::FindInMap":
		return r.findInMap(of, m, depth)
	case "Fn::If":
		branches := r.branches(n, depth)
		if len(branches) != 1 {
			return "", false
		}
		return r.eval(branches[0], m, depth+1)
	}
	return "", false
}

// dynamic reports whether a text is a dynamic reference of CloudFormation, whose value is
// in another service.
func dynamic(text string) bool { return strings.Contains(text, "{{resolve:") }

// attribute returns the name of a resource for an attribute that contains it. Other
// attributes, such as the outputs of a nested stack, are unknown.
func (r *resolver) attribute(of *yamltree.Node, m mode, depth int) (string, bool) {
	id, name := attribute(of)
	if output, ok := strings.CutPrefix(name, "Outputs."); ok {
		if inner, err := r.stack(id); err == nil {
			return inner.eval(inner.root.At("Outputs", output, "Value"), m, depth+1)
		}
	}
	if r.local != nil {
		return r.local(r, id, name), true
	}
	if !strings.HasSuffix(name, "Arn") && !strings.HasSuffix(name, "Name") || strings.Contains(name, ".") || custom(r.at(id).Get("Type").Value()) {
		return "", false
	}
	return r.reference(id, m, depth)
}

// custom reports whether a type is that of a custom resource, whose attributes and
// physical ID come from its function.
func custom(typ string) bool {
	return strings.HasPrefix(typ, "Custom::") || typ == "AWS::CloudFormation::CustomResource"
}

func at(n *yamltree.Node, i int) *yamltree.Node {
	if i >= len(n.List()) {
		return nil
	}
	return n.List()[i]
}

// attribute parses the two forms of Fn::GetAtt: [A, B.C] and A.B.C.
func attribute(of *yamltree.Node) (id, name string) {
	if of.Scalar() {
		id, name, _ = strings.Cut(of.Value(), ".")
		return id, name
	}
	return at(of, 0).Value(), at(of, 1).Value()
}

// items returns the texts of a list, which can be in Fn::If or in a mapping, the result
// of Fn::Split, or a parameter that is a list.
func (r *resolver) items(n *yamltree.Node, m mode, depth int) ([]string, bool) {
	if branches := r.branches(n, depth); len(branches) == 1 {
		n = branches[0]
	}
	if found := r.inMap(n.Get("Fn::FindInMap"), depth); found != nil {
		n = found
	}
	if n != nil && n.Kind == yamltree.List {
		out := make([]string, 0, len(n.Items))
		for _, item := range n.Items {
			text, ok := r.eval(item, m, depth+1)
			if !ok && item.Value() == "" && !item.Scalar() {
				return nil, false
			}
			out = append(out, text)
		}
		return out, true
	}
	separator, of := ",", n
	if split := n.Get("Fn::Split"); split != nil {
		separator, of = at(split, 0).Value(), at(split, 1)
	}
	text, ok := r.eval(of, exact, depth+1)
	if !ok || separator == "" {
		return nil, false
	}
	return strings.Split(text, separator), true
}

// reference returns the value of Ref and Fn::GetAtt in a name: a parameter's value, or
// the name of a resource for any attribute.
func (r *resolver) reference(name string, m mode, depth int) (string, bool) {
	if p := r.root.At("Parameters", name); p != nil || strings.HasPrefix(name, "AWS::") {
		return r.parameter(name, p, m)
	}
	if r.local != nil {
		return r.local(r, name, ""), true
	}
	if resource := r.at(name); resource != nil && !custom(resource.Get("Type").Value()) {
		return r.name(name, resource.Get("Type").Value(), resource.Get("Properties"), m, depth+1)
	}
	return "", false
}

func (r *resolver) parameter(name string, p *yamltree.Node, m mode) (string, bool) {
	value, known := r.values[name]
	if !known && p.Get("Default").Scalar() && !strings.HasPrefix(p.Get("Type").Value(), "AWS::SSM::") { // their default is the name of a parameter in Systems Manager
		value, known = alarms.Literal(p.Get("Default").Value()), true
	}
	if r.prefix != "" && known { // the outer template sets the parameters of a nested template
		return value, true
	}
	if m == exact || r.placeholders == nil {
		return value, known
	}
	if strings.HasPrefix(name, "AWS::") {
		if known {
			return value, true
		}
		return r.placeholders.take(name, letters(name), placeholder{description: "CloudFormation's " + name}), true
	}
	about := placeholder{description: "the template's parameter " + name, value: value, hasValue: known, fromTemplate: true}
	return r.placeholders.take("parameter "+r.prefix+name, r.prefix+letters(name), about), true
}

func (r *resolver) sub(of *yamltree.Node, m mode, depth int) (string, bool) {
	text, own := of, (*yamltree.Node)(nil)
	if of != nil && of.Kind == yamltree.List {
		text, own = at(of, 0), at(of, 1)
	}
	if !text.Scalar() || dynamic(text.Value()) {
		return "", false
	}
	var b strings.Builder
	rest := text.Value()
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(alarms.Literal(before))
		if !found {
			return b.String(), true
		}
		name, tail, closed := strings.Cut(after, "}")
		switch literal, escaped := strings.CutPrefix(name, "!"); {
		case !closed:
			return "", false
		case escaped:
			b.WriteString(alarms.Literal("${" + literal + "}"))
		default:
			value, ok := r.eval(own.Get(name), m, depth+1)
			if !ok {
				if value, ok = r.inSub(strings.TrimSpace(name), m, depth+1); !ok {
					return "", false
				}
			}
			b.WriteString(value)
		}
		rest = tail
	}
}

// inSub returns the value of ${name} or ${id.attribute} in Fn::Sub.
func (r *resolver) inSub(name string, m mode, depth int) (string, bool) {
	if name == "AWS::NoValue" {
		return "", true
	}
	if strings.Contains(name, ".") {
		return r.attribute(&yamltree.Node{Kind: yamltree.String, Text: name}, m, depth)
	}
	return r.reference(name, m, depth)
}

func (r *resolver) findInMap(of *yamltree.Node, m mode, depth int) (string, bool) {
	if found := r.inMap(of, depth); found != nil {
		return r.eval(found, m, depth+1)
	}
	return r.eval(at(of, 3).Get("DefaultValue"), m, depth+1)
}

// inMap returns the value in a mapping for [map, key, key], or nil if it is unknown.
func (r *resolver) inMap(of *yamltree.Node, depth int) *yamltree.Node {
	if len(of.List()) < 3 {
		return nil
	}
	keys := make([]string, 3)
	for i := range keys {
		key, ok := r.eval(at(of, i), exact, depth+1)
		if !ok {
			return nil
		}
		keys[i] = key
	}
	return r.root.Get("Mappings").At(keys...)
}

// number returns a number. known is false if the template does not have it. given is
// false if there is none.
func (r *resolver) number(n *yamltree.Node) (value float64, given, known bool) {
	branches := r.branches(n, 0)
	if len(branches) == 0 {
		return 0, false, true
	}
	for i, branch := range branches {
		text, ok := r.text(branch, exact)
		f, err := strconv.ParseFloat(text, 64)
		if branch.Kind == yamltree.Number {
			f, err = branch.Float()
		}
		if !ok || err != nil || i > 0 && f != value {
			return 0, true, false
		}
		value = f
	}
	return value, true, true
}

// is reports whether a switch of a template is on: a literal, or a parameter's default.
func (r *resolver) is(n *yamltree.Node, wanted ...string) bool {
	branches := r.branches(n, 0)
	for _, branch := range branches {
		text, ok := r.text(branch, exact)
		if !ok || !slices.Contains(wanted, strings.ToLower(text)) {
			return false
		}
	}
	return len(branches) > 0
}
