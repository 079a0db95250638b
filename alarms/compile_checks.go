package alarms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/nearest"
)

// checkOverride refuses an override that changes nothing. Most often its key or its name
// is misspelt.
func (c *compiler) checkOverride(o override) {
	known := c.keys(o.kind)
	for _, key := range append(append([]string{}, o.enable...), o.disable...) {
		if !slices.Contains(known, key) {
			c.r.fail(o.at, "override: there is no alarm %q%s", key, suggestOf(key, known))
		}
	}
	switch {
	case o.used || len(c.unknown) > 0:
	case o.key != "" && !slices.Contains(known, o.key):
		c.r.fail(o.at, "override: there is no alarm %q%s", o.key, suggestOf(o.key, known))
	case o.name != "":
		c.r.fail(o.at, "override: it matches no alarm of %q%s", o.name, nearest.Hint(o.name, c.labels()))
	default:
		c.r.fail(o.at, "override: it matches no alarm")
	}
}

// keys returns the row keys of one kind of resource, or of all kinds that the spec has.
func (c *compiler) keys(kind string) []string {
	var keys []string
	for _, res := range c.resources {
		if res.kind.rows == nil || kind != "" && kind != res.kind.name {
			continue
		}
		rows, _ := res.kind.rows(res, context{c.namespace, c.profile, c.limit})
		for _, row := range rows {
			if !slices.Contains(keys, row.key) {
				keys = append(keys, row.key)
			}
		}
	}
	if c.essential && (kind == "" || kind == "service") {
		keys = append(keys, "lost", "stuck")
	}
	return keys
}

func (c *compiler) labels() []string {
	var labels []string
	for _, res := range c.resources {
		labels = append(labels, res.label())
	}
	return labels
}

// composite makes a composite over alarms of this spec, whose names are given without the
// prefix.
func (c *compiler) composite(in composite) {
	members, word := in.any, " OR "
	if len(in.all) > 0 {
		members, word = in.all, " AND "
	}
	terms := make([]string, 0, len(members))
	names := make([]string, 0, len(c.set.Alarms))
	for _, a := range c.set.Alarms {
		names = append(names, strings.TrimPrefix(a.Name, c.prefix))
	}
	if len(c.unknown) > 0 {
		members = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return !slices.Contains(names, m) })
		if len(members) == 0 || len(members) < len(in.all) {
			return
		}
	}
	for _, member := range members {
		if !slices.Contains(names, member) {
			c.r.fail(in.line, "composite %s: there is no alarm %q%s", in.name, member, nearest.Hint(member, names))
		}
		terms = append(terms, fmt.Sprintf("ALARM(%q)", c.prefix+member))
	}
	description := in.description
	if description == "" {
		description = string(in.severity) + ": " + strings.Join(members, strings.ToLower(word))
	}
	meta := Meta{Kind: "composite", Resource: in.name, Key: in.name, Severity: in.severity, Line: in.line}
	c.set.Composites = append(c.set.Composites, Composite{
		Name: c.prefix + in.name, Description: c.withRunbook(description, meta), Rule: strings.Join(terms, word),
		Actions: slices.Clone(c.notify[in.severity]), OKActions: slices.Clone(c.ok), NoDataActions: slices.Clone(c.noData), Tags: slices.Clone(c.tags),
		Meta: meta,
	}.Normalize())
}

// placeholders refuses a placeholder that is not declared, and adds a note on a parameter
// that is not used.
func (c *compiler) placeholders() {
	declared := parameterNames(c.parameters)
	used := map[string]bool{}
	look := func(line int, texts ...string) {
		for _, text := range texts {
			parts, _ := Parts(text) // refused when it was read
			for _, p := range parts {
				if p.Placeholder && !used[p.Text] && !slices.Contains(declared, p.Text) {
					c.r.fail(line, "${%s} is not among the parameters%s", p.Text, nearest.Hint(p.Text, declared))
				}
				if p.Placeholder {
					used[p.Text] = true
				}
			}
		}
	}
	look(0, append([]string{c.prefix}, c.logGroups...)...)
	for _, a := range c.set.Alarms {
		look(a.Meta.Line, a.Name, a.Description)
		look(a.Meta.Line, slices.Concat(a.Actions, a.OKActions, a.NoDataActions)...)
		for _, t := range a.Tags {
			look(a.Meta.Line, t.Value)
		}
		for _, s := range a.Stats() {
			for _, d := range s.Dimensions {
				look(a.Meta.Line, d.Value)
			}
		}
	}
	for _, composite := range c.set.Composites {
		look(composite.Meta.Line, slices.Concat([]string{composite.Name, composite.Rule, composite.Description}, composite.Actions)...)
	}
	for _, name := range declared {
		if !used[name] && !slices.Contains(c.unknown, name) {
			c.set.Notes = append(c.set.Notes, Note{Message: "parameter " + name + " is not used"})
		}
	}
}
