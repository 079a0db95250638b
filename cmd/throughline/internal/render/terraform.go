package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/throughline/throughline/alarms"
)

// Terraform renders the set as resources of the aws provider, formatted as terraform fmt
// does. It returns an error for a text whose placeholder has no closing bracket.
func Terraform(s alarms.Set) ([]File, error) {
	file := hclwrite.NewEmptyFile()
	t := terraform{ids: identifiers{}, names: map[string]string{}, variables: variables(s.Parameters)}
	root := file.Body()
	for _, p := range s.Parameters {
		body := root.AppendNewBlock("variable", []string{t.variables[p.Name]}).Body()
		body.SetAttributeRaw("type", hclwrite.TokensForIdentifier("string"))
		if p.Description != "" {
			body.SetAttributeValue("description", cty.StringVal(p.Description))
		}
		if p.HasDefault {
			body.SetAttributeValue("default", cty.StringVal(p.Default))
		}
		root.AppendNewline()
	}
	for _, a := range s.Alarms {
		a = a.Normalize()
		id := t.ids.of(strings.TrimPrefix(a.Name, s.Prefix), "_")
		t.names[a.Name] = id
		t.alarm(root.AppendNewBlock("resource", []string{"aws_cloudwatch_metric_alarm", id}).Body(), a)
		root.AppendNewline()
	}
	for _, c := range s.Composites {
		c = c.Normalize()
		id := t.ids.of(strings.TrimPrefix(c.Name, s.Prefix), "_")
		body := root.AppendNewBlock("resource", []string{"aws_cloudwatch_composite_alarm", id}).Body()
		t.text(body, "alarm_name", c.Name)
		t.text(body, "alarm_rule", c.Rule)
		t.about(body, c.ActionsDisabled, c.Description, c.Actions, c.OKActions, c.NoDataActions, c.Tags)
		if waits := t.waits(c.Rule); len(waits) > 0 {
			body.SetAttributeRaw("depends_on", hclwrite.TokensForTuple(waits))
		}
		root.AppendNewline()
	}
	if t.err != nil {
		return nil, t.err
	}
	text := strings.TrimRight(string(hclwrite.Format(file.Bytes())), "\n") + "\n"
	return []File{{"alarms.tf", []byte("# CloudWatch alarms of " + oneLine(s.Name) + ", rendered by throughline.\n\n" + text)}}, nil
}

type terraform struct {
	ids       identifiers
	names     map[string]string // names of resources, by alarm
	variables map[string]string // names of variables, by parameter
	err       error
}

func (t *terraform) alarm(body *hclwrite.Body, a alarms.Alarm) {
	t.text(body, "alarm_name", a.Name)
	body.SetAttributeValue("comparison_operator", cty.StringVal(string(a.Comparison)))
	body.SetAttributeValue("threshold", cty.NumberFloatVal(a.Threshold))
	body.SetAttributeValue("evaluation_periods", cty.NumberIntVal(int64(a.EvaluationPeriods)))
	body.SetAttributeValue("datapoints_to_alarm", cty.NumberIntVal(int64(a.DatapointsToAlarm)))
	body.SetAttributeValue("treat_missing_data", cty.StringVal(string(a.Missing)))
	if a.LowSample != "" {
		body.SetAttributeValue("evaluate_low_sample_count_percentiles", cty.StringVal(a.LowSample))
	}
	t.about(body, a.ActionsDisabled, a.Description, a.Actions, a.OKActions, a.NoDataActions, a.Tags)
	if len(a.Queries) == 1 && a.Queries[0].Stat != nil {
		s := *a.Queries[0].Stat
		key := "statistic"
		if !plain(s.Statistic) {
			key = "extended_statistic"
		}
		t.metric(body, s, key)
		return
	}
	for _, q := range a.Queries {
		query := body.AppendNewBlock("metric_query", nil).Body()
		query.SetAttributeValue("id", cty.StringVal(q.ID))
		query.SetAttributeValue("return_data", cty.BoolVal(q.Return))
		if q.Label != "" {
			query.SetAttributeValue("label", cty.StringVal(q.Label))
		}
		if q.Stat == nil {
			query.SetAttributeValue("expression", cty.StringVal(q.Expression))
			continue
		}
		t.metric(query.AppendNewBlock("metric", nil).Body(), *q.Stat, "stat")
	}
}

func (t *terraform) metric(body *hclwrite.Body, s alarms.Stat, statistic string) {
	body.SetAttributeValue("namespace", cty.StringVal(s.Namespace))
	body.SetAttributeValue("metric_name", cty.StringVal(s.Metric))
	body.SetAttributeValue(statistic, cty.StringVal(s.Statistic))
	body.SetAttributeValue("period", cty.NumberIntVal(int64(s.Period)))
	if len(s.Dimensions) == 0 {
		return
	}
	pairs := make([]alarms.Tag, len(s.Dimensions))
	for i, d := range s.Dimensions {
		pairs[i] = alarms.Tag{Key: d.Name, Value: d.Value}
	}
	t.object(body, "dimensions", pairs)
}

func (t *terraform) about(body *hclwrite.Body, off bool, description string, actions, ok, noData []string, tags []alarms.Tag) {
	if description != "" {
		t.text(body, "alarm_description", description)
	}
	if off {
		body.SetAttributeValue("actions_enabled", cty.BoolVal(false))
	}
	t.list(body, "alarm_actions", actions)
	t.list(body, "ok_actions", ok)
	t.list(body, "insufficient_data_actions", noData)
	if len(tags) > 0 {
		t.object(body, "tags", tags)
	}
}

func (t *terraform) list(body *hclwrite.Body, key string, list []string) {
	if len(list) == 0 {
		return
	}
	var tokens []hclwrite.Tokens
	for _, s := range list {
		tokens = append(tokens, t.template(s))
	}
	body.SetAttributeRaw(key, hclwrite.TokensForTuple(tokens))
}

func (t *terraform) object(body *hclwrite.Body, key string, pairs []alarms.Tag) {
	var attributes []hclwrite.ObjectAttrTokens
	for _, p := range pairs {
		name := hclwrite.TokensForValue(cty.StringVal(p.Key))
		if hclsyntax.ValidIdentifier(p.Key) {
			name = hclwrite.TokensForIdentifier(p.Key)
		}
		attributes = append(attributes, hclwrite.ObjectAttrTokens{Name: name, Value: t.template(p.Value)})
	}
	body.SetAttributeRaw(key, hclwrite.TokensForObject(attributes))
}

func (t *terraform) text(body *hclwrite.Body, key, s string) {
	body.SetAttributeRaw(key, t.template(s))
}

// template returns a text with its placeholders as variables. The library escapes what
// HCL would read as a template.
func (t *terraform) template(s string) hclwrite.Tokens {
	parts, err := alarms.Parts(s)
	if err != nil && t.err == nil {
		t.err = err
	}
	if len(parts) == 1 && parts[0].Placeholder {
		return hclwrite.Tokens{{Type: hclsyntax.TokenIdent, Bytes: []byte("var." + t.variables[parts[0].Text])}}
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Placeholder {
			b.WriteString("${var." + t.variables[p.Text] + "}")
			continue
		}
		literal := string(hclwrite.TokensForValue(cty.StringVal(p.Text)).Bytes())
		b.WriteString(strings.TrimSuffix(strings.TrimPrefix(literal, `"`), `"`))
	}
	return hclwrite.Tokens{{Type: hclsyntax.TokenOQuote, Bytes: []byte(`"` + b.String() + `"`)}}
}

// waits returns references to the alarms that a rule names.
func (t *terraform) waits(rule string) []hclwrite.Tokens {
	var out []hclwrite.Tokens
	for _, name := range slices.Sorted(maps.Keys(t.names)) {
		if strings.Contains(rule, fmt.Sprintf("%q", name)) {
			out = append(out, hclwrite.Tokens{{Type: hclsyntax.TokenIdent, Bytes: []byte("aws_cloudwatch_metric_alarm." + t.names[name])}})
		}
	}
	return out
}

// reserved are names that Terraform reserves in a module's variables.
var reserved = []string{"source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"}

// variables returns a unique name for each parameter. OrdersDLQ and OrdersDlq would have
// the same one otherwise.
func variables(parameters []alarms.Parameter) map[string]string {
	out, taken := map[string]string{}, map[string]bool{}
	for _, p := range parameters {
		name := variable(p.Name)
		if slices.Contains(reserved, name) {
			name += "_value"
		}
		for base, n := name, 2; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		out[p.Name], taken[name] = name, true
	}
	return out
}

// variable returns a parameter's name in Terraform's style: orders_fn.
func variable(name string) string {
	var b strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z') {
			b.WriteByte('_')
		}
		if upper {
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
