package eventsv2local

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// node is a part of a request. The zero value is an absent part.
type node struct{ value cbor.Value }

// decode reads a body: a map, or no bytes for an input without members.
func decode(body []byte) (node, error) {
	if len(body) == 0 {
		return node{cbor.Map{}}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return node{}, err
	}
	if _, ok := v.(cbor.Map); !ok {
		return node{}, errors.New("the body is no map")
	}
	return node{v}, nil
}

// member returns a member of a map.
func (n node) member(name string) node {
	m, _ := n.value.(cbor.Map)
	v := m[name]
	if _, null := v.(*cbor.Nil); null {
		return node{}
	}
	return node{v}
}

// there reports whether the node is present.
func (n node) there() bool { return n.value != nil }

func (n node) text(name string) string {
	text, _ := n.member(name).value.(cbor.String)
	return string(text)
}

func (n node) bytes(name string) []byte {
	data, _ := n.member(name).value.(cbor.Slice)
	return data
}

func (n node) list(name string) []node {
	list, _ := n.member(name).value.(cbor.List)
	nodes := make([]node, len(list))
	for i := range list {
		nodes[i] = node{list[i]}
	}
	return nodes
}

func (n node) texts(name string) map[string]string {
	m, _ := n.member(name).value.(cbor.Map)
	texts := make(map[string]string, len(m))
	for key, value := range m {
		text, _ := value.(cbor.String)
		texts[key] = string(text)
	}
	return texts
}

// names returns the keys of a map.
func (n node) names() []string {
	m, _ := n.value.(cbor.Map)
	return slices.Sorted(maps.Keys(m))
}

// number returns a member that is a number; ok is false if there is none.
func (n node) number(name string) (number float64, ok bool) {
	switch v := n.member(name).value.(type) {
	case cbor.Uint:
		return float64(v), true
	case cbor.NegInt:
		return -float64(v), true
	case cbor.Float32:
		return float64(v), true
	case cbor.Float64:
		return float64(v), true
	}
	return 0, false
}

// time returns a member that is a time: seconds with tag 1.
func (n node) time(name string) time.Time {
	tag, ok := n.member(name).value.(*cbor.Tag)
	if !ok || tag.ID != 1 {
		return time.Time{}
	}
	seconds, ok := node{cbor.Map{"": tag.Value}}.number("")
	if !ok {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

// encode returns a value of a response: maps, lists, strings, numbers and times.
func encode(v any) cbor.Value {
	switch v := v.(type) {
	case map[string]any:
		m := make(cbor.Map, len(v))
		for key, value := range v {
			m[key] = encode(value)
		}
		return m
	case []any:
		list := make(cbor.List, len(v))
		for i := range v {
			list[i] = encode(v[i])
		}
		return list
	case string:
		return cbor.String(v)
	case int:
		return cbor.Uint(uint64(v)) // numbers are never negative
	case time.Time:
		return cbor.Tag{ID: 1, Value: cbor.Float64(float64(v.UnixMilli()) / 1000)}
	default:
		return &cbor.Nil{}
	}
}

// withoutEmpty returns a map without empty members.
func withoutEmpty(m map[string]any) map[string]any {
	for key, value := range m {
		at, isTime := value.(time.Time)
		if value == "" || value == nil || isTime && at.IsZero() {
			delete(m, key)
		}
	}
	return m
}
