package alarms

import (
	"fmt"
	"slices"
	"strings"
)

// CompileKnown is [Compile] without the resources whose names are not known:
// CloudFormation generates them, and neither values nor a default has them. In the spec
// they are parameters with a logical ID. left says which resources are left out.
func CompileKnown(data []byte, values map[string]string) (s Set, left []Note, err error) {
	if s, err = Compile(data); err != nil {
		return s, nil, err
	}
	var unknown []string
	for _, p := range s.Parameters {
		if _, given := values[p.Name]; !given && !p.HasDefault && p.LogicalID != "" {
			unknown = append(unknown, p.Name)
		}
	}
	if len(unknown) == 0 {
		return s, nil, nil
	}
	s, left, err = compileWithout(data, unknown)
	s.Partial = len(left) > 0
	return s, left, err
}

// leaveOut removes the resources that use one of the parameters.
func (s *spec) leaveOut(unknown []string) []Note {
	if len(unknown) == 0 {
		return nil
	}
	names := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool {
			parts, _ := Parts(text) // refused elsewhere
			return slices.ContainsFunc(parts, func(p Part) bool { return p.Placeholder && slices.Contains(unknown, p.Text) })
		})
	}
	left := map[string]bool{}
	first := 0
	s.resources = slices.DeleteFunc(s.resources, func(r resource) bool {
		texts := append([]string{r.name, r.arn, r.id, r.stage, r.qualifier, r.executedVersion, r.dimension, r.bus, r.service, r.function}, slices.Concat(r.indexes, r.operations, r.detailTypes)...)
		out := names(texts...)
		if out && !left[r.label()] {
			left[r.label()] = true
			if first == 0 {
				first = r.line
			}
		}
		return out
	})
	s.custom = slices.DeleteFunc(s.custom, func(c custom) bool {
		return slices.ContainsFunc(c.queries, func(q Query) bool {
			return q.Stat != nil && slices.ContainsFunc(q.Stat.Dimensions, func(d Dimension) bool { return names(d.Value) })
		})
	})
	s.logGroups = slices.DeleteFunc(s.logGroups, func(g string) bool { return names(g) })
	if len(left) == 0 {
		return nil
	}
	labels := make([]string, 0, len(left))
	for label := range left {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	which := fmt.Sprintf("%d resources are not watched, because CloudFormation generates their names", len(labels))
	if len(labels) == 1 {
		which = "1 resource is not watched, because CloudFormation generates its name"
	}
	return []Note{{first, fmt.Sprintf("%s: give --stack NAME, or --set %s=…: %s", which, unknown[0], strings.Join(labels, ", "))}}
}
