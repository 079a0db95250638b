package render

import (
	"bytes"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// ambiguous matches texts that a YAML 1.1 reader, such as that of the CLIs of
// CloudFormation and SAM, does not read as a text without quotes.
var ambiguous = regexp.MustCompile(`(?i)^(?:[-+.0-9].*|[=~]|<<|null|y|n|yes|no|on|off|true|false)$`)

// toYAML writes a value, indented by two. Go maps are written in the order of their keys.
func toYAML(v any) ([]byte, error) {
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	quote(&node)
	var data bytes.Buffer
	encoder := yaml.NewEncoder(&data)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return data.Bytes(), nil
}

func quote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!merge") && n.Style == 0 && ambiguous.MatchString(n.Value) {
		n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		quote(child)
	}
}
