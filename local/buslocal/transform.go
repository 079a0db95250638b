package buslocal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Transform defines what a target receives instead of the event: a constant, a part of the
// event, or a filled template (EventBridge user guide, "Amazon EventBridge input
// transformation"). The zero value is the event itself. It is a value; safe to copy.
type Transform struct {
	Input    string // a constant
	Path     string // the JSON path of the part: $.detail
	Template string
	Paths    map[string]string // of the template's variables
	// RuleName and RuleARN are the values of the predefined variables.
	RuleName, RuleARN string
}

// variable matches a variable in a template.
var variable = regexp.MustCompile(`<([A-Za-z0-9_.-]+)>`)

// Apply returns what a target receives of an event that was accepted at the time taken. A
// path that matches nothing gives null; in a template it is empty within a string, and ""
// outside of one.
func (t Transform) Apply(event []byte, taken time.Time) ([]byte, error) {
	switch {
	case t.Input != "":
		return []byte(t.Input), nil
	case t.Template != "":
		return t.fill(event, taken)
	case t.Path != "" && t.Path != "$":
		found, ok, err := at(event, t.Path)
		if !ok && err == nil {
			return []byte("null"), nil
		}
		return found, err
	}
	return event, nil
}

func (t Transform) fill(event []byte, taken time.Time) ([]byte, error) {
	values := map[string][]byte{}
	for name, path := range t.Paths {
		found, ok, err := at(event, path)
		if err != nil {
			return nil, fmt.Errorf("the variable %s: %w", name, err)
		}
		if ok {
			values[name] = found
		}
	}
	quote := func(s string) []byte { data, _ := json.Marshal(s); return data } // strings always marshal
	values["aws.events.rule-name"], values["aws.events.rule-arn"] = quote(t.RuleName), quote(t.RuleARN)
	values["aws.events.event.ingestion-time"] = quote(taken.UTC().Format("2006-01-02T15:04:05Z"))
	values["aws.events.event.json"] = event
	var whole map[string]json.RawMessage
	if json.Unmarshal(event, &whole) == nil {
		delete(whole, "detail")
		values["aws.events.event"], _ = json.Marshal(whole) // unmarshalled JSON always marshals
	}
	var out bytes.Buffer
	inString, last := false, 0
	for _, m := range variable.FindAllStringSubmatchIndex(t.Template, -1) {
		before := t.Template[last:m[0]]
		inString = quoted(before, inString)
		out.WriteString(before)
		last = m[1]
		value, known := values[t.Template[m[2]:m[3]]]
		switch {
		case inString && known:
			out.Write(within(value))
		case known:
			out.Write(value)
		case !inString:
			out.WriteString(`""`)
		}
	}
	out.WriteString(t.Template[last:])
	return out.Bytes(), nil
}

// quoted reports whether the end of a text is within a JSON string. in is the same for its
// beginning.
func quoted(text string, in bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && in:
			i++
		case text[i] == '"':
			in = !in
		}
	}
	return in
}

// within returns a value as it appears inside a JSON string.
func within(value []byte) []byte {
	if len(value) > 1 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	data, _ := json.Marshal(string(value)) // strings always marshal
	return data[1 : len(data)-1]
}

// at returns the part of a document that a path selects. A path has names after dots,
// indices, and *, which selects a list. The bytes of the part are those of the document.
func at(document []byte, path string) (found json.RawMessage, ok bool, err error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return nil, false, fmt.Errorf("the path %q does not begin with $", path)
	}
	steps, err := stepsOf(rest)
	if err != nil {
		return nil, false, fmt.Errorf("the path %q: %w", path, err)
	}
	found, ok = follow(document, steps)
	return found, ok, nil
}

// stepsOf splits a path into its steps: the names of .name, .'name' and ["name"]; [n] and
// [*] remain unchanged.
func stepsOf(path string) ([]string, error) {
	var steps []string
	for path != "" {
		switch path[0] {
		case '.':
			end := strings.IndexAny(path[1:], ".[")
			if end < 0 {
				end = len(path) - 1
			}
			steps, path = append(steps, path[1:1+end]), path[1+end:]
			if end == 0 {
				return nil, fmt.Errorf("a name is missing")
			}
		case '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil, fmt.Errorf("a ] is missing")
			}
			step := path[:end+1]
			if inner := strings.Trim(step, "[]"); len(inner) > 1 && strings.ContainsAny(inner[:1], `"'`) {
				step = strings.Trim(inner, `"'`)
			}
			steps, path = append(steps, step), path[end+1:]
		default:
			return nil, fmt.Errorf("%q stands where . or [ is expected", path)
		}
	}
	return steps, nil
}

func follow(document json.RawMessage, steps []string) (json.RawMessage, bool) {
	if len(steps) == 0 {
		return bytes.TrimSpace(document), true
	}
	step, rest := steps[0], steps[1:]
	var list []json.RawMessage
	isList := json.Unmarshal(document, &list) == nil && list != nil
	var object map[string]json.RawMessage
	switch {
	case step == "[*]" || step == "*":
		found := []json.RawMessage{}
		for _, item := range list {
			if part, ok := follow(item, rest); ok {
				found = append(found, part)
			}
		}
		out, err := json.Marshal(found)
		return out, isList && err == nil
	case strings.HasPrefix(step, "["):
		i, err := strconv.Atoi(strings.Trim(step, "[]"))
		if err != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		return follow(list[i], rest)
	case json.Unmarshal(document, &object) != nil:
		return nil, false
	}
	part, ok := object[step]
	if !ok {
		return nil, false
	}
	return follow(part, rest)
}
