package template

import (
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

// Stack is a template as seen by alarms in it: it resolves the names in a spec that
// [Spec] wrote. It must not be changed.
type Stack struct {
	r     *resolver
	named *namedResources
}

// namedResources are the resources that were named during reading, including those that
// SAM creates.
type namedResources struct {
	byName map[string]string // logical ID by type and name, as in the spec
	types  map[string]string // types by logical ID
	owner  map[string]string // the template's resource for each logical ID
	given  map[string]*yamltree.Node
}

// note records the name of a resource or of a part of one.
func (n *namedResources) note(owner, id, typ, name string, given *yamltree.Node) {
	if n.types[id] != "" {
		return
	}
	n.types[id], n.owner[id], n.given[id] = typ, owner, given
	if key := typ + " " + name; typ != "" && n.byName[key] == "" {
		n.byName[key] = id
	}
}

// Reference is a value of a template: the name of a resource, or a parameter. ID is the
// argument of Ref, and Attribute the second one of Fn::GetAtt. Value, if not nil, is
// another intrinsic function. Condition is that of the resource, or "".
type Reference struct {
	ID, Attribute string
	Value         any
	Condition     string
}

// OpenStack reads a template as [Spec] does, with the same options. It returns an error
// for a template that cannot be read.
func OpenStack(template []byte, o Options) (*Stack, error) {
	t, err := readAll(template, o)
	if err != nil {
		return nil, err
	}
	return &Stack{t.outer, t.outer.noted}, nil
}

// IDs returns the logical IDs and the parameters of the template, in order.
func (s *Stack) IDs() []string {
	ids := slices.Sorted(maps.Keys(s.named.types))
	for _, section := range []string{"Resources", "Parameters"} {
		for _, p := range s.r.root.Get(section).Members() {
			ids = append(ids, p.Key)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Resources returns the number of resources in the template.
func (s *Stack) Resources() int { return len(s.r.resources) }

// dimensions are the dimensions with a name, and the types of the named resources.
var dimensions = map[string][]string{
	"FunctionName":  functionTypes,
	"Service":       functionTypes,
	"QueueName":     {"AWS::SQS::Queue"},
	"RuleName":      {"AWS::Events::Rule"},
	"EventBusName":  {"AWS::Events::EventBus"},
	"TableName":     {"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable"},
	"ScheduleGroup": {"AWS::Scheduler::ScheduleGroup"},
	"PipeName":      {"AWS::Pipes::Pipe"},
	"StreamName":    {"AWS::Kinesis::Stream"},
	"TopicName":     {"AWS::SNS::Topic"},
}

// Dimension returns the resource that a dimension of a metric names. onBus says that the
// metric is that of a rule on a custom bus, for which Ref returns bus|rule.
func (s *Stack) Dimension(name, value string, onBus bool) (Reference, bool) {
	for _, typ := range dimensions[name] {
		id := s.named.byName[typ+" "+value]
		if id == "" {
			continue
		}
		return s.name(id, typ, onBus), true
	}
	return Reference{}, false
}

// Function returns the function with a name.
func (s *Stack) Function(name string) (Reference, bool) {
	return s.Dimension("FunctionName", name, false)
}

// Placeholder returns what ${name} of a spec represents.
func (s *Stack) Placeholder(name string, onBus bool) (Reference, bool) {
	origin := s.r.placeholders.origin[name]
	if strings.HasPrefix(origin, "AWS::") {
		return Reference{ID: origin}, true
	}
	if parameter, ok := strings.CutPrefix(origin, "parameter "); ok && s.r.root.At("Parameters", parameter) != nil {
		return Reference{ID: parameter}, true
	}
	if id, ok := strings.CutPrefix(origin, "resource "); ok {
		return s.of(id, onBus)
	}
	if id, ok := strings.CutPrefix(origin, "arn "); ok && s.r.at(id) != nil {
		return Reference{ID: id, Condition: s.conditionOf(id)}, true // Ref returns the ARN of a state machine
	}
	if id, ok := strings.CutPrefix(origin, "dimension "); ok && s.r.at(id) != nil {
		split := map[string]any{"Fn::Split": []any{busPath, map[string]any{"Ref": id}}}
		return Reference{ID: id, Value: map[string]any{"Fn::Select": []any{1, split}}, Condition: s.conditionOf(id)}, true
	}
	for _, pseudo := range []string{"AWS::StackName", "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::StackId"} {
		if letters(pseudo) == name {
			return Reference{ID: pseudo}, true
		}
	}
	for _, p := range s.r.root.Get("Parameters").Members() {
		if letters(p.Key) == name {
			return Reference{ID: p.Key}, true
		}
	}
	for _, p := range s.r.root.Get("Resources").Members() {
		if letters(p.Key) == name {
			return s.of(p.Key, onBus)
		}
	}
	return Reference{}, false
}

// Knows reports whether ${name} is something of the template.
func (s *Stack) Knows(name string) bool {
	_, known := s.Placeholder(name, false)
	return known || s.Nested(name)
}

// Action returns what ${name} represents as an ARN: a topic or a function.
func (s *Stack) Action(name string) (Reference, bool) {
	for id, n := range s.r.resources {
		if letters(id) != name {
			continue
		}
		if n.Get("Type").Value() == "AWS::SNS::Topic" {
			return Reference{ID: id, Condition: s.conditionOf(id)}, true
		}
		return Reference{ID: id, Attribute: "Arn", Condition: s.conditionOf(id)}, true
	}
	return s.Placeholder(name, false)
}

// of returns the name of a resource, or what the template has instead.
func (s *Stack) of(id string, onBus bool) (Reference, bool) {
	typ, noted := s.named.types[id]
	if n := s.r.at(id); n != nil {
		return s.name(id, n.Get("Type").Value(), onBus), true
	}
	switch given := s.named.given[id]; {
	case !noted:
		return Reference{}, false
	case typ != "": // SAM creates it
		return s.name(id, typ, onBus), true
	case given != nil:
		return Reference{ID: id, Value: plainValue(given), Condition: s.conditionOf(id)}, true
	}
	return Reference{}, false
}

func (s *Stack) conditionOf(id string) string {
	if owner := s.named.owner[id]; owner != "" && s.r.at(id) == nil {
		id = owner
	}
	return s.r.at(id).Get("Condition").Value()
}

// name returns the intrinsic function for a resource's name, according to the return
// values of its type in CloudFormation's reference.
func (s *Stack) name(id, typ string, onBus bool) Reference {
	condition := s.conditionOf(id)
	switch typ {
	case "AWS::SQS::Queue":
		return Reference{ID: id, Attribute: "QueueName", Condition: condition}
	case "AWS::SNS::Topic":
		return Reference{ID: id, Attribute: "TopicName", Condition: condition}
	case "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine":
		return Reference{ID: id, Attribute: "Name", Condition: condition}
	case "AWS::Events::Rule":
		if onBus {
			return Reference{ID: id, Value: map[string]any{"Fn::Select": []any{1, map[string]any{"Fn::Split": []any{"|", map[string]any{"Ref": id}}}}}, Condition: condition}
		}
	}
	return Reference{ID: id, Condition: condition}
}

// plainValue returns a part of a template unchanged, with functions by their full names.
func plainValue(n *yamltree.Node) any {
	switch {
	case n == nil:
		return nil
	case n.Kind == yamltree.Map:
		out := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			out[p.Key] = plainValue(p.Value)
		}
		return out
	case n.Kind == yamltree.List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = plainValue(item)
		}
		return out
	}
	return n.Value()
}

// Nested reports whether ${name} is a resource in a nested stack, which this template
// cannot refer to.
func (s *Stack) Nested(name string) bool {
	kind, origin, _ := strings.Cut(s.r.placeholders.origin[name], " ")
	of := kind == "resource" || kind == "arn" || kind == "dimension"
	_, noted := s.named.types[origin]
	return of && !noted && s.r.at(origin) == nil
}
