package render

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
)

// Inline renders the alarms as resources of the template that they watch. Names become
// references to its resources and parameters, and an alarm has the condition of the
// resource that it watches. The text is the body of a Resources section, indented for
// pasting. It uses the full names of intrinsic functions, which AWS::Include requires.
// notes say what is omitted and why. It returns an error for a placeholder that has a
// value neither in the template nor in the set, and if the template would have more than
// 500 resources.
func Inline(s alarms.Set, stack *template.Stack, name string) (file File, notes []string, err error) {
	in := inline{stack: stack, ids: identifiers{}, open: map[string]bool{}, alarms: map[string]placed{}, prefix: s.Prefix}
	for _, id := range stack.IDs() {
		in.ids[id] = true
	}
	if s, err = s.Fill(in.defaults(s)); err != nil {
		return File{}, nil, err
	}
	in.prefix = s.Prefix
	resources := map[string]any{}
	for _, a := range s.Alarms {
		in.alarm(resources, a)
	}
	for _, c := range s.Composites {
		in.composite(resources, c)
	}
	if missing := slices.Sorted(maps.Keys(in.open)); len(missing) > 0 {
		return File{}, nil, fmt.Errorf("%s has no parameter and no resource for %s: give --set %s=…", name, strings.Join(missing, ", "), missing[0])
	}
	if n := stack.Resources() + len(resources); n > maxResources {
		return File{}, nil, fmt.Errorf("%s would have %d resources with the alarms, and CloudFormation allows %d: remove alarms, or render --format cloudformation for a separate stack", name, n, maxResources)
	}
	body, err := toYAML(resources)
	if err != nil {
		return File{}, nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# CloudWatch alarms of %s, rendered by throughline, for the Resources of %s: paste\n# them there, or upload this file and write there\n#   Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://BUCKET/alarms-resources.yaml}}\n", oneLine(s.Name), oneLine(name))
	for _, note := range in.notes {
		b.WriteString("# " + oneLine(note) + "\n")
	}
	for line := range strings.Lines(string(body)) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	return File{"alarms-resources.yaml", []byte(b.String())}, in.notes, nil
}

type inline struct {
	stack  *template.Stack
	ids    identifiers
	prefix string
	open   map[string]bool   // placeholders without a value
	alarms map[string]placed // by name
	notes  []string
}

// placed is an alarm as a resource.
type placed struct{ id, condition string }

// defaults returns the values of the spec's own parameters, which the template does not
// have.
func (in *inline) defaults(s alarms.Set) map[string]string {
	values := map[string]string{}
	for _, p := range s.Parameters {
		if !in.stack.Knows(p.Name) && p.HasDefault {
			values[p.Name] = p.Default
		}
	}
	return values
}

// piece is a part of a text: a literal, or a reference.
type piece struct {
	text string
	ref  *template.Reference
	name string // a reference's name, for a variable of Fn::Sub and for logical IDs
}

// pieces splits a text.
func (in *inline) pieces(text string, refer func(name string) (template.Reference, bool)) []piece {
	parts, err := alarms.Parts(text)
	if err != nil {
		return []piece{{text: text}}
	}
	var out []piece
	for _, p := range parts {
		if !p.Placeholder {
			out = append(out, piece{text: p.Text})
			continue
		}
		ref, ok := refer(p.Text)
		if !ok {
			in.open[p.Text] = true
		}
		out = append(out, piece{ref: &ref, name: p.Text})
	}
	return out
}

// value returns a text as CloudFormation's intrinsic functions. A reference whose
// condition differs from holds becomes "none" if its resource does not exist.
func value(pieces []piece, holds string) any {
	if len(pieces) == 1 && pieces[0].ref != nil {
		return guarded(*pieces[0].ref, holds)
	}
	var b strings.Builder
	variables := map[string]any{}
	plain := true
	for _, p := range pieces {
		plain = plain && p.ref == nil
	}
	for _, p := range pieces {
		switch {
		case plain:
			b.WriteString(p.text)
		case p.ref == nil:
			b.WriteString(strings.ReplaceAll(p.text, "${", "${!"))
		case p.ref.Value == nil && (p.ref.Condition == "" || p.ref.Condition == holds):
			id := p.ref.ID
			if p.ref.Attribute != "" {
				id += "." + p.ref.Attribute
			}
			b.WriteString("${" + id + "}")
		default:
			name := "Name" + p.name
			variables[name] = guarded(*p.ref, holds)
			b.WriteString("${" + name + "}")
		}
	}
	switch {
	case plain:
		return b.String()
	case len(variables) > 0:
		return map[string]any{"Fn::Sub": []any{b.String(), variables}}
	}
	return map[string]any{"Fn::Sub": b.String()}
}

// guarded returns a reference, or "none" if its resource does not exist.
func guarded(ref template.Reference, holds string) any {
	v := ref.Value
	switch {
	case v != nil:
	case ref.Attribute != "":
		v = map[string]any{"Fn::GetAtt": []any{ref.ID, ref.Attribute}}
	default:
		v = map[string]any{"Ref": ref.ID}
	}
	if ref.Condition != "" && ref.Condition != holds {
		return map[string]any{"Fn::If": []any{ref.Condition, v, "none"}}
	}
	return v
}

// known returns the template's resources that an alarm's dimensions name, by their text
// in the spec.
func (in *inline) known(a alarms.Alarm) map[string]template.Reference {
	out := map[string]template.Reference{}
	for _, s := range a.Stats() {
		for _, d := range s.Dimensions {
			if ref, ok := in.stack.Dimension(d.Name, d.Value, onBus(s)); ok {
				out[d.Name+" "+d.Value] = ref
			}
		}
	}
	return out
}

// onBus reports whether a metric is that of a rule on a custom bus.
func onBus(s alarms.Stat) bool {
	return slices.ContainsFunc(s.Dimensions, func(d alarms.Dimension) bool { return d.Name == "EventBusName" })
}

// shared returns the condition that all references have, or "" if they differ.
func shared(refs map[string]template.Reference) string {
	condition, first := "", true
	for _, ref := range refs {
		if !first && ref.Condition != condition {
			return ""
		}
		condition, first = ref.Condition, false
	}
	return condition
}

func (in *inline) alarm(resources map[string]any, a alarms.Alarm) {
	a = a.Normalize()
	known := in.known(a)
	bus := slices.ContainsFunc(a.Stats(), onBus)
	placeholder := func(name string) (template.Reference, bool) { return in.stack.Placeholder(name, bus) }
	if inner := in.nested(a); inner != "" {
		in.notes = append(in.notes, fmt.Sprintf("no alarm %s: %s is in a nested stack: render --inline with that stack's template", strings.TrimPrefix(a.Name, in.prefix), inner))
		return
	}
	holds := shared(known)
	name := in.renamed(a.Name, known, placeholder)
	properties := metricAlarm(a, func(text string) any { return value(in.pieces(text, placeholder), holds) })
	properties["AlarmName"] = value(name, holds)
	for key, list := range map[string][]string{"AlarmActions": a.Actions, "OKActions": a.OKActions, "InsufficientDataActions": a.NoDataActions} {
		in.actions(properties, key, list, holds)
	}
	in.dimensions(properties, a, known, holds)
	id := in.ids.of(idText(name[1:])+"-alarm", "")
	in.alarms[a.Name] = placed{id, holds}
	resources[id] = body("AWS::CloudWatch::Alarm", holds, properties)
}

func body(typ, condition string, properties map[string]any) map[string]any {
	out := map[string]any{"Type": typ, "Properties": properties}
	if condition != "" {
		out["Condition"] = condition
	}
	return out
}

// nested returns a placeholder of the alarm whose resource is in a nested stack, or "".
func (in *inline) nested(a alarms.Alarm) string {
	for _, s := range a.Stats() {
		for _, d := range s.Dimensions {
			parts, _ := alarms.Parts(d.Value)
			for _, p := range parts {
				if p.Placeholder && in.stack.Nested(p.Text) {
					return p.Text
				}
			}
		}
	}
	return ""
}

func (in *inline) actions(properties map[string]any, key string, list []string, holds string) {
	if len(list) == 0 {
		return
	}
	out := make([]any, len(list))
	for i, action := range list {
		out[i] = value(in.pieces(action, in.stack.Action), holds)
	}
	properties[key] = out
}

// dimensions replaces the names of resources by references.
func (in *inline) dimensions(properties map[string]any, a alarms.Alarm, known map[string]template.Reference, holds string) {
	put := func(list any, s alarms.Stat) {
		of, _ := list.([]any)
		for i, d := range s.Dimensions {
			if ref, ok := known[d.Name+" "+d.Value]; ok {
				of[i].(map[string]any)["Value"] = guarded(ref, holds)
			}
		}
	}
	if len(a.Queries) == 1 && a.Queries[0].Stat != nil {
		put(properties["Dimensions"], *a.Queries[0].Stat)
		return
	}
	metrics := properties["Metrics"].([]any)
	for i, q := range a.Queries {
		if q.Stat != nil {
			put(metrics[i].(map[string]any)["MetricStat"].(map[string]any)["Metric"].(map[string]any)["Dimensions"], *q.Stat)
		}
	}
}

// renamed returns an alarm's name: the prefix, then the rest, in which a reference
// replaces a resource's name.
func (in *inline) renamed(name string, known map[string]template.Reference, placeholder func(string) (template.Reference, bool)) []piece {
	rest := []piece{{text: strings.TrimPrefix(name, in.prefix)}}
	keys := slices.Sorted(maps.Keys(known))
	slices.SortStableFunc(keys, func(a, b string) int { return len(b) - len(a) })
	for _, key := range keys {
		_, text, _ := strings.Cut(key, " ")
		ref := known[key]
		for i, p := range rest {
			at := word(p.text, text)
			if p.ref != nil || at < 0 {
				continue
			}
			rest = slices.Replace(rest, i, i+1, piece{text: p.text[:at]}, piece{ref: &ref, name: ref.ID}, piece{text: p.text[at+len(text):]})
			break
		}
	}
	out := in.pieces(in.prefix, placeholder)
	for _, p := range rest {
		switch {
		case p.ref != nil:
			out = append(out, p)
		case p.text != "":
			out = append(out, in.pieces(p.text, placeholder)...)
		}
	}
	return out
}

// word returns where text stands in s between hyphens, or -1.
func word(s, text string) int {
	if text == s || strings.HasPrefix(s, text+"-") {
		return 0
	}
	if i := strings.Index(s, "-"+text+"-"); i >= 0 {
		return i + 1
	}
	return -1
}

func idText(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text + p.name)
	}
	return b.String()
}

var inRule = regexp.MustCompile(`(ALARM|OK|INSUFFICIENT_DATA)\("((?:[^"\\]|\\.)*)"\)`)

// composite refers to its alarms by their logical IDs, so that it is created after them.
// An alarm that may not exist counts as FALSE.
func (in *inline) composite(resources map[string]any, c alarms.Composite) {
	c = c.Normalize()
	at := inRule.FindAllStringSubmatchIndex(c.Rule, -1)
	var members []placed
	for _, m := range at {
		if p, ok := in.alarms[c.Rule[m[4]:m[5]]]; ok {
			members = append(members, p)
		}
	}
	if len(members) == 0 {
		in.notes = append(in.notes, "no composite "+strings.TrimPrefix(c.Name, in.prefix)+": the template has none of its alarms")
		return
	}
	holds := members[0].condition
	if slices.ContainsFunc(members, func(p placed) bool { return p.condition != holds }) {
		holds = ""
	}
	var rule []piece
	last := 0
	for _, m := range at {
		rule = append(rule, piece{text: c.Rule[last:m[0]]})
		last = m[1]
		p, ok := in.alarms[c.Rule[m[4]:m[5]]]
		state := c.Rule[m[2]:m[3]]
		switch {
		case !ok:
			rule = append(rule, piece{text: "FALSE"})
		case p.condition == holds:
			rule = append(rule, piece{text: state + `("`}, piece{ref: &template.Reference{ID: p.id}, name: p.id}, piece{text: `")`})
		default:
			rule = append(rule, piece{ref: &template.Reference{Value: map[string]any{"Fn::If": []any{p.condition, map[string]any{"Fn::Sub": state + `("${` + p.id + `}")`}, "FALSE"}}}, name: p.id})
		}
	}
	rule = append(rule, piece{text: c.Rule[last:]})
	placeholder := func(name string) (template.Reference, bool) { return in.stack.Placeholder(name, false) }
	known := map[string]template.Reference{}
	if ref, ok := in.stack.Function(c.Meta.Resource); ok {
		known["FunctionName "+c.Meta.Resource] = ref
	}
	name := in.renamed(c.Name, known, placeholder)
	c.Rule = ""
	properties := compositeAlarm(c, func(text string) any { return value(in.pieces(text, placeholder), holds) })
	properties["AlarmName"], properties["AlarmRule"] = value(name, holds), value(rule, holds)
	for key, list := range map[string][]string{"AlarmActions": c.Actions, "OKActions": c.OKActions, "InsufficientDataActions": c.NoDataActions} {
		in.actions(properties, key, list, holds)
	}
	resources[in.ids.of(idText(name[1:])+"-alarm", "")] = body("AWS::CloudWatch::CompositeAlarm", holds, properties)
}
