package wire

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Form is a node of a request in AWS's query protocol, in which
// "Entry.1.Attribute.2.Name=x" is a path to a value. The zero value is an empty node.
type Form struct {
	Value    string
	children map[string]*Form
}

const maxDepth = 12 // more than any operation needs

// ParseForm reads the body of a request. It ignores keys that are nested too deeply.
func ParseForm(body []byte) (*Form, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	root := &Form{}
	for key, list := range values {
		parts := strings.Split(key, ".")
		if len(parts) > maxDepth {
			continue
		}
		node := root
		for _, part := range parts {
			next := node.children[part]
			if next == nil {
				next = &Form{}
				if node.children == nil {
					node.children = map[string]*Form{}
				}
				node.children[part] = next
			}
			node = next
		}
		node.Value = list[0]
	}
	return root, nil
}

// Get returns the node at the path, an empty one if there is none.
func (f *Form) Get(path ...string) *Form {
	for _, name := range path {
		next := f.children[name]
		if next == nil {
			return &Form{}
		}
		f = next
	}
	return f
}

// Has reports whether the node has a value or children.
func (f *Form) Has() bool { return f.Value != "" || len(f.children) > 0 }

// Names returns the sorted names of the children.
func (f *Form) Names() []string { return slices.Sorted(maps.Keys(f.children)) }

// List returns the elements of a list in order: the children whose names are
// numbers, below "member" or "entry" if the API wraps its lists.
func (f *Form) List() []*Form {
	for _, wrapper := range []string{"member", "entry"} {
		if inner := f.children[wrapper]; inner != nil {
			f = inner
			break
		}
	}
	numbers := map[int]*Form{}
	for name, child := range f.children {
		if n, err := strconv.Atoi(name); err == nil {
			numbers[n] = child
		}
	}
	list := make([]*Form, 0, len(numbers))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		list = append(list, numbers[n])
	}
	return list
}
