package render

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/throughline/throughline/alarms"
)

// File is one rendered file.
type File struct {
	Name string
	Data []byte
}

// maxResources is how many CloudFormation takes in one template.
const maxResources = 500

// CloudFormation renders the set as templates of at most 500 resources:
// alarms.yaml, and alarms-2.yaml and so on where one is not enough. Composites
// stand in the last, which is to be deployed last. extra are resources to stand
// beside them, such as [QueryDefinitions]. It returns an error for a text whose
// placeholder does not end.
func CloudFormation(s alarms.Set, extra map[string]any) ([]File, error) {
	return templates(s, extra, false)
}

// SAM is [CloudFormation] under SAM's transform.
func SAM(s alarms.Set, extra map[string]any) ([]File, error) { return templates(s, extra, true) }

func templates(s alarms.Set, extra map[string]any, sam bool) ([]File, error) {
	ids := identifiers{}
	for name := range extra {
		ids[name] = true
	}
	for _, p := range s.Parameters {
		ids[p.Name] = true // a template's parameters and resources share one space of names
	}
	type resource struct {
		id   string
		body map[string]any
	}
	var all []resource
	named := map[string]string{}
	for _, a := range s.Alarms {
		id := ids.of(strings.TrimPrefix(a.Name, s.Prefix), "")
		named[a.Name] = id
		all = append(all, resource{id, map[string]any{"Type": "AWS::CloudWatch::Alarm", "Properties": metricAlarm(a, substituted)}})
	}
	for name, body := range extra {
		all = append(all, resource{name, body.(map[string]any)})
	}
	for _, c := range s.Composites {
		body := map[string]any{"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": compositeAlarm(c, substituted)}
		all = append(all, resource{ids.of(strings.TrimPrefix(c.Name, s.Prefix), ""), body})
	}
	var files []File
	for part := 0; part == 0 || part*maxResources < len(all); part++ {
		resources := map[string]any{}
		for _, r := range all[part*maxResources : min(len(all), (part+1)*maxResources)] {
			resources[r.id] = r.body
		}
		depend(s, resources, named)
		data, err := yaml.MarshalWithOptions(document(s, resources, sam), yaml.IndentSequence(true))
		if err != nil {
			return nil, fmt.Errorf("write the template: %w", err)
		}
		name := "alarms.yaml"
		if part > 0 {
			name = fmt.Sprintf("alarms-%d.yaml", part+1)
		}
		files = append(files, File{name, data})
	}
	return files, nil
}

func document(s alarms.Set, resources map[string]any, sam bool) yaml.MapSlice {
	doc := yaml.MapSlice{{Key: "AWSTemplateFormatVersion", Value: "2010-09-09"}}
	if sam {
		doc = append(doc, yaml.MapItem{Key: "Transform", Value: "AWS::Serverless-2016-10-31"})
	}
	doc = append(doc, yaml.MapItem{Key: "Description", Value: "CloudWatch alarms of " + s.Name + ", rendered by throughline"})
	if used := usedParameters(s, resources); len(used) > 0 {
		doc = append(doc, yaml.MapItem{Key: "Parameters", Value: used})
	}
	return append(doc, yaml.MapItem{Key: "Resources", Value: resources})
}

// usedParameters leaves out what no resource of this template refers to, which
// cfn-lint has against a template.
func usedParameters(s alarms.Set, resources map[string]any) yaml.MapSlice {
	text := fmt.Sprint(resources)
	var out yaml.MapSlice
	for _, p := range s.Parameters {
		if !strings.Contains(text, "${"+p.Name+"}") && !strings.Contains(text, "Ref:"+p.Name) {
			continue
		}
		body := map[string]any{"Type": "String"}
		if p.HasDefault {
			body["Default"] = p.Default
		}
		if p.Description != "" {
			body["Description"] = p.Description
		}
		out = append(out, yaml.MapItem{Key: p.Name, Value: body})
	}
	return out
}

// depend lets composites wait for their alarms of the same template.
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

// substituted is a text as CloudFormation fills it in: itself, a Ref, or Fn::Sub.
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
