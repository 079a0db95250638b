// Package node reads YAML (and so JSON) as a tree in which every value knows
// its line, and CloudFormation's short tags stand for what they mean.
package node

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Kind of a [Node]. The zero value is Null.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	String
	Number
	Bool
	List
	Map
)

func (k Kind) String() string {
	return [...]string{"nothing", "a text", "a number", "true or false", "a list", "a mapping"}[k]
}

// Node is one value of a document. It is not changed after Parse.
type Node struct {
	Kind  Kind
	Line  int    // from 1
	Text  string // of a scalar, as it was written, quotes taken off
	Items []*Node
	Pairs []Pair // in the document's order
}

// Pair is one member of a mapping.
type Pair struct {
	Key   string
	Line  int
	Value *Node
}

const (
	maxBytes = 4 << 20
	maxDepth = 100
)

// Error is a document that cannot be read. Line is 0 where it is not known.
type Error struct {
	Line    int
	Message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// Parse reads one document. Tags such as !Ref and !GetAtt become the mappings
// that they abbreviate. Anchors and aliases are refused, as is a document over
// 4 MiB or nested over 100 deep. Errors are [Error]s.
func Parse(data []byte) (n *Node, err error) {
	if len(data) > maxBytes {
		return nil, &Error{Message: fmt.Sprintf("the document has %d bytes, more than the %d that are read", len(data), maxBytes)}
	}
	if depth(data) > maxDepth {
		return nil, &Error{Message: fmt.Sprintf("nested more than %d deep", maxDepth)}
	}
	// The YAML parser has panicked on odd bytes before; a spec must never end the command.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, &Error{Message: fmt.Sprintf("not YAML: %v", r)}
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, &Error{Line: errorLine(err), Message: "not YAML: " + firstLine(err)}
	}
	var found *Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if found != nil {
			return nil, &Error{Line: doc.Body.GetToken().Position.Line, Message: "a second document: there can be one"}
		}
		if found, err = convert(doc.Body, 0); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return &Node{Line: 1}, nil
	}
	return found, nil
}

// depth is an upper bound of how deep flow collections nest, and of how deep
// indentation can.
func depth(data []byte) int {
	deepest, open := 0, 0
	for line := range bytes.Lines(data) {
		indent := len(line) - len(bytes.TrimLeft(line, " -?:"))
		deepest = max(deepest, indent/2)
	}
	for _, b := range data {
		switch b {
		case '[', '{':
			open++
			deepest = max(deepest, open)
		case ']', '}':
			open = max(0, open-1)
		}
	}
	return deepest
}

func errorLine(err error) int {
	text := err.Error()
	if !strings.HasPrefix(text, "[") {
		return 0
	}
	number, _, _ := strings.Cut(text[1:], ":")
	line, _ := strconv.Atoi(number)
	return line
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if _, rest, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(line, "[") {
		return rest
	}
	return line
}

func convert(in ast.Node, level int) (*Node, error) {
	out := &Node{}
	if t := in.GetToken(); t != nil && t.Position != nil {
		out.Line = t.Position.Line
	}
	if level > maxDepth {
		return nil, &Error{Line: out.Line, Message: "nested too deep"}
	}
	switch v := in.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
	case *ast.StringNode:
		out.Kind, out.Text = String, v.Value
	case *ast.LiteralNode:
		out.Kind, out.Text = String, v.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.Kind, out.Text = Number, in.GetToken().Value
	case *ast.BoolNode:
		out.Kind, out.Text = Bool, strconv.FormatBool(v.Value)
	case *ast.SequenceNode:
		return out, out.list(v, level)
	case *ast.MappingNode:
		out.Kind = Map
		for _, pair := range v.Values {
			if err := out.pair(pair, level); err != nil {
				return nil, err
			}
		}
		if len(out.Pairs) > 0 {
			out.Line = out.Pairs[0].Line
		}
	case *ast.MappingValueNode:
		out.Kind = Map
		return out, out.pair(v, level)
	case *ast.TagNode:
		return tagged(v, out.Line, level)
	case *ast.AnchorNode, *ast.AliasNode:
		return nil, &Error{Line: out.Line, Message: "anchors and aliases are not read: write the value out"}
	default:
		return nil, &Error{Line: out.Line, Message: fmt.Sprintf("%s is not read here", in.Type())}
	}
	return out, nil
}

func (n *Node) list(v *ast.SequenceNode, level int) error {
	n.Kind = List
	for _, value := range v.Values {
		item, err := convert(value, level+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	return nil
}

func (n *Node) pair(v *ast.MappingValueNode, level int) error {
	key, err := convert(v.Key, level+1)
	if err != nil {
		return err
	}
	if key.Kind == List || key.Kind == Map {
		return &Error{Line: key.Line, Message: "a key is " + key.Kind.String() + ": it must be a text"}
	}
	value, err := convert(v.Value, level+1)
	if err != nil {
		return err
	}
	n.Pairs = append(n.Pairs, Pair{Key: key.Text, Line: key.Line, Value: value})
	return nil
}

// tagged is what a CloudFormation tag abbreviates: !Ref X is {Ref: X}, !GetAtt
// A.B is {Fn::GetAtt: [A, B]}, !Sub … is {Fn::Sub: …}.
func tagged(v *ast.TagNode, line, level int) (*Node, error) {
	name := strings.TrimPrefix(v.Start.Value, "!")
	if v.Value == nil {
		return nil, &Error{Line: line, Message: "!" + name + " has no value"}
	}
	value, err := convert(v.Value, level+1)
	if err != nil {
		return nil, err
	}
	switch name {
	case "!str": // of YAML itself: !!str
		value.Kind = String
		return value, nil
	case "!int", "!float", "!bool", "!seq", "!map", "!null", "!timestamp", "!binary":
		return value, nil
	case "Ref", "Condition":
	case "GetAtt":
		if value.Kind == String {
			resource, attribute, _ := strings.Cut(value.Text, ".")
			value = &Node{Kind: List, Line: line, Items: []*Node{
				{Kind: String, Line: line, Text: resource}, {Kind: String, Line: line, Text: attribute},
			}}
		}
		name = "Fn::" + name
	default:
		name = "Fn::" + name
	}
	return &Node{Kind: Map, Line: line, Pairs: []Pair{{Key: name, Line: line, Value: value}}}, nil
}

// Get returns the member called key, or nil; it may be called on nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Pairs {
		if n.Pairs[i].Key == key {
			return n.Pairs[i].Value
		}
	}
	return nil
}

// At follows keys from n, nil where one is missing.
func (n *Node) At(keys ...string) *Node {
	for _, key := range keys {
		n = n.Get(key)
	}
	return n
}

// List is the items of a list; it may be called on nil.
func (n *Node) List() []*Node {
	if n == nil {
		return nil
	}
	return n.Items
}

// Scalar says whether n is a text, a number or a boolean; it may be called on nil.
func (n *Node) Scalar() bool {
	return n != nil && (n.Kind == String || n.Kind == Number || n.Kind == Bool)
}

// Value is a scalar's text, or "" of anything else; it may be called on nil.
func (n *Node) Value() string {
	if !n.Scalar() {
		return ""
	}
	return n.Text
}

// Float is a number's value; a text that holds a number counts as one. It may
// be called on nil.
func (n *Node) Float() (float64, error) {
	if !n.Scalar() {
		return 0, errors.New("not a number")
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.Text, "_", ""), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", n.Text)
	}
	return f, nil
}
