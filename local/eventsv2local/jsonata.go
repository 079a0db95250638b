package eventsv2local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// expression is a JSONata expression. It supports a part of the language: strings,
// numbers and null, objects and lists, paths from $events and, in a predicate, from
// $, indexes and predicates in brackets, & and =, and the functions $contains,
// $substringAfter, $string and $exists.
type expression func(scope) (any, error)

// scope has the variables of an expression.
type scope struct {
	events  any
	current any // $ of a predicate
}

// isExpression reports whether a text is an expression, and returns the part between
// {% and %}.
func isExpression(text string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(strings.TrimSpace(text), "{%")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, "%}")
}

// compileExpression reads an expression between {% and %}.
func compileExpression(text string) (expression, error) {
	const longest = 8192
	inner, ok := isExpression(text)
	if !ok || len(text) > longest {
		return nil, fmt.Errorf("an expression stands between {%% and %%}, and has at most %d characters", longest)
	}
	p := &parser{text: inner}
	e, err := p.concatenation()
	if err == nil && p.peek() != 0 {
		err = p.wrong("the end")
	}
	return e, err
}

// evaluate returns the value of the expression for events, which are JSON. Null is an error.
func (e expression) evaluate(events []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(events))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	result, err := e(scope{events: value})
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, errors.New("the expression gives nothing")
	}
	return json.Marshal(result)
}

type parser struct {
	text string
	at   int
}

func (p *parser) peek() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) wrong(want string) error {
	rest := p.text[min(p.at, len(p.text)):]
	return fmt.Errorf("the expression has %.20q where this stand-in wants %s", rest, want)
}

func (p *parser) concatenation() (expression, error) {
	left, err := p.comparison()
	for err == nil && p.take('&') {
		var right expression
		if right, err = p.comparison(); err == nil {
			left = joined(left, right)
		}
	}
	return left, err
}

func joined(left, right expression) expression {
	return func(s scope) (any, error) {
		a, err := left(s)
		if err != nil {
			return nil, err
		}
		b, err := right(s)
		return textOf(a) + textOf(b), err
	}
}

func (p *parser) comparison() (expression, error) {
	left, err := p.path()
	if err != nil || !p.take('=') {
		return left, err
	}
	right, err := p.path()
	return func(s scope) (any, error) {
		a, err := left(s)
		if err != nil {
			return nil, err
		}
		b, err := right(s)
		return fmt.Sprint(a) == fmt.Sprint(b), err
	}, err
}

// path parses a primary expression with its steps.
func (p *parser) path() (expression, error) {
	e, err := p.primary()
	for err == nil {
		switch {
		case p.take('.'):
			var name string
			if name, err = p.name(); err == nil {
				e = step(e, name)
			}
		case p.take('['):
			var within expression
			if within, err = p.concatenation(); err == nil {
				if !p.take(']') {
					return nil, p.wrong("]")
				}
				e = predicate(e, within)
			}
		default:
			return e, nil
		}
	}
	return nil, err
}

// step selects a member of an object, or of each element of a list.
func step(from expression, name string) expression {
	return func(s scope) (any, error) {
		v, err := from(s)
		return memberOf(v, name), err
	}
}

func memberOf(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		var all []any
		for _, item := range v {
			switch below := memberOf(item, name).(type) {
			case nil:
			case []any:
				all = append(all, below...)
			default:
				all = append(all, below)
			}
		}
		return single(all)
	}
	return nil
}

// single returns JSONata's value of a sequence: no value, its only item, or a list.
func single(all []any) any {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// predicate selects an item of a list by its index, or the items for which an
// expression is true.
func predicate(from, within expression) expression {
	return func(s scope) (any, error) {
		v, err := from(s)
		if err != nil || v == nil {
			return nil, err
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		var kept []any
		for i, item := range list {
			is, err := within(scope{s.events, item})
			if err != nil {
				return nil, err
			}
			if n, ok := is.(json.Number); ok && n.String() == strconv.Itoa(i) || is == true {
				kept = append(kept, item)
			}
		}
		return single(kept), nil
	}
}

// name parses a member's name, between backquotes if it is not a word.
func (p *parser) name() (string, error) {
	if p.take('`') {
		name, rest, ok := strings.Cut(p.text[p.at:], "`")
		if !ok {
			return "", p.wrong("a closing backquote")
		}
		p.at = len(p.text) - len(rest)
		return name, nil
	}
	p.peek()
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] == '_' || p.text[p.at] >= '0' && p.text[p.at] <= '9' || p.text[p.at]|0x20 >= 'a' && p.text[p.at]|0x20 <= 'z') {
		p.at++
	}
	if p.at == start {
		return "", p.wrong("a name")
	}
	return p.text[start:p.at], nil
}

func (p *parser) primary() (expression, error) {
	switch c := p.peek(); {
	case c == '(':
		p.at++
		e, err := p.concatenation()
		if err == nil && !p.take(')') {
			err = p.wrong(")")
		}
		return e, err
	case c == '"' || c == '\'':
		return p.quoted(c)
	case c == '{':
		p.at++
		return p.object()
	case c == '[':
		p.at++
		items, err := p.list(']')
		return func(s scope) (any, error) { return values(items, s) }, err
	case c == '$':
		p.at++
		return p.variable()
	case c == '-' || c >= '0' && c <= '9':
		start := p.at
		for p.at++; p.at < len(p.text) && strings.IndexByte("0123456789.eE+-", p.text[p.at]) >= 0; p.at++ {
		}
		number := json.Number(p.text[start:p.at])
		if _, err := number.Float64(); err != nil {
			return nil, p.wrong("a number")
		}
		return constant(number), nil
	case strings.HasPrefix(p.text[p.at:], "null"):
		p.at += len("null")
		return constant(nil), nil
	}
	return nil, p.wrong("a value")
}

func constant(v any) expression { return func(scope) (any, error) { return v, nil } }

func (p *parser) quoted(quote byte) (expression, error) {
	p.at++
	var text strings.Builder
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == quote:
			p.at++
			return constant(text.String()), nil
		case c == '\\' && p.at+1 < len(p.text):
			p.at++
			text.WriteByte(p.text[p.at])
		default:
			text.WriteByte(c)
		}
	}
	return nil, p.wrong("a closing quote")
}

// list parses expressions up to a closing bracket.
func (p *parser) list(closing byte) (items []expression, err error) {
	for first := true; !p.take(closing); first = false {
		if !first && !p.take(',') {
			return nil, p.wrong(string(closing))
		}
		e, err := p.concatenation()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, nil
}

func values(items []expression, s scope) (any, error) {
	list := make([]any, 0, len(items))
	for _, item := range items {
		v, err := item(s)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (p *parser) object() (expression, error) {
	type member struct{ name, value expression }
	var members []member
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return nil, p.wrong("}")
		}
		name, err := p.concatenation()
		if err != nil {
			return nil, err
		}
		if !p.take(':') {
			return nil, p.wrong(":")
		}
		value, err := p.concatenation()
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	return func(s scope) (any, error) {
		object := map[string]any{}
		for _, m := range members {
			name, err := m.name(s)
			if err != nil {
				return nil, err
			}
			value, err := m.value(s)
			if err != nil {
				return nil, err
			}
			if value != nil {
				object[textOf(name)] = value
			}
		}
		return object, nil
	}, nil
}

// variable parses $events, $, or a function call.
func (p *parser) variable() (expression, error) {
	name, err := p.name()
	if err != nil {
		return func(s scope) (any, error) { return s.current, nil }, nil //nolint:nilerr // $ alone has no name
	}
	if name == "events" {
		return func(s scope) (any, error) { return s.events, nil }, nil
	}
	f, known := functions[name]
	if !known || !p.take('(') {
		return nil, fmt.Errorf("this stand-in knows no $%s", name)
	}
	arguments, err := p.list(')')
	if err != nil {
		return nil, err
	}
	if len(arguments) != f.arguments {
		return nil, fmt.Errorf("$%s has %d arguments", name, f.arguments)
	}
	return func(s scope) (any, error) {
		v, err := values(arguments, s)
		if err != nil {
			return nil, err
		}
		list, _ := v.([]any)
		return f.call(list), nil
	}, nil
}
