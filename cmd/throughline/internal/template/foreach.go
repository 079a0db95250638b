package template

import (
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

// maxLooped bounds what the loops of a template create. CloudFormation's limit is 500
// resources.
const maxLooped = 1 << 16

// loop expands Fn::ForEach as described in "Fn::ForEach" of the CloudFormation user
// guide. A loop with an unknown collection stays.
func (r *resolver) loop(n *yamltree.Node, left *int) *yamltree.Node {
	if n == nil || *left <= 0 {
		return n
	}
	*left--
	out := *n
	out.Items, out.Pairs = nil, nil
	for _, item := range n.Items {
		out.Items = append(out.Items, r.loop(item, left))
	}
	for _, p := range n.Pairs {
		if strings.HasPrefix(p.Key, "Fn::ForEach::") {
			if made, ok := r.iterate(p.Value, left); ok {
				out.Pairs = append(out.Pairs, made...)
				continue
			}
		}
		p.Value = r.loop(p.Value, left)
		out.Pairs = append(out.Pairs, p)
	}
	return &out
}

// iterate expands [identifier, collection, {key: value}] for each item of the collection.
func (r *resolver) iterate(of *yamltree.Node, left *int) ([]yamltree.Pair, bool) {
	identifier := at(of, 0).Value()
	items, ok := r.items(at(of, 1), exact, 0)
	if identifier == "" || !ok {
		return nil, false
	}
	var out []yamltree.Pair
	for _, item := range items {
		body := replaceIn(at(of, 2), identifier, strings.TrimSpace(item), left)
		out = append(out, r.loop(body, left).Members()...)
	}
	return out, true
}

// replaceIn replaces ${identifier} and Ref of it by value, and &{identifier} by the
// letters and digits of value.
func replaceIn(n *yamltree.Node, identifier, value string, left *int) *yamltree.Node {
	if n == nil || *left <= 0 {
		return n
	}
	*left--
	if ref := n.Get("Ref"); ref.Value() == identifier && len(n.Pairs) == 1 {
		return &yamltree.Node{Kind: yamltree.String, Line: n.Line, Text: value}
	}
	replacer := strings.NewReplacer("${"+identifier+"}", value, "&{"+identifier+"}", alphanumeric(value))
	out := *n
	out.Text, out.Items, out.Pairs = replacer.Replace(n.Text), nil, nil
	for _, item := range n.Items {
		out.Items = append(out.Items, replaceIn(item, identifier, value, left))
	}
	for _, p := range n.Pairs {
		p.Key = replacer.Replace(p.Key)
		p.Value = replaceIn(p.Value, identifier, value, left)
		out.Pairs = append(out.Pairs, p)
	}
	// Ref and Fn::GetAtt accept a logical ID that Fn::Sub makes of the identifier.
	if text := out.Get("Fn::Sub"); text.Scalar() && len(out.Pairs) == 1 && !strings.Contains(text.Value(), "${") {
		return text
	}
	return &out
}

func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}
