package eval

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parser parses and computes an expression in one pass.
type parser struct {
	m      *calculator
	above  []string
	tokens []string
	at     int
	depth  int
}

func (p *parser) next() string {
	if p.at == len(p.tokens) {
		return ""
	}
	p.at++
	return p.tokens[p.at-1]
}

func (p *parser) peek() string {
	if p.at == len(p.tokens) {
		return ""
	}
	return p.tokens[p.at]
}

func (p *parser) expression(level int) (value, error) {
	if level == len(operators) {
		return p.operand()
	}
	left, err := p.expression(level + 1)
	for err == nil {
		f, ok := operators[level][strings.ToUpper(p.peek())]
		if !ok {
			break
		}
		p.next()
		var right value
		if right, err = p.expression(level + 1); err == nil {
			left, err = p.m.both(f, left, right)
		}
	}
	return left, err
}

func (p *parser) operand() (value, error) {
	if p.depth++; p.depth > 200 {
		return value{}, errors.New("the expression is nested too deep")
	}
	defer func() { p.depth-- }()
	token := p.next()
	if f, err := strconv.ParseFloat(token, 64); err == nil && token[0] != 'I' && token[0] != 'N' && token[0] != 'i' && token[0] != 'n' {
		return value{scalar: f}, nil
	}
	switch {
	case token == "":
		return value{}, errors.New("the expression ends early")
	case token == "-":
		v, err := p.operand()
		return p.m.map1(func(f float64) float64 { return -f }, v), err
	case token == "(":
		v, err := p.expression(0)
		if err == nil && p.next() != ")" {
			err = errors.New("a bracket is not closed")
		}
		return v, err
	case token == "[":
		items, err := p.list("]", "a list")
		return array(items), err
	case token[0] == '"':
		return value{text: strings.Trim(token, `"`)}, nil
	case p.peek() == "(":
		p.next()
		return p.call(strings.ToUpper(token))
	default:
		return p.m.name(token, p.above)
	}
}

// list reads values up to the closing bracket.
func (p *parser) list(closing, what string) ([]value, error) {
	var out []value
	for p.peek() != closing {
		v, err := p.argument()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if p.peek() == "," {
			p.next()
		} else if p.peek() != closing {
			return nil, fmt.Errorf("%s is not closed", what)
		}
	}
	p.next()
	return out, nil
}

// argument reads an expression, or a word that only some functions accept.
func (p *parser) argument() (value, error) {
	switch word := p.peek(); word {
	case "REPEAT", "LINEAR":
		p.next()
		return value{text: word}, nil
	default:
		return p.expression(0)
	}
}

func (p *parser) call(name string) (value, error) {
	args, err := p.list(")", name)
	if err != nil {
		return value{}, err
	}
	f, known := functions[name]
	if !known {
		return value{}, fmt.Errorf("%s is not supported in a backtest", name)
	}
	if len(args) < f.least || f.most > 0 && len(args) > f.most {
		return value{}, fmt.Errorf("%s takes %s, not %d", name, f.takes(), len(args))
	}
	return f.compute(p.m, name, args)
}

// tokens splits an expression into numbers, names, texts and operators.
func tokens(expression string) []string {
	var out []string
	for i := 0; i < len(expression); {
		c := expression[i]
		end := i + 1
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case c == '"':
			for end < len(expression) && expression[end] != '"' {
				end++
			}
			end = min(end+1, len(expression))
		case wordByte(c):
			for end < len(expression) && wordByte(expression[end]) {
				end++
			}
		case end < len(expression) && strings.Contains("<= >= == != && ||", expression[i:end+1]) && expression[end] != ' ':
			end++
		}
		out = append(out, expression[i:end])
		i = end
	}
	return out
}

func wordByte(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
