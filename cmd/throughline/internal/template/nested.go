package template

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

const (
	deepestNested = 5   // levels of nested stacks
	maxNested     = 200 // the total number of nested templates
)

// stacks are the nested stacks of a template whose files exist.
type stacks struct {
	open  func(name string) ([]byte, error) // reads a file by its path relative to the template; nil if there are none
	read  map[string]*resolver              // by logical ID; nil if it cannot be read
	depth int
	count *int
	// location is the property of the outer template with the name of this file.
	location *yamltree.Node
}

var errNotThere = errors.New("the template of a nested stack was not found: run init on that template")

// stack returns the template of a nested stack, with its parameters set.
func (r *resolver) stack(id string) (*resolver, error) {
	if inner := r.stacks.read[id]; inner != nil {
		return inner, nil
	}
	n := r.at(id)
	location := n.At("Properties", "TemplateURL")
	if n.Get("Type").Value() == "AWS::Serverless::Application" {
		location = n.At("Properties", "Location")
	}
	name, ok := r.text(location, exact)
	name = literal(name)
	if r.count == nil {
		r.count = new(int)
	}
	if !ok || r.open == nil || r.depth >= deepestNested || *r.count >= maxNested || strings.Contains(name, "://") {
		return nil, errNotThere
	}
	*r.count++
	data, err := r.open(name)
	if err != nil {
		return nil, fmt.Errorf("the template of a nested stack was not found: %w", err)
	}
	values := map[string]string{}
	for _, p := range n.At("Properties", "Parameters").Members() {
		if value, ok := r.text(p.Value, open); ok {
			values[p.Key] = value
		}
	}
	for name, value := range r.values {
		if r.local != nil && strings.HasPrefix(name, "AWS::") {
			values[name] = value
		}
	}
	inner, err := read(data, values)
	if err != nil {
		return nil, err
	}
	for key, physical := range r.physical {
		if of, ok := strings.CutPrefix(key, id+"/"); ok {
			if inner.physical == nil {
				inner.physical = map[string]string{}
			}
			inner.physical[of] = physical
		}
	}
	inner.path, inner.local = r.path+id+"/", r.local
	if inner.local != nil {
		inner.choose()
	}
	inner.prefix, inner.placeholders = r.prefix+letters(id), r.placeholders
	inner.stacks = stacks{depth: r.depth + 1, count: r.count, location: location, open: func(file string) ([]byte, error) {
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(name), file)
		}
		return r.open(file)
	}}
	if r.stacks.read == nil {
		r.stacks.read = map[string]*resolver{}
	}
	r.stacks.read[id] = inner
	return inner, nil
}

// output returns the nested template and the value in it that a Fn::GetAtt of an output
// of a nested stack refers to, through any number of stacks, or nil.
func (r *resolver) output(n *yamltree.Node) (*resolver, *yamltree.Node) {
	found := false
	for range deepestNested {
		id, name := attribute(n.Get("Fn::GetAtt"))
		output, ok := strings.CutPrefix(name, "Outputs.")
		if !ok {
			break
		}
		inner, err := r.stack(id)
		if err != nil {
			return nil, nil
		}
		r, n, found = inner, inner.root.At("Outputs", output, "Value"), true
	}
	if !found {
		return nil, nil
	}
	return r, n
}
