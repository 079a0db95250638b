package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// File is one rendered file.
type File struct {
	Name string
	Data []byte
}

// maxResources is CloudFormation's limit of resources in a template.
const maxResources = 500

// CloudFormation renders the set as templates with at most 500 resources and 200
// parameters: alarms.yaml, and alarms-2.yaml and so on if needed. Composites are in the
// last template, which has to be deployed last. extra are further resources, such as
// [QueryDefinitions]. It returns an error for a text whose placeholder has no closing
// bracket.
func CloudFormation(s alarms.Set, extra map[string]any) ([]File, error) {
	return templates(s, extra, false)
}

// SAM is [CloudFormation] with the SAM transform.
func SAM(s alarms.Set, extra map[string]any) ([]File, error) { return templates(s, extra, true) }

func templates(s alarms.Set, extra map[string]any, sam bool) ([]File, error) {
	ids := identifiers{}
	for name := range extra {
		ids[name] = true
	}
	for _, p := range s.Parameters {
		ids[p.Name] = true // parameters and resources of a template share a namespace
	}
	var all []resource
	named := map[string]string{}
	for _, a := range s.Alarms {
		id := ids.of(strings.TrimPrefix(a.Name, s.Prefix), "")
		named[a.Name] = id
		all = append(all, resource{id, map[string]any{"Type": "AWS::CloudWatch::Alarm", "Properties": metricAlarm(a, substituted)}})
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) { // sorted, so that files have the same resources in each run
		all = append(all, resource{name, extra[name].(map[string]any)})
	}
	for _, c := range s.Composites {
		body := map[string]any{"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": compositeAlarm(c, substituted)}
		all = append(all, resource{ids.of(strings.TrimPrefix(c.Name, s.Prefix), ""), body})
	}
	parts, err := shards(s, all)
	if err != nil {
		return nil, err
	}
	var files []File
	for i, part := range parts {
		resources := map[string]any{}
		for _, r := range part {
			resources[r.id] = r.body
		}
		depend(s, resources, named)
		data, err := toYAML(newDocument(s, resources, sam))
		if err != nil {
			return nil, err
		}
		name := "alarms.yaml"
		if i > 0 {
			name = fmt.Sprintf("alarms-%d.yaml", i+1)
		}
		files = append(files, File{name, data})
	}
	return files, nil
}

// resource is one resource of a template.
type resource struct {
	id   string
	body map[string]any
}

// maxParameters is CloudFormation's limit of parameters in a template.
const maxParameters = 200

// shards returns the resources of each template, in order, within CloudFormation's limits
// of resources and parameters. There is at least one template.
func shards(s alarms.Set, all []resource) ([][]resource, error) {
	parts := [][]resource{nil}
	used := map[string]bool{}
	for _, r := range all {
		own := usedParameters(s, map[string]any{r.id: r.body})
		if len(own) > maxParameters {
			return nil, fmt.Errorf("%s uses %d parameters, and a template has at most %d: give values with --set, or omit the dashboard with --no-dashboard", r.id, len(own), maxParameters)
		}
		more := 0
		for name := range own {
			if !used[name] {
				more++
			}
		}
		last := len(parts) - 1
		if len(parts[last]) == maxResources || len(used)+more > maxParameters {
			parts, used, last = append(parts, nil), map[string]bool{}, last+1
		}
		for name := range own {
			used[name] = true
		}
		parts[last] = append(parts[last], r)
	}
	return parts, nil
}

// document is the part of a CloudFormation template that is written. Its mappings are
// written in the order of their keys.
type document struct {
	Version     string         `yaml:"AWSTemplateFormatVersion"`
	Transform   string         `yaml:"Transform,omitempty"`
	Description string         `yaml:"Description"`
	Parameters  map[string]any `yaml:"Parameters,omitempty"`
	Resources   map[string]any `yaml:"Resources"`
}

func newDocument(s alarms.Set, resources map[string]any, sam bool) document {
	t := document{
		Version: "2010-09-09", Description: "CloudWatch alarms of " + s.Name + ", rendered by throughline",
		Parameters: usedParameters(s, resources), Resources: resources,
	}
	if sam {
		t.Transform = "AWS::Serverless-2016-10-31"
	}
	return t
}

// usedParameters returns the parameters that a resource of this template uses, because
// cfn-lint warns about others.
func usedParameters(s alarms.Set, resources map[string]any) map[string]any {
	used := map[string]bool{}
	referred(resources, used)
	out := map[string]any{}
	for _, p := range s.Parameters {
		if !used[p.Name] {
			continue
		}
		body := map[string]any{"Type": "String"}
		if p.HasDefault {
			body["Default"] = p.Default
		}
		if p.Description != "" {
			body["Description"] = p.Description
		}
		out[p.Name] = body
	}
	return out
}

// referred adds the names that Ref and Fn::Sub use anywhere in v.
func referred(v any, used map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			referred(item, used)
		}
	case map[string]any:
		for key, member := range v {
			text, _ := member.(string)
			switch key {
			case "Ref":
				used[text] = true
			case "Fn::Sub":
				for _, piece := range strings.Split(text, "${")[1:] {
					name, _, _ := strings.Cut(piece, "}")
					used[name] = true
				}
			default:
				referred(member, used)
			}
		}
	}
}

// depend makes composites depend on their alarms in the same template.
func depend(s alarms.Set, resources map[string]any, named map[string]string) {
	for _, body := range resources {
		r := body.(map[string]any)
		if r["Type"] != "AWS::CloudWatch::CompositeAlarm" {
			continue
		}
		properties := r["Properties"].(map[string]any)
		var waits []any
		for _, a := range s.Alarms {
			if strings.Contains(ruleText(properties["AlarmRule"]), fmt.Sprintf("%q", ruleText(substituted(a.Name)))) && resources[named[a.Name]] != nil {
				waits = append(waits, named[a.Name])
			}
		}
		if len(waits) > 0 {
			r["DependsOn"] = waits
		}
	}
}

func ruleText(v any) string {
	if sub, ok := v.(map[string]any); ok {
		if name, ok := sub["Ref"]; ok {
			return "${" + fmt.Sprint(name) + "}"
		}
		return fmt.Sprint(sub["Fn::Sub"])
	}
	return fmt.Sprint(v)
}

// substituted returns a text as a literal, a Ref or an Fn::Sub.
func substituted(s string) any {
	parts, err := alarms.Parts(s)
	if err != nil {
		return s
	}
	if len(parts) == 1 && parts[0].Placeholder {
		return map[string]any{"Ref": parts[0].Text}
	}
	var b strings.Builder
	placeholders := false
	for _, p := range parts {
		if p.Placeholder {
			b.WriteString("${" + p.Text + "}")
			placeholders = true
		} else {
			b.WriteString(p.Text)
		}
	}
	if !placeholders {
		return b.String()
	}
	b.Reset()
	for _, p := range parts {
		if p.Placeholder {
			b.WriteString("${" + p.Text + "}")
		} else {
			b.WriteString(strings.ReplaceAll(p.Text, "${", "${!"))
		}
	}
	return map[string]any{"Fn::Sub": b.String()}
}
