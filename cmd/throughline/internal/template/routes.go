package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// Route is a rule of a template, or a subscriber of a new custom bus: its pattern and its
// targets.
type Route struct {
	Rule     string // the name, or the logical ID if the template does not have the name
	Bus      string // "default" for the default bus; the logical ID if the name is unknown
	Disabled bool
	// Pattern is the event pattern as JSON, or nil for a rule that only has a schedule. A
	// value that the template does not have is ${…}.
	Pattern json.RawMessage
	// Beyond describes further conditions of a subscriber of a new custom bus that the
	// pattern does not contain, or is "".
	Beyond  string `json:",omitempty"`
	Targets []Endpoint
}

// Endpoint is a target of events.
type Endpoint struct {
	Kind string // function, queue, topic, bus, or the service of the ARN
	Name string // the name, or the logical ID if the template does not have the name
	// Functions are the consumers of a queue or a topic, by event source mappings,
	// subscriptions and SAM's events.
	Functions []string
	// DeadLetter is the target's dead-letter queue, or "".
	DeadLetter string
	// Refused says why EventBridge cannot send to the target, as far as the template
	// shows. It is "" if it can, or if the target is not in the template.
	Refused string
	// LettersRefused says so of the dead-letter queue.
	LettersRefused string `json:",omitempty"`
}

// Routes returns the rules and subscribers of a template in its order, without nested
// stacks. values are values of its parameters, which take precedence over their defaults.
// It returns an error for a document that cannot be read or has no Resources.
func Routes(data []byte, values map[string]string) ([]Route, error) {
	texts := make(map[string]string, len(values))
	for name, value := range values {
		texts[name] = alarms.Literal(value)
	}
	r, err := read(data, texts)
	if err != nil {
		return nil, err
	}
	w := routing{resolver: r, consumers: map[string][]string{}, allowed: map[string]bool{}}
	for _, p := range r.root.Get("Resources").Members() {
		w.consumer(p.Key, p.Value)
		w.permission(p.Value)
	}
	for _, p := range r.root.Get("Resources").Members() {
		properties := p.Value.Get("Properties")
		switch p.Value.Get("Type").Value() {
		case "AWS::Events::Rule":
			w.rule(p.Key, properties, "Name", r.list(properties.Get("Targets")), nil)
		case subscriberType:
			w.subscriber(p.Key, properties)
		case "AWS::Serverless::Function":
			w.events(p.Key, properties, Endpoint{Kind: "function", Name: w.shown(p.Key)})
		case "AWS::Serverless::StateMachine":
			w.events(p.Key, properties, Endpoint{Kind: "states", Name: w.shown(p.Key)})
		}
	}
	return w.routes, nil
}

type routing struct {
	*resolver
	consumers map[string][]string // names of functions, by the logical ID of the queue or topic
	allowed   map[string]bool     // logical IDs of resources that EventBridge can send to
	routes    []Route
}

// shown returns a resource's name, or its logical ID.
func (w *routing) shown(id string) string {
	resource := w.at(id)
	if name, ok := w.name(id, resource.Get("Type").Value(), resource.Get("Properties"), exact, 0); ok {
		return literal(name)
	}
	return id
}

var functionTypes = []string{"AWS::Serverless::Function", "AWS::Lambda::Function"}

// functionID returns the function that a value refers to, without alias and version.
func (w *routing) functionID(n *yamltree.Node) (string, bool) {
	if id, ok := w.resource(n, functionTypes...); ok {
		return id, true
	}
	for _, id := range references(n) {
		if alias := w.at(id); alias.Get("Type").Value() == "AWS::Lambda::Alias" {
			return w.functionID(alias.At("Properties", "FunctionName"))
		}
	}
	return "", false
}

// consumer records which functions read a queue or subscribe to a topic.
func (w *routing) consumer(id string, n *yamltree.Node) {
	p := n.Get("Properties")
	reads := func(source *yamltree.Node, function string) {
		if from, ok := w.resource(source, "AWS::SQS::Queue", "AWS::SNS::Topic"); ok && function != "" {
			w.consumers[from] = appendNew(w.consumers[from], function)
		}
	}
	switch n.Get("Type").Value() {
	case "AWS::Lambda::EventSourceMapping":
		if function, ok := w.functionID(p.Get("FunctionName")); ok {
			reads(p.Get("EventSourceArn"), w.shown(function))
		}
	case "AWS::SNS::Subscription":
		if function, ok := w.functionID(p.Get("Endpoint")); ok {
			reads(p.Get("TopicArn"), w.shown(function))
		}
	case "AWS::Serverless::Function":
		for _, event := range p.Get("Events").Members() {
			of := event.Value.Get("Properties")
			reads(of.Get("Queue"), w.shown(id))
			reads(of.Get("Topic"), w.shown(id))
		}
	}
}

// events adds the rules that SAM creates for a resource's events.
func (w *routing) events(id string, properties *yamltree.Node, target Endpoint) {
	for _, event := range properties.Get("Events").Members() {
		switch event.Value.Get("Type").Value() {
		case "EventBridgeRule", "CloudWatchEvent", "Schedule":
			w.rule(id+event.Key, event.Value.Get("Properties"), "RuleName", nil, &target)
		}
	}
}

func (w *routing) rule(id string, p *yamltree.Node, name string, targets []*yamltree.Node, own *Endpoint) {
	route := Route{Rule: id, Bus: "default", Disabled: w.disabled(p)}
	if text, ok := w.text(p.Get(name), exact); ok && text != "" {
		route.Rule = literal(text)
	}
	if bus := p.Get("EventBusName"); len(w.branches(bus, 0)) > 0 {
		if of, ok := w.resource(bus, "AWS::Events::EventBus"); ok {
			route.Bus = w.shown(of)
		} else if text, ok := w.text(bus, exact); ok {
			route.Bus = literal(lastSegment(text))
		} else {
			route.Bus = strings.Join(append([]string{id + "'s bus"}, references(bus)...), " ")
		}
	}
	for _, key := range []string{"EventPattern", "Pattern"} {
		if pattern := p.Get(key); pattern != nil {
			var b bytes.Buffer
			w.json(&b, pattern, 0)
			route.Pattern = b.Bytes()
		}
	}
	if own != nil { // SAM adds the permission
		target := *own
		target.DeadLetter, target.LettersRefused = w.deadLetter(id, p)
		route.Targets = append(route.Targets, target)
	}
	for _, target := range targets {
		e := w.endpoint(target)
		e.DeadLetter, e.LettersRefused = w.deadLetter(id, target)
		route.Targets = append(route.Targets, e)
	}
	w.routes = append(w.routes, route)
}

// endpoint returns the resource of a target's ARN.
func (w *routing) endpoint(target *yamltree.Node) Endpoint {
	return w.to(target.Get("Arn"), target.Get("RoleArn") != nil)
}

// to returns the resource of an ARN. byRole says that EventBridge assumes a role to send
// to it.
func (w *routing) to(arn *yamltree.Node, byRole bool) Endpoint {
	if id, ok := w.functionID(arn); ok {
		e := Endpoint{Kind: "function", Name: w.shown(id)}
		if !byRole {
			e.Refused = w.refused(id, "AWS::Lambda::Permission")
		}
		return e
	}
	for typ, kind := range map[string]string{"AWS::SQS::Queue": "queue", "AWS::SNS::Topic": "topic", "AWS::Events::EventBus": "bus", newBusType: "bus"} {
		if id, ok := w.resource(arn, typ); ok {
			e := Endpoint{Kind: kind, Name: w.shown(id), Functions: w.consumers[id]}
			if policy := map[string]string{"queue": "AWS::SQS::QueuePolicy", "topic": "AWS::SNS::TopicPolicy"}[kind]; policy != "" && !byRole {
				e.Refused = w.refused(id, policy)
			}
			return e
		}
	}
	const service, fields = 2, 6
	text := (&Template{w.resolver}).Given(arn)
	if parts := strings.SplitN(text, ":", fields); len(parts) == fields && parts[0] == "arn" {
		kind := map[string]string{"lambda": "function", "sqs": "queue", "sns": "topic", "events": "bus"}[parts[service]]
		return Endpoint{Kind: cmp.Or(kind, parts[service]), Name: lastSegment(text)}
	}
	return Endpoint{Kind: "target", Name: strings.Join(references(arn), " ")}
}

// maxPatternDepth bounds the depth of a pattern. EventBridge allows less.
const maxPatternDepth = 100

// json writes a value of the template as JSON, its references resolved.
func (w *routing) json(b *bytes.Buffer, n *yamltree.Node, depth int) {
	if branches := w.branches(n, 0); len(branches) > 0 && depth < maxPatternDepth {
		n = branches[0]
	} else {
		b.WriteString("null")
		return
	}
	if n.Kind == yamltree.Map {
		if text, ok := w.text(n, exact); ok {
			write(b, literal(text))
			return
		}
		if len(n.Pairs) == 1 && (n.Pairs[0].Key == "Ref" || strings.HasPrefix(n.Pairs[0].Key, "Fn::")) {
			write(b, "${"+strings.Join(references(n), " ")+"}")
			return
		}
	}
	switch n.Kind {
	case yamltree.Map:
		b.WriteByte('{')
		for i, p := range n.Pairs {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, p.Key)
			b.WriteByte(':')
			w.json(b, p.Value, depth+1)
		}
		b.WriteByte('}')
	case yamltree.List:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			w.json(b, item, depth+1)
		}
		b.WriteByte(']')
	case yamltree.String:
		write(b, n.Value())
	default: // a number, true, false or null
		if json.Valid([]byte(n.Text)) {
			b.WriteString(n.Text)
		} else {
			write(b, n.Value())
		}
	}
}

func write(b *bytes.Buffer, text string) {
	quoted, _ := json.Marshal(text) // strings always marshal
	b.Write(quoted)
}
