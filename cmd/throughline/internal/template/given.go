package template

import (
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// Template is a template that was read: its loops are expanded, and resources with a
// false condition are removed. It must not be changed.
type Template struct{ r *resolver }

// Open reads a template. values are values of its parameters, which take precedence over
// their defaults. It returns an error for a document that cannot be read or has no
// Resources.
func Open(data []byte, values map[string]string) (*Template, error) {
	texts := make(map[string]string, len(values))
	for name, value := range values {
		texts[name] = alarms.Literal(value)
	}
	r, err := read(data, texts)
	return &Template{r}, err
}

// Root returns the template's document.
func (t *Template) Root() *yamltree.Node { return t.r.root }

// Scalar returns a number or a word, or "" if the template does not have it. For Fn::If
// it uses the first possible branch.
func (t *Template) Scalar(n *yamltree.Node) string {
	for _, branch := range t.r.branches(n, 0) {
		if text, ok := t.r.text(branch, exact); ok {
			return literal(text)
		}
	}
	return ""
}

// Given returns what CloudFormation returns for a text, with placeholders: ${Name} for
// the name of a resource or the value of a parameter, within an ARN, a URL or bus|rule
// where a reference returns these.
func (t *Template) Given(n *yamltree.Node) string {
	branches := t.r.branches(n, 0)
	if len(branches) == 0 {
		return ""
	}
	n = branches[0]
	if n.Scalar() {
		return alarms.Literal(n.Value())
	}
	if ref := n.Get("Ref"); ref != nil {
		return t.ref(ref.Value())
	}
	if of := n.Get("Fn::GetAtt"); of != nil {
		return t.attribute(attribute(of))
	}
	if of := n.Get("Fn::Sub"); of.Scalar() {
		return t.substituted(of.Value())
	}
	if text, ok := t.r.text(n, exact); ok {
		return text
	}
	return "${Unknown}"
}

// Target returns the type of the resource that a value refers to, by Ref, Fn::GetAtt or
// an Fn::Sub of nothing else. attribute is "" for Ref. It returns "" for any other value.
func (t *Template) Target(n *yamltree.Node) (resource, attributeName string) {
	branches := t.r.branches(n, 0)
	if len(branches) == 0 {
		return "", ""
	}
	id, name := "", ""
	n = branches[0]
	switch of := n.Get("Fn::GetAtt"); {
	case n.Get("Ref") != nil:
		id = n.Get("Ref").Value()
	case of != nil:
		id, name = attribute(of)
	case n.Get("Fn::Sub").Scalar():
		text := n.Get("Fn::Sub").Value()
		inner, closed := strings.CutSuffix(strings.TrimPrefix(text, "${"), "}")
		if !closed || inner == text || strings.ContainsAny(inner, "{}") {
			return "", ""
		}
		id, name, _ = strings.Cut(inner, ".")
	}
	return t.r.at(id).Get("Type").Value(), name
}

// ref returns what Ref returns for a resource or a parameter.
func (t *Template) ref(name string) string {
	if id, part, dotted := strings.Cut(name, "."); dotted && (part == "Alias" || part == "Version") { // SAM
		return t.attribute(id, "Arn")
	}
	resource := t.r.at(name)
	placeholder := "${" + letters(name) + "}"
	switch typ := resource.Get("Type").Value(); typ {
	case "AWS::SQS::Queue":
		return "https://sqs.${AWSRegion}.amazonaws.com/${AWSAccountId}/" + placeholder
	case "AWS::SNS::Topic", "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine", "AWS::Lambda::Alias", "AWS::Lambda::Version":
		return t.attribute(name, "Arn")
	case "AWS::Events::Rule":
		if bus := resource.At("Properties", "EventBusName"); bus != nil && bus.Value() != "default" {
			return t.Given(bus) + "|" + placeholder
		}
	}
	return placeholder
}

// attribute returns what Fn::GetAtt returns, if it is known to be an ARN.
func (t *Template) attribute(id, name string) string {
	if name == "QueueUrl" {
		return t.ref(id)
	}
	service := strings.Split(t.r.at(id).Get("Type").Value()+"::::", "::")[1]
	if service == "Serverless" {
		service = "Lambda"
	}
	if name == "Arn" || strings.HasSuffix(name, "Arn") {
		return "arn:aws:" + strings.ToLower(service) + ":${AWSRegion}:${AWSAccountId}:${" + letters(id) + "}"
	}
	return "${" + letters(id) + "}"
}

// substituted replaces ${!x} by its literal, and references by what they return.
func (t *Template) substituted(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if rest, escaped := strings.CutPrefix(after, "!"); escaped {
			b.WriteString("$${")
			s = rest
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			b.WriteString("$${" + after)
			return b.String()
		}
		if id, attribute, dotted := strings.Cut(strings.TrimSpace(name), "."); dotted && attribute != "Alias" && attribute != "Version" {
			b.WriteString(t.attribute(id, attribute))
		} else {
			b.WriteString(t.ref(strings.TrimSpace(name)))
		}
		s = rest
	}
}
