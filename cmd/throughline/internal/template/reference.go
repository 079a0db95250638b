package template

import (
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// nameProperty returns the property with the name of a resource of a type.
func nameProperty(typ string) string {
	switch typ {
	case "AWS::Serverless::Function", "AWS::Lambda::Function":
		return "FunctionName"
	case "AWS::SQS::Queue":
		return "QueueName"
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable":
		return "TableName"
	case "AWS::SNS::Topic":
		return "TopicName"
	case "AWS::StepFunctions::StateMachine":
		return "StateMachineName"
	case "AWS::Logs::LogGroup":
		return "LogGroupName"
	default:
		return "Name"
	}
}

// name returns a resource's physical name: that of the deployed resource, that in the
// template, or a placeholder.
func (r *resolver) name(id, typ string, properties *yamltree.Node, m mode, depth int) (string, bool) {
	return r.named(id, typ, properties.Get(nameProperty(typ)), m, depth)
}

// named returns the name of a resource, from a property that may be absent.
func (r *resolver) named(id, typ string, given *yamltree.Node, m mode, depth int) (string, bool) {
	name, ok := r.nameOf(id, typ, given, m, depth)
	if ok && m == open && r.noted != nil {
		owner := r.reading
		if r.at(id) != nil {
			owner = id
		}
		r.noted.note(owner, id, typ, name, given)
	}
	return name, ok
}

// nameOf returns the deployed name, the name in the template, or a placeholder.
func (r *resolver) nameOf(id, typ string, given *yamltree.Node, m mode, depth int) (string, bool) {
	if deployed, ok := r.physical[id]; ok {
		return alarms.Literal(physicalName(typ, deployed)), true
	}
	if given != nil && !noValue(given) {
		if text, ok := r.eval(given, m, depth+1); ok {
			if i := strings.LastIndex(text, ":function:"); i >= 0 && nameProperty(typ) == "FunctionName" { // an ARN, or a part of it
				text = text[i+len(":function:"):]
			}
			return text, true
		}
	}
	if m == exact || r.placeholders == nil {
		return "", false
	}
	what := "the name that CloudFormation generates for " + id
	if given != nil {
		what = "the name of " + id + ", which the template does not have"
	}
	about := placeholder{description: what}
	if typ != "" && (typ != "AWS::Logs::LogGroup" || r.at(id) != nil) {
		about.logicalID = r.path + id
	}
	return r.placeholders.take("resource "+r.prefix+id, r.prefix+letters(id), about), true
}

func noValue(n *yamltree.Node) bool { return n.Get("Ref").Value() == "AWS::NoValue" }

// physicalName returns the name in a physical ID: a queue's is its URL, a state machine's
// its ARN, and that of a rule on a custom bus is bus|rule.
func physicalName(typ, id string) string {
	switch typ {
	case "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine":
		return lastSegment(id)
	case "AWS::Events::Rule":
		return id[strings.LastIndexByte(id, '|')+1:]
	}
	return id
}

// lastSegment returns the name at the end of an ARN or a URL, or the text itself. The
// name of a partner's event bus has slashes.
func lastSegment(text string) string {
	if _, bus, ok := strings.Cut(text, ":event-bus/"); ok && strings.HasPrefix(text, "arn:") {
		return bus
	}
	if strings.HasPrefix(text, "arn:") || strings.HasPrefix(text, "https://") {
		return text[strings.LastIndexAny(text, ":/")+1:]
	}
	return text
}

// references returns the logical IDs that a value refers to.
func references(n *yamltree.Node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, p := range n.Pairs {
		switch p.Key {
		case "Ref":
			id, _, _ := strings.Cut(p.Value.Value(), ".") // SAM allows Function.Alias
			out = append(out, id)
		case "Fn::GetAtt":
			id, _ := attribute(p.Value)
			out = append(out, id)
		case "Fn::Sub":
			text := p.Value
			if text.Kind == yamltree.List {
				text = at(text, 0)
				out = append(out, references(at(p.Value, 1))...)
			}
			for _, piece := range strings.Split(text.Value(), "${")[1:] {
				name, _, _ := strings.Cut(piece, "}")
				id, _, _ := strings.Cut(name, ".")
				out = append(out, id)
			}
		default:
			out = append(out, references(p.Value)...)
		}
	}
	for _, item := range n.Items {
		out = append(out, references(item)...)
	}
	return out
}

// at returns the resource of a logical ID, or nil.
func (r *resolver) at(id string) *yamltree.Node { return r.resources[id] }

// resource returns the one resource of the template that a value refers to: by Ref, by
// Fn::GetAtt, by Fn::Sub of it only, or by its name at the end of an ARN or a URL.
func (r *resolver) resource(n *yamltree.Node, types ...string) (id string, ok bool) {
	ofType := func(id string) bool { return slices.Contains(types, r.at(id).Get("Type").Value()) }
	for _, branch := range r.branches(n, 0) {
		whole := branch.Get("Fn::Sub") == nil || strings.Count(branch.Get("Fn::Sub").Value(), "${") == 1 && strings.HasPrefix(branch.Get("Fn::Sub").Value(), "${")
		if ids := references(branch); len(ids) == 1 && whole && ofType(ids[0]) {
			return ids[0], true
		}
		text, known := r.text(branch, open)
		if !known {
			continue
		}
		for _, id := range r.withName(lastSegment(text)) {
			if ofType(id) {
				return id, true
			}
		}
	}
	return "", false
}

// withName returns the resources with a name in the template.
func (r *resolver) withName(name string) []string {
	if r.byName == nil {
		r.byName = map[string][]string{}
		assumed := r.assumed
		r.assumed = nil
		for _, p := range r.root.Get("Resources").Members() {
			typ, properties := p.Value.Get("Type").Value(), p.Value.Get("Properties")
			if properties.Get(nameProperty(typ)) == nil {
				continue
			}
			if own, named := r.name(p.Key, typ, properties, open, 0); named {
				r.byName[own] = append(r.byName[own], p.Key)
			}
		}
		r.assumed = assumed
	}
	return r.byName[name]
}

// ParameterName returns the name of the spec's parameter for a parameter, a pseudo
// parameter or a resource of a template.
func ParameterName(id string) string { return letters(id) }

// PhysicalName returns the name in the physical ID of a resource of any type: that of a
// queue is a URL, that of a topic an ARN, and that of a rule on a custom bus is bus|rule.
func PhysicalName(id string) string {
	return lastSegment(id[strings.LastIndexByte(id, '|')+1:])
}

// letters returns a logical ID in the form of a placeholder: AWS::StackName becomes
// AWSStackName.
func letters(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	if s == "" || s[0] <= '9' {
		s = "P" + s
	}
	return s[:min(len(s), 200)]
}
