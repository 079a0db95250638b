// Package yamltree reads YAML, and so JSON, as a tree in which every value has
// its line number and CloudFormation's short tags are expanded to functions. It
// parses with go.yaml.in/yaml.
package yamltree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is the kind of a [Node]. The zero value is Null.
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

// Node is one value of a document. It does not change after [Parse], so it is safe for
// concurrent use. An alias is the same Node as its anchor.
type Node struct {
	Kind  Kind
	Line  int    // from 1
	Text  string // of a scalar, as in the document, without quotes
	Items []*Node
	Pairs []Pair // in the document's order, after the merged ones
}

// Pair is one member of a mapping.
type Pair struct {
	Key   string
	Line  int
	Value *Node
	// First is the line of an earlier member with the same key, which this one
	// replaces, as in the AWS CLI and SAM; 0 for none.
	First int
}

const (
	maxBytes    = 4 << 20
	maxDepth    = 100
	maxExpanded = 1 << 18 // nodes that aliases expand to, including those of aliases within them
)

// Error means that a document cannot be read. Line is 0 if it is not known.
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

// yamlVersion matches the version directive at the start of a document. The parser
// accepts only version 1.1; SAM and the AWS CLI accept any 1.x.
var yamlVersion = regexp.MustCompile(`\A(?:\x{FEFF})?(?:[ \t]*(?:#[^\n]*)?\n)*%YAML[ \t]+1\.[0-9]+`)

// Parse reads one document of at most 4 MiB, nested at most 100 deep. Anchors,
// aliases and merge keys are resolved; the expansion of aliases is bounded. Tags
// such as !Ref and !GetAtt become the mappings that they abbreviate. An empty
// document is a Null. Errors are [Error]s.
func Parse(data []byte) (n *Node, err error) {
	if len(data) > maxBytes {
		return nil, &Error{Message: fmt.Sprintf("the document has %d bytes, more than the %d that are read", len(data), maxBytes)}
	}
	// The parser has panicked on malformed input; a document must not end the command.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, &Error{Message: fmt.Sprintf("not YAML: %v", r)}
		}
	}()
	if at := yamlVersion.FindIndex(data); at != nil {
		data = bytes.Clone(data)
		copy(data[bytes.IndexByte(data, '%'):], "#")
	}
	data = plainJSON(data)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	c := converter{done: map[*yaml.Node]*converted{}}
	for first := true; ; first = false {
		var doc yaml.Node
		switch err := decoder.Decode(&doc); {
		case errors.Is(err, io.EOF):
			if n == nil {
				n = &Node{Line: 1}
			}
			return n, nil
		case err != nil:
			return nil, syntaxError(err)
		}
		if first {
			converted, err := c.convert(&doc, 0)
			if err != nil {
				return nil, err
			}
			n = converted.node
		} else if len(doc.Content) > 0 && doc.Content[0].ShortTag() != "!!null" {
			return nil, &Error{Line: doc.Content[0].Line, Message: "a second document: there can be one"}
		}
	}
}

// syntaxError reads the line number from the parser's message.
func syntaxError(err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			return &Error{Line: line, Message: "not YAML: " + message}
		}
	}
	return &Error{Message: "not YAML: " + text}
}

// converter converts the parser's nodes into Nodes. It converts each once, so that the
// time is linear in the document's size, regardless of aliases.
type converter struct {
	done     map[*yaml.Node]*converted // nil while it is being converted
	expanded int
}

type converted struct {
	node  *Node
	size  int // in nodes, with those that aliases expand to
	depth int // of the lists and mappings below it
}

func (c *converted) add(child *converted) {
	c.size += child.size
	c.depth = max(c.depth, child.depth+1)
}

func (c *converter) convert(in *yaml.Node, level int) (*converted, error) {
	if level > maxDepth {
		return nil, tooDeep(in)
	}
	switch in.Kind {
	case yaml.DocumentNode:
		return c.convert(in.Content[0], level)
	case yaml.AliasNode:
		return c.alias(in, level)
	}
	if in.Anchor != "" {
		c.done[in] = nil
	}
	out := &converted{node: &Node{Line: in.Line}, size: 1}
	var err error
	switch in.Kind {
	case yaml.ScalarNode:
		scalar(in, out.node)
	case yaml.SequenceNode:
		out.node.Kind = List
		err = c.list(in, out, level)
	default:
		out.node.Kind = Map
		err = c.mapping(in, out, level)
	}
	if err != nil {
		return nil, err
	}
	if out.node, err = tagged(in, out.node); err != nil {
		return nil, err
	}
	if in.Anchor != "" {
		c.done[in] = out
	}
	return out, nil
}

func tooDeep(in *yaml.Node) error {
	return &Error{Line: in.Line, Message: fmt.Sprintf("nested more than %d deep", maxDepth)}
}

func (c *converter) alias(in *yaml.Node, level int) (*converted, error) {
	out, begun := c.done[in.Alias]
	if !begun { // the anchor is on a key
		return c.convert(in.Alias, level)
	}
	if out == nil {
		return nil, &Error{Line: in.Line, Message: fmt.Sprintf("*%s stands inside the value that it is an alias of", in.Value)}
	}
	if level+out.depth > maxDepth {
		return nil, tooDeep(in)
	}
	if c.expanded += out.size; c.expanded > maxExpanded {
		return nil, &Error{Line: in.Line, Message: fmt.Sprintf("aliases stand for more than %d values", maxExpanded)}
	}
	return out, nil
}

func scalar(in *yaml.Node, out *Node) {
	out.Kind, out.Text = String, in.Value
	switch in.ShortTag() {
	case "!!null":
		out.Kind, out.Text = Null, ""
	case "!!int", "!!float":
		out.Kind = Number
	case "!!bool":
		out.Kind, out.Text = Bool, strings.ToLower(in.Value)
	}
}

func (c *converter) list(in *yaml.Node, out *converted, level int) error {
	for _, item := range in.Content {
		value, err := c.convert(item, level+1)
		if err != nil {
			return err
		}
		out.node.Items = append(out.node.Items, value.node)
		out.add(value)
	}
	return nil
}

// mapping reads the members, and then adds the members of merge keys whose keys it does
// not have.
func (c *converter) mapping(in *yaml.Node, out *converted, level int) error {
	at := make(map[string]int, len(in.Content)/2)
	var own, merged []Pair
	for i := 0; i+1 < len(in.Content); i += 2 {
		key := in.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return &Error{Line: key.Line, Message: "a key is a list or a mapping: it must be a text"}
		}
		value, err := c.convert(in.Content[i+1], level+1)
		if err != nil {
			return err
		}
		if key.ShortTag() == "!!merge" {
			out.size += value.size
			out.depth = max(out.depth, value.depth) // its members become members of this mapping
			for _, source := range sources(value.node) {
				if source.Kind != Map {
					return &Error{Line: in.Content[i].Line, Message: "<< takes a mapping or a list of mappings"}
				}
				merged = append(merged, source.Pairs...)
			}
			continue
		}
		out.add(value)
		pair := Pair{Key: key.Value, Line: in.Content[i].Line, Value: value.node}
		if first, twice := at[pair.Key]; twice {
			pair.First = own[first].Line
			own[first] = pair
			continue
		}
		at[pair.Key] = len(own)
		own = append(own, pair)
	}
	for _, pair := range merged {
		if _, taken := at[pair.Key]; !taken {
			at[pair.Key] = -1
			out.node.Pairs = append(out.node.Pairs, pair)
		}
	}
	out.node.Pairs = append(out.node.Pairs, own...)
	return nil
}

// sources returns the mappings of a merge key's value; the first takes precedence.
func sources(n *Node) []*Node {
	if n.Kind == List {
		return n.Items
	}
	return []*Node{n}
}

// tagged expands a CloudFormation tag: !Ref X is {Ref: X}, !GetAtt A.B is
// {Fn::GetAtt: [A, B]}, !Sub … is {Fn::Sub: …}. It ignores YAML's own tags, which the
// parser has processed.
func tagged(in *yaml.Node, value *Node) (*Node, error) {
	name, custom := strings.CutPrefix(in.Tag, "!")
	if !custom && strings.Contains(in.Tag, ":") && !strings.HasPrefix(in.Tag, "tag:yaml.org,2002:") {
		return nil, &Error{Line: in.Line, Message: fmt.Sprintf("the tag %s is none of CloudFormation's: leave the %%TAG directive out", in.Tag)}
	}
	if !custom || strings.HasPrefix(name, "!") || name == "" {
		return value, nil
	}
	if in.Kind == yaml.ScalarNode {
		value.Kind, value.Text = String, in.Value
	}
	switch name {
	case "Ref", "Condition":
	case "GetAtt":
		if value.Kind == String {
			resource, attribute, _ := strings.Cut(value.Text, ".")
			value = &Node{Kind: List, Line: in.Line, Items: []*Node{
				{Kind: String, Line: in.Line, Text: resource}, {Kind: String, Line: in.Line, Text: attribute},
			}}
		}
		name = "Fn::" + name
	default:
		name = "Fn::" + name
	}
	return &Node{Kind: Map, Line: in.Line, Pairs: []Pair{{Key: name, Line: in.Line, Value: value}}}, nil
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

// At follows keys from n; nil if one is missing. It may be called on nil.
func (n *Node) At(keys ...string) *Node {
	for _, key := range keys {
		n = n.Get(key)
	}
	return n
}

// Members returns the pairs of a mapping; it may be called on nil.
func (n *Node) Members() []Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

// List returns the items of a list; it may be called on nil.
func (n *Node) List() []*Node {
	if n == nil {
		return nil
	}
	return n.Items
}

// Scalar reports whether n is a string, a number or a boolean; it may be called on nil.
func (n *Node) Scalar() bool {
	return n != nil && (n.Kind == String || n.Kind == Number || n.Kind == Bool)
}

// Value returns a scalar's text, or "" for anything else; it may be called on nil.
func (n *Node) Value() string {
	if !n.Scalar() {
		return ""
	}
	return n.Text
}

// True reports whether n is true in YAML 1.1, or is a string that CloudFormation accepts
// as true; it may be called on nil.
func (n *Node) True() bool {
	switch strings.ToLower(n.Value()) {
	case "true", "yes", "on":
		return true
	}
	return false
}

// Float returns the value of a number, or of a string that contains a number. It may be
// called on nil.
func (n *Node) Float() (float64, error) {
	if !n.Scalar() {
		return 0, errors.New("not a number")
	}
	text := strings.ReplaceAll(n.Text, "_", "")
	if n.Kind == Number {
		if i, err := strconv.ParseInt(text, 0, 64); err == nil { // 0x1F and 017 as in YAML 1.1
			return float64(i), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", n.Text)
	}
	return f, nil
}
