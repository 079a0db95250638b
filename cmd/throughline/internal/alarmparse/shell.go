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
// would insert becomes a placeholder. It returns an error for a quote that is not closed,
// for JSON that cannot be read and for a script without such a call.
func Shell(data []byte) (alarms.Set, error) {
	s := alarms.Set{Name: "script", Namespace: "Throughline"}
	commands, err := split(string(data))
	if err != nil {
		return s, fmt.Errorf("read the script: %w", err)
	}
	for _, c := range commands {
		at := slices.Index(c.words, "cloudwatch")
		if at < 0 || at+1 >= len(c.words) || !slices.Contains(c.words[:at], "aws") {
			continue
		}
		verb, options := c.words[at+1], options(c.words[at+2:])
		if verb != "put-metric-alarm" && verb != "put-composite-alarm" {
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
	if len(s.Alarms)+len(s.Composites) == 0 {
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
		s := alarms.Stat{Namespace: one("namespace"), Metric: one("metric-name"), Statistic: one("statistic") + one("extended-statistic"), Period: int(amount("period"))}
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

// pairWords reads the CLI's shorthand: Name=a,Value=b.
func pairWords(words []string, first, second string) [][2]string {
	var out [][2]string
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

// splitter splits a script into commands and words as a shell does, as far as calls need
// it: quotes, backslashes, variables, comments.
type splitter struct {
	text     string
	at, line int
	word     strings.Builder
	inWord   bool
	current  command
	commands []command
}

func split(text string) ([]command, error) {
	s := splitter{text: text, line: 1}
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.endCommand()
	return s.commands, nil
}

func (s *splitter) endWord() {
	if s.inWord {
		s.current.words = append(s.current.words, s.word.String())
		s.word.Reset()
		s.inWord = false
	}
}

func (s *splitter) endCommand() {
	s.endWord()
	if len(s.current.words) > 0 {
		s.commands = append(s.commands, s.current)
	}
	s.current = command{line: s.line}
}

func (s *splitter) add(text string) {
	if !s.inWord && len(s.current.words) == 0 {
		s.current.line = s.line
	}
	s.word.WriteString(text)
	s.inWord = true
}

func (s *splitter) step() error {
	c := s.text[s.at]
	s.at++
	switch c {
	case '\n':
		s.endCommand()
		s.line++
	case ';', '&', '|', '(', ')':
		s.endCommand()
	case ' ', '\t', '\r':
		s.endWord()
	case '#':
		if s.inWord {
			s.add("#")
			break
		}
		for s.at < len(s.text) && s.text[s.at] != '\n' {
			s.at++
		}
	case '\\':
		s.escaped()
	case '\'':
		end := strings.IndexByte(s.text[s.at:], '\'')
		if end < 0 {
			return fmt.Errorf("line %d: a quote is not closed", s.line)
		}
		s.add(alarms.Literal(s.text[s.at : s.at+end]))
		s.line += strings.Count(s.text[s.at:s.at+end], "\n")
		s.at += end + 1
	case '"':
		return s.doubleQuoted()
	case '$':
		s.add(s.expansion())
	default:
		s.add(string(c))
	}
	return nil
}

func (s *splitter) escaped() {
	if s.at == len(s.text) {
		return
	}
	if s.text[s.at] == '\n' {
		s.line++
	} else {
		s.add(s.text[s.at : s.at+1])
	}
	s.at++
}

func (s *splitter) doubleQuoted() error {
	first := s.line
	s.add("")
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return nil
		case c == '\\' && s.at < len(s.text) && strings.IndexByte("$`\"\\\n", s.text[s.at]) >= 0:
			s.escaped()
		case c == '$':
			s.add(s.expansion())
		default:
			if c == '\n' {
				s.line++
			}
			s.word.WriteByte(c)
		}
	}
	return fmt.Errorf("line %d: a quote is not closed", first)
}

// expansion reads what follows a $. A variable becomes a placeholder. A command's output
// becomes a placeholder that is not declared.
func (s *splitter) expansion() string {
	rest := s.text[s.at:]
	if strings.HasPrefix(rest, "(") {
		depth := 0
		for i, c := range rest {
			switch c {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				s.at += i + 1
				return "${Output}"
			}
		}
		s.at = len(s.text)
		return "${Output}"
	}
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		end := strings.IndexByte(inner, '}')
		if end < 0 {
			return "$"
		}
		s.at += end + 2
		name, _, _ := strings.Cut(inner[:end], ":")
		return "${" + identifier(name) + "}"
	}
	end := 0
	for end < len(rest) && (rest[end] == '_' || identifier(rest[end:end+1]) != "") {
		end++
	}
	if end == 0 {
		return "$"
	}
	s.at += end
	return "${" + identifier(rest[:end]) + "}"
}
