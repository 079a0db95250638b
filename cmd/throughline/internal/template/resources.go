package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

// found is one resource of the spec.
type found struct {
	rank       int // the order in the spec; functions are first
	kind, name string
	fields     []field
	of         string   // the name of the function that it belongs to, or ""
	unknown    []string // values that the template does not have, for a comment
}

type field struct{ name, value string }

func (f *found) set(name, value string) {
	if value != "" {
		f.fields = append(f.fields, field{name, value})
	}
}

func (f *found) get(name string) string {
	for _, field := range f.fields {
		if field.name == name {
			return field.value
		}
	}
	return ""
}

// key returns a text that is different for each resource.
func (f *found) key() string { return f.kind + "\x00" + f.get("bus") + "\x00" + f.name }

// number sets a member to a number of the template with a unit. It omits a number that
// the template does not have, and records that.
func (t *reading) number(f *found, name, unit string, n *yamltree.Node) {
	switch value, given, known := t.resolver.number(n); {
	case !known:
		f.unknown = append(f.unknown, name)
	case given && value > 0:
		f.set(name, strconv.FormatFloat(value, 'f', -1, 64)+unit)
	}
}

func (t *reading) resource(id string, n *yamltree.Node) {
	p, typ := n.Get("Properties"), n.Get("Type").Value()
	switch typ {
	case "AWS::Serverless::Function":
		t.function(id, typ, p, t.root.At("Globals", "Function"))
		for _, event := range p.Get("Events").Members() {
			t.event(id, id+event.Key, event.Value)
		}
	case "AWS::Serverless::StateMachine":
		for _, event := range p.Get("Events").Members() {
			t.event("", id+event.Key, event.Value)
		}
		t.otherService(id, typ, p)
	case "AWS::Lambda::Function":
		t.function(id, typ, p, nil)
	case "AWS::Lambda::EventSourceMapping":
		t.mapping(p)
	case "AWS::Events::Rule":
		t.rule(id, p, p.Get("Name"), t.list(p.Get("Targets")), "")
	case "AWS::SQS::Queue":
		t.queue(id, p)
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable":
		t.table(id, typ, p)
	case "AWS::Scheduler::ScheduleGroup":
		name, _ := t.name(id, typ, p, open, 0)
		t.add(&found{rank: 5, kind: "scheduler", name: name})
	case "AWS::Scheduler::Schedule":
		t.schedule(id, p, "")
	case "AWS::CloudFormation::Stack", "AWS::Serverless::Application":
		t.nested(id, typ)
	case "AWS::Lambda::EventInvokeConfig":
		t.invokeConfig(p)
	default:
		if t.otherService(id, typ, p) {
			return
		}
		if strings.HasPrefix(id, "Fn::ForEach::") {
			t.skip(id, "a loop", "the template does not have its collection")
			return
		}
		t.dead(p, t.functionOf(p.Get("FunctionName")))
		if !configures(typ) {
			t.skip(id, typ, "")
		}
	}
}

// configures reports whether resources of a type only configure others and have no
// metrics.
func configures(typ string) bool {
	service, rest, _ := strings.Cut(strings.TrimPrefix(typ, "AWS::"), "::")
	switch service {
	case "IAM", "CloudWatch", "CloudFormation", "SSM", "Logs", "KMS", "SecretsManager", "Cognito", "CodeDeploy", "SAM", "CDK":
		return true
	}
	for _, part := range []string{"Permission", "Policy", "Version", "Alias", "Role", "Config", "Deployment", "Stage", "Subscription", "EventBus", "EventSource", "Archive", "ScalableTarget"} {
		if strings.Contains(rest, part) {
			return true
		}
	}
	return strings.HasPrefix(typ, "Custom::") || typ == ""
}

func (t *reading) skip(id, typ, why string) {
	if why == "" {
		why = "no pack watches it"
	}
	t.skipped = append(t.skipped, fmt.Sprintf("%s, %s: %s", t.prefix+id, typ, why))
}

// mapping reads an event source mapping of a queue or a stream.
func (t *reading) mapping(p *yamltree.Node) {
	name := t.functionOf(p.Get("FunctionName"))
	t.dead(p, name)
	t.consumes(p.Get("EventSourceArn"), name)
	if _, queue := t.resolver.resource(p.Get("EventSourceArn"), "AWS::SQS::Queue"); queue {
		return
	}
	text, _ := t.text(p.Get("EventSourceArn"), open)
	_, stream := t.resolver.resource(p.Get("EventSourceArn"), "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Kinesis::Stream")
	if stream || strings.Contains(text, ":kinesis:") || strings.Contains(text, ":dynamodb:") || p.Get("StartingPosition") != nil && name != "" {
		t.streams[name] = true
	}
}

func (t *reading) consumes(queue *yamltree.Node, function string) {
	if name := t.queueOf(queue); name != "" && function != "" {
		t.consumer[name] = function
	}
}

// queueOf returns the name of the queue that a value refers to: one of the template, or
// one in an ARN.
func (t *reading) queueOf(n *yamltree.Node) string {
	if id, ok := t.resolver.resource(n, "AWS::SQS::Queue"); ok {
		return t.queueName(id)
	}
	if inner, value := t.output(n); inner != nil {
		if id, ok := inner.resource(value, "AWS::SQS::Queue"); ok {
			name, _ := inner.name(id, "AWS::SQS::Queue", inner.at(id).Get("Properties"), open, 0)
			return name
		}
	}
	// A nested stack's parameter has the name, although the outer template sets the ARN.
	handed := t.prefix != "" && t.root.At("Parameters", n.Get("Ref").Value()) != nil
	if text, ok := t.text(n, open); ok && (handed || strings.Contains(text, ":sqs:")) {
		return lastSegment(text)
	}
	return ""
}

func (t *reading) queueName(id string) string {
	name, _ := t.name(id, "AWS::SQS::Queue", t.at(id).Get("Properties"), open, 0)
	return name
}

// made returns a dead-letter queue that SAM creates.
func (t *reading) made(id, of string) string {
	name, _ := t.named(id, "AWS::SQS::Queue", nil, open, 0)
	t.deadLetter(name, of)
	t.add(&found{rank: 3, kind: "dlq", name: name})
	return name
}

// dead marks the queues that redrive policies, dead-letter configurations and failure
// destinations in n name. They belong to the function of.
func (t *reading) dead(n *yamltree.Node, of string) { t.deadIn(n, of, false) }

func (t *reading) deadIn(n *yamltree.Node, of string, config bool) {
	if n == nil {
		return
	}
	if n.Get("Fn::If") != nil {
		for _, branch := range t.branches(n, 0) {
			t.deadIn(branch, of, config)
		}
		return
	}
	for _, p := range n.Pairs {
		switch p.Key {
		case "RedrivePolicy":
			if text, ok := t.text(p.Value, open); ok { // a policy can be a text with JSON
				if policy, err := yamltree.Parse([]byte(text)); err == nil {
					t.deadLetter(lastSegment(policy.Get("deadLetterTargetArn").Value()), of)
				}
				continue
			}
			t.deadIn(p.Value, of, config)
		case "deadLetterTargetArn":
			t.deadLetter(t.queueOf(p.Value), of)
		case "TargetArn", "Destination", "Arn":
			if config {
				t.deadLetter(t.queueOf(p.Value), of)
			}
		case "DeadLetterConfig", "DeadLetterQueue", "OnFailure":
			t.deadIn(p.Value, of, true)
		case "Events": // events have their own dead-letter queues
		default:
			t.deadIn(p.Value, of, config)
		}
	}
	for _, item := range n.Items {
		t.deadIn(item, of, config)
	}
}

func (t *reading) deadLetter(queue, of string) {
	if queue != "" && t.deadLetters[queue] == "" {
		t.deadLetters[queue] = of
	}
}

// disabled reports whether a rule or schedule is disabled.
func (r *resolver) disabled(p *yamltree.Node) bool {
	return r.is(p.Get("State"), "disabled") || r.is(p.Get("Enabled"), "false", "no", "off")
}

func (t *reading) queue(id string, p *yamltree.Node) {
	name := t.queueName(id)
	f := &found{rank: 2, kind: "queue", name: name}
	t.number(f, "retention", "s", p.Get("MessageRetentionPeriod"))
	t.dead(p, "queue "+name)
	for _, allow := range t.branches(p.Get("RedriveAllowPolicy"), 0) { // only a dead-letter queue has one
		if permission, _ := t.text(allow.Get("redrivePermission"), exact); permission == "byQueue" || permission == "allowAll" {
			t.deadLetter(name, "")
		}
	}
	t.add(f)
}

func (t *reading) table(id, typ string, p *yamltree.Node) {
	name, _ := t.name(id, typ, p, open, 0)
	f := &found{rank: 4, kind: "dynamodb", name: name}
	var indexes []string
	for _, index := range t.list(p.Get("GlobalSecondaryIndexes")) {
		if index, ok := t.text(index.Get("IndexName"), open); ok {
			indexes = append(indexes, quoted(index))
		} else {
			f.unknown = appendNew(f.unknown, "the name of an index")
		}
	}
	if len(indexes) > 0 {
		f.set("indexes", "["+strings.Join(indexes, ", ")+"]")
	}
	t.add(f)
}

// add adds a resource. If one with that kind and name exists under another condition, it
// keeps what both have.
func (t *reading) add(f *found) {
	both := t.known[f.key()]
	if both == nil {
		t.found, t.known[f.key()] = append(t.found, f), f
		return
	}
	for _, name := range []string{"timeout", "reserved", "retention", "every"} {
		if both.get(name) != f.get(name) {
			both.fields = slices.DeleteFunc(both.fields, func(o field) bool { return o.name == name })
			both.unknown = appendNew(both.unknown, name)
		}
	}
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}
