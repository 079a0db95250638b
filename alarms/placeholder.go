package alarms

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/nearest"
)

// Part is a part of a text: a literal, or the name of a placeholder.
type Part struct {
	Text        string
	Placeholder bool
}

// Parts splits a text of an unresolved [Set] at its placeholders. ${Name} is a
// placeholder, and $${ is a literal ${. It returns an error for a placeholder without an
// end, and for a name that has other characters than letters and digits.
func Parts(text string) ([]Part, error) {
	var parts []Part
	literal := func(s string) {
		if s == "" {
			return
		}
		if n := len(parts); n > 0 && !parts[n-1].Placeholder {
			parts[n-1].Text += s
			return
		}
		parts = append(parts, Part{Text: s})
	}
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			literal(text)
			return parts, nil
		}
		if strings.HasSuffix(before, "$") {
			literal(before + "{")
			text = after
			continue
		}
		literal(before)
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("%q has no closing bracket: write ${Name}, or $${ for a literal ${", "${"+after)
		}
		if !identifier(name) {
			return nil, fmt.Errorf("${%s}: a placeholder's name is letters and digits; write $${ for a literal ${", name)
		}
		parts = append(parts, Part{Text: name, Placeholder: true})
		text = rest
	}
}

func identifier(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// Literal returns the text that means s itself in an unresolved [Set].
func Literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// substitute replaces placeholders by values. A placeholder without a value stays, and
// missing gets its name.
func substitute(text string, values map[string]string, missing map[string]bool) string {
	parts, err := Parts(text)
	if err != nil {
		return text // texts of a spec were checked when it was read
	}
	var b strings.Builder
	for _, p := range parts {
		value, known := values[p.Text]
		switch {
		case !p.Placeholder:
			b.WriteString(p.Text)
		case known:
			b.WriteString(value)
		default:
			missing[p.Text] = true
			b.WriteString("${" + p.Text + "}")
		}
	}
	return b.String()
}

// Resolve returns the set with every placeholder replaced by its value or its default,
// and with escapes removed. It returns an error that names every placeholder without a
// value, and every value that is not for a placeholder.
func (s Set) Resolve(values map[string]string) (Set, error) {
	all := map[string]string{}
	for _, p := range s.Parameters {
		if p.HasDefault {
			all[p.Name] = p.Default
		}
	}
	for name, value := range values {
		if !slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return Set{}, fmt.Errorf("%s is not a parameter of %s%s", name, s.Name, nearest.Hint(name, parameterNames(s.Parameters)))
		}
		all[name] = value
	}
	missing := map[string]bool{}
	out := s.Map(func(text string) string { return substitute(text, all, missing) })
	if len(missing) > 0 {
		names := slices.Sorted(maps.Keys(missing))
		return Set{}, fmt.Errorf("no value for %s: give --set %s=…", strings.Join(names, ", "), names[0])
	}
	out.Parameters = nil
	out.sort()
	return out, nil
}

func parameterNames(parameters []Parameter) []string {
	names := make([]string, len(parameters))
	for i, p := range parameters {
		names[i] = p.Name
	}
	return names
}

// Map returns a copy of the set with f applied to every text that may hold a
// placeholder.
func (s Set) Map(f func(string) string) Set {
	each := func(list []string) []string {
		out := make([]string, len(list))
		for i, text := range list {
			out[i] = f(text)
		}
		return out
	}
	tags := func(list []Tag) []Tag {
		out := make([]Tag, len(list))
		for i, t := range list {
			out[i] = Tag{t.Key, f(t.Value)}
		}
		return out
	}
	s.Prefix, s.LogGroups = f(s.Prefix), each(s.LogGroups)
	s.Alarms, s.Composites = slices.Clone(s.Alarms), slices.Clone(s.Composites)
	for i := range s.Alarms {
		a := s.Alarms[i].Normalize()
		a.Name, a.Description, a.Meta.Resource = f(a.Name), f(a.Description), f(a.Meta.Resource)
		a.Actions, a.OKActions, a.NoDataActions, a.Tags = each(a.Actions), each(a.OKActions), each(a.NoDataActions), tags(a.Tags)
		for _, q := range a.Queries { // Normalize copied the Stats
			if q.Stat == nil {
				continue
			}
			for d := range q.Stat.Dimensions {
				q.Stat.Dimensions[d].Value = f(q.Stat.Dimensions[d].Value)
			}
		}
		s.Alarms[i] = a.Normalize()
	}
	for i := range s.Composites {
		c := s.Composites[i].Normalize()
		c.Name, c.Description, c.Rule = f(c.Name), f(c.Description), f(c.Rule)
		c.Actions, c.OKActions, c.NoDataActions, c.Tags = each(c.Actions), each(c.OKActions), each(c.NoDataActions), tags(c.Tags)
		s.Composites[i] = c.Normalize()
	}
	return s
}

// sort sorts alarms and composites by name.
func (s *Set) sort() {
	slices.SortStableFunc(s.Alarms, func(a, b Alarm) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(s.Composites, func(a, b Composite) int { return strings.Compare(a.Name, b.Name) })
}

// Fill returns the set with the placeholders replaced that have a value. The others stay,
// and stay parameters. It returns an error for a value that is not for a placeholder.
func (s Set) Fill(values map[string]string) (Set, error) {
	for name := range values {
		if !slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return Set{}, fmt.Errorf("%s is not a parameter of %s%s", name, s.Name, nearest.Hint(name, parameterNames(s.Parameters)))
		}
	}
	literals := map[string]string{}
	for name, value := range values {
		literals[name] = Literal(value)
	}
	out := s.Map(func(text string) string { return replace(text, literals) })
	out.Parameters = slices.DeleteFunc(slices.Clone(s.Parameters), func(p Parameter) bool { _, given := values[p.Name]; return given })
	out.sort()
	return out, nil
}

// replace replaces placeholders by texts, and keeps literals escaped.
func replace(text string, texts map[string]string) string {
	parts, err := Parts(text)
	if err != nil {
		return text
	}
	var b strings.Builder
	for _, p := range parts {
		switch value, given := texts[p.Text]; {
		case !p.Placeholder:
			b.WriteString(Literal(p.Text))
		case given:
			b.WriteString(value)
		default:
			b.WriteString("${" + p.Text + "}")
		}
	}
	return b.String()
}
