package alarmparse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// Shell reads the alarms of a shell script: its calls of aws cloudwatch put-metric-alarm
// and put-composite-alarm, with options or with --cli-input-json. A value that the shell
// would insert becomes a placeholder, unless the script assigns it outside of branches
// and loops. Here-documents are skipped. It returns an error for a quote that is not closed,
// for JSON that cannot be read and for a script without such a call.
func Shell(data []byte) (alarms.Set, error) {
	s := alarms.Set{Name: "script", Namespace: "Throughline"}
	commands, err := split(string(data))
	if err != nil {
		return s, fmt.Errorf("read the script: %w", err)
	}
	vars := variables{values: map[string]string{}}
	for _, c := range commands {
		vars.read(c.words)
		c.words = vars.fill(c.words)
		at := slices.Index(c.words, "cloudwatch")
		if at < 0 || at+1 >= len(c.words) || !slices.Contains(c.words[:at], "aws") {
			continue
		}
		verb, options := c.words[at+1], options(c.words[at+2:])
		if verb != "put-metric-alarm" && verb != "put-composite-alarm" {
			continue
		}
		if file := inFile(options); file != "" {
			s.Notes = append(s.Notes, alarms.Note{Line: c.line, Message: "the alarm is in the file " + file + ", which is not read"})
			continue
		}
		a, composite, err := alarmOf(options)
		if err != nil {
			return s, fmt.Errorf("line %d: %w", c.line, err)
		}
		if verb == "put-composite-alarm" {
			composite.Meta = alarms.Meta{Kind: "composite", Resource: composite.Name, Line: c.line}
			s.Composites = append(s.Composites, composite.Normalize())
			continue
		}
		a.Meta = alarms.Meta{Kind: "custom", Resource: a.Name, Line: c.line}
		s.Alarms = append(s.Alarms, a.Normalize())
	}
	if len(s.Alarms)+len(s.Composites)+len(s.Notes) == 0 {
		return s, errors.New("the script does not call aws cloudwatch put-metric-alarm")
	}
	return s, nil
}

type command struct {
	line  int
	words []string
}

// options returns a command's options, each with the words that follow it.
func options(words []string) map[string][]string {
	out := map[string][]string{}
	name := ""
	for _, w := range words {
		if option, ok := strings.CutPrefix(w, "--"); ok {
			var value string
			if name, value, ok = strings.Cut(option, "="); ok {
				out[name] = append(out[name], value)
			} else {
				out[name] = nil
			}
			continue
		}
		out[name] = append(out[name], w)
	}
	return out
}

func alarmOf(o map[string][]string) (alarms.Alarm, alarms.Composite, error) {
	one := func(key string) string { return strings.Join(o[key], " ") }
	r := reading{text: (*yamltree.Node).Value, scalar: (*yamltree.Node).Value} // the script's variables are placeholders already
	if input, ok := o["cli-input-json"]; ok {
		n, err := yamltree.Parse([]byte(strings.Join(input, " ")))
		if err != nil {
			return alarms.Alarm{}, alarms.Composite{}, fmt.Errorf("--cli-input-json: %w", err)
		}
		return r.alarm(n), r.composite(n), nil
	}
	amount := func(key string) float64 {
		f, _ := strconv.ParseFloat(one(key), 64) // lint reports a missing value
		return f
	}
	_, off := o["no-actions-enabled"]
	composite := alarms.Composite{Name: one("alarm-name"), Description: one("alarm-description"), Rule: one("alarm-rule"), ActionsDisabled: off,
		Actions: o["alarm-actions"], OKActions: o["ok-actions"], NoDataActions: o["insufficient-data-actions"], Tags: tagWords(o["tags"])}
	a := alarms.Alarm{Name: composite.Name, Description: composite.Description, ActionsDisabled: off,
		Comparison: alarms.Comparison(one("comparison-operator")), Threshold: amount("threshold"),
		EvaluationPeriods: int(amount("evaluation-periods")), DatapointsToAlarm: int(amount("datapoints-to-alarm")),
		Missing: alarms.Missing(one("treat-missing-data")), LowSample: one("evaluate-low-sample-count-percentile"),
		Actions: composite.Actions, OKActions: composite.OKActions, NoDataActions: composite.NoDataActions, Tags: composite.Tags}
	if metrics, ok := o["metrics"]; ok {
		n, err := yamltree.Parse([]byte(`{"Metrics":` + strings.Join(metrics, " ") + "}"))
		if err != nil {
			return a, composite, fmt.Errorf("--metrics: %w", err)
		}
		a.Queries = r.alarm(n).Queries
		return a, composite, nil
	}
	if one("metric-name") != "" {
		s := alarms.Stat{Namespace: one("namespace"), Metric: one("metric-name"), Statistic: one("statistic") + one("extended-statistic"), Period: int(amount("period")), Unit: one("unit")}
		for _, t := range pairWords(o["dimensions"], "Name", "Value") {
			s.Dimensions = append(s.Dimensions, alarms.Dimension{Name: t[0], Value: t[1]})
		}
		a.Queries = []alarms.Query{{ID: "m1", Stat: &s, Return: true}}
	}
	return a, composite, nil
}

func tagWords(words []string) []alarms.Tag {
	var out []alarms.Tag
	for _, t := range pairWords(words, "Key", "Value") {
		out = append(out, alarms.Tag{Key: t[0], Value: t[1]})
	}
	return out
}

// inFile returns the address of the file that has an alarm or its metrics, or "".
func inFile(options map[string][]string) string {
	for _, name := range []string{"cli-input-json", "cli-input-yaml", "metrics", "dimensions"} {
		if text := strings.Join(options[name], " "); strings.HasPrefix(text, "file://") || strings.HasPrefix(text, "fileb://") {
			return text
		}
	}
	return ""
}

// pairWords reads the CLI's shorthand, Name=a,Value=b, or a list in JSON.
func pairWords(words []string, first, second string) [][2]string {
	var out [][2]string
	if text := strings.Join(words, " "); strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{") {
		n, err := yamltree.Parse([]byte(text))
		if err == nil && n.Kind == yamltree.Map {
			n = &yamltree.Node{Kind: yamltree.List, Items: []*yamltree.Node{n}}
		}
		for _, item := range n.List() {
			out = append(out, [2]string{item.Get(first).Value(), item.Get(second).Value()})
		}
		return out
	}
	for _, w := range words {
		var pair [2]string
		for member := range strings.SplitSeq(w, ",") {
			key, value, _ := strings.Cut(member, "=")
			switch key {
			case first:
				pair[0] = value
			case second:
				pair[1] = value
			}
		}
		out = append(out, pair)
	}
	return out
}
