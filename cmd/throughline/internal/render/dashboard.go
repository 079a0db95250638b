package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/queries"
)

// Panel is one graph of the dashboard: an alarm's metrics with its threshold.
type Panel struct {
	Section string
	Title   string
	Alarms  []alarms.Alarm // alarms on the same metrics, such as a warning and a critical one, share a panel
}

// Panels returns the graphs of a set, by the resource that they watch, in the order of
// the alarms' names.
func Panels(s alarms.Set) []Panel {
	var panels []Panel
	for _, a := range s.Alarms {
		a = a.Normalize()
		same := slices.IndexFunc(panels, func(p Panel) bool { return graph(p.Alarms[0]) == graph(a) })
		if same >= 0 {
			panels[same].Alarms = append(panels[same].Alarms, a)
			continue
		}
		section := a.Meta.Kind
		if a.Meta.Resource != section {
			section += " " + a.Meta.Resource
		}
		panels = append(panels, Panel{section, strings.TrimPrefix(a.Name, s.Prefix), []alarms.Alarm{a}})
	}
	slices.SortStableFunc(panels, func(a, b Panel) int { return strings.Compare(a.Section, b.Section) })
	return panels
}

// graph returns what an alarm's graph shows, without its threshold.
func graph(a alarms.Alarm) string {
	var b strings.Builder
	for _, q := range a.Queries {
		fmt.Fprint(&b, q.ID, q.Expression, q.Return)
		if q.Stat != nil {
			fmt.Fprintf(&b, "%+v", *q.Stat)
		}
	}
	return b.String()
}

const (
	width  = 8 // the width of a widget, in columns of 24
	height = 6
	// maxWidgets is PutDashboard's limit.
	maxWidgets = 500
)

// Dashboard returns the body of a CloudWatch dashboard: the states of all alarms, then a
// row of graphs for each resource with the thresholds, then the saved queries if the set
// names log groups. Placeholders stay. Without an account number, which alarms' ARNs
// contain, the states are omitted. A dashboard has at most 500 widgets: for a larger set
// the last graphs are omitted, and the dashboard says how many.
func Dashboard(s alarms.Set, region, account string) ([]byte, error) {
	if s.Region != "" {
		region = s.Region
	}
	var widgets []any
	widget := func(kind string, x, y, w, h int, properties map[string]any) {
		widgets = append(widgets, map[string]any{"type": kind, "x": x, "y": y, "width": w, "height": h, "properties": properties})
	}
	y := 0
	for first := 0; first < len(s.Alarms) && account != ""; first += 100 { // a widget shows a hundred alarms
		var arns []any
		for _, a := range s.Alarms[first:min(len(s.Alarms), first+100)] {
			arns = append(arns, "arn:aws:cloudwatch:"+region+":"+account+":alarm:"+a.Name)
		}
		h := 2 + len(arns)/8
		widget("alarm", 0, y, 24, h, map[string]any{"title": "Alarms of " + s.Name, "alarms": arns})
		y += h
	}
	section, column := "", 0
	panels := Panels(s)
	for i, p := range panels {
		if len(widgets) >= maxWidgets-20 { // room for a section's title, this note and the queries
			y += height
			widget("text", 0, y, 24, 1, map[string]any{"markdown": fmt.Sprintf("%d of %d graphs are omitted: a dashboard has at most %d widgets", len(panels)-i, len(panels), maxWidgets)})
			break
		}
		if p.Section != section {
			if section != "" {
				y += height
			}
			section, column = p.Section, 0
			widget("text", 0, y, 24, 1, map[string]any{"markdown": "### " + section})
			y++
		}
		if column == 24 {
			column, y = 0, y+height
		}
		widget("metric", column, y, width, height, graphOf(p, region))
		column += width
	}
	y += height
	if len(s.LogGroups) > 0 {
		for _, q := range queries.OfFunctions() {
			if q.Name != "workflow" {
				widget("log", 0, y, 24, height, map[string]any{"title": q.Title, "region": region, "view": "table", "query": sources(s.LogGroups) + q.Text})
				y += height
			}
		}
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{"start": "-PT3H", "widgets": widgets}); err != nil {
		return nil, fmt.Errorf("write the dashboard: %w", err)
	}
	return bytes.TrimSpace(body.Bytes()), nil
}

func sources(groups []string) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "SOURCE '%s' | ", g)
	}
	return b.String()
}

func graphOf(p Panel, region string) map[string]any {
	a := p.Alarms[0]
	var metrics []any
	for _, q := range a.Queries {
		shown := q.Return || len(a.Queries) == 1
		if q.Stat == nil {
			metrics = append(metrics, []any{map[string]any{"id": q.ID, "expression": q.Expression, "visible": shown, "label": p.Title}})
			continue
		}
		line := []any{q.Stat.Namespace, q.Stat.Metric}
		for _, d := range q.Stat.Dimensions {
			line = append(line, d.Name, d.Value)
		}
		metrics = append(metrics, append(line, map[string]any{"id": q.ID, "stat": q.Stat.Statistic, "period": q.Stat.Period, "visible": shown}))
	}
	var lines []any
	for _, a := range p.Alarms {
		line := map[string]any{"value": a.Threshold, "label": fmt.Sprintf("%s %s %g, %d of %d", a.Meta.Severity, a.Comparison.Symbol(), a.Threshold, a.DatapointsToAlarm, a.EvaluationPeriods), "fill": "above"}
		if a.Comparison == alarms.Less || a.Comparison == alarms.LessOrEqual {
			line["fill"] = "below"
		}
		lines = append(lines, line)
	}
	return map[string]any{"title": p.Title, "region": region, "view": "timeSeries", "period": a.Period(), "metrics": metrics, "annotations": map[string]any{"horizontal": lines}}
}

// DashboardResource returns the dashboard as a resource of a template. It returns an
// error if the body cannot be written.
func DashboardResource(s alarms.Set) (map[string]any, error) {
	body, err := Dashboard(s, "${AWS::Region}", "${AWS::AccountId}")
	if err != nil {
		return nil, err
	}
	return map[string]any{"Type": "AWS::CloudWatch::Dashboard", "Properties": map[string]any{
		"DashboardName": substituted(alarms.Literal(safeName(s.Dashboard))), "DashboardBody": map[string]any{"Fn::Sub": subText(string(body))},
	}}, nil
}

// safeName returns a name that PutDashboard accepts.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, s)
}

// subText returns a body for Fn::Sub. Placeholders have the same form there, and the
// literal $${ becomes ${!.
func subText(body string) string { return strings.ReplaceAll(body, "$${", "${!") }

// QueryDefinitions returns the saved queries as resources of a template, by
// logical ID.
func QueryDefinitions(s alarms.Set) map[string]any {
	out := map[string]any{}
	for _, q := range queries.OfFunctions() {
		properties := map[string]any{"Name": "Throughline/" + s.Name + "/" + q.Name, "QueryString": q.Text}
		if len(s.LogGroups) > 0 {
			properties["LogGroupNames"] = texts(s.LogGroups, substituted)
		}
		out["Query"+identifiers{}.of(q.Name, "")] = map[string]any{"Type": "AWS::Logs::QueryDefinition", "Properties": properties}
	}
	return out
}
