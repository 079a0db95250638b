package template

import (
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

func (t *reading) function(id, typ string, p, globals *yamltree.Node) {
	name, _ := t.name(id, typ, p, open, 0)
	f := &found{rank: 0, kind: "lambda", name: name}
	either := func(key string) *yamltree.Node {
		if n := p.Get(key); n != nil {
			return n
		}
		return globals.Get(key)
	}
	if timeout := either("Timeout"); timeout == nil || len(t.branches(timeout, 0)) == 0 {
		f.set("timeout", "3s") // Lambda's default
	} else {
		t.number(f, "timeout", "s", timeout)
	}
	t.number(f, "reserved", "", either("ReservedConcurrentExecutions"))
	if either("DeadLetterConfig") != nil || either("DeadLetterQueue") != nil {
		f.set("deadLetter", "true")
	}
	invoke := either("EventInvokeConfig")
	if len(t.branches(invoke.Get("DestinationConfig"), 0)) > 0 {
		f.set("destination", "true")
	}
	if failed := invoke.At("DestinationConfig", "OnFailure"); failed.Get("Type").Value() == "SQS" && failed.Get("Destination") == nil { // SAM creates the queue
		t.made(id+"EventInvokeConfigOnFailureQueue", name)
	}
	t.dead(p, name)
	t.dead(globals, name)
	if f.get("deadLetter")+f.get("destination") != "" {
		t.async[name] = true
	}
	t.add(f)
	t.services = append(t.services, t.service(name, p, globals))
	group := "/aws/lambda/" + name
	if n := either("LoggingConfig").Get("LogGroup"); n != nil {
		if gid, ok := t.resolver.resource(n, "AWS::Logs::LogGroup"); ok {
			group, _ = t.name(gid, "AWS::Logs::LogGroup", t.at(gid).Get("Properties"), open, 0)
		} else {
			group, _ = t.named(id+"Logs", "AWS::Logs::LogGroup", n, open, 0)
		}
	}
	t.logGroups = appendNew(t.logGroups, group)
}

// invokeConfig reads the configuration of asynchronous invocations that is a separate
// resource.
func (t *reading) invokeConfig(p *yamltree.Node) {
	name := t.functionOf(p.Get("FunctionName"))
	t.dead(p, name)
	if name != "" && len(t.branches(p.Get("DestinationConfig"), 0)) > 0 {
		t.destination[name], t.async[name] = true, true
	}
}

// service reads from a function's environment whether the layer is attached, and the
// service name in the function's metrics.
func (t *reading) service(name string, p, globals *yamltree.Node) service {
	s := service{name: name, function: name}
	for _, from := range []*yamltree.Node{globals, p} {
		for _, v := range from.At("Environment", "Variables").Members() {
			switch {
			case v.Key == "AWS_LAMBDA_EXEC_WRAPPER" && v.Value.Value() == "/opt/throughline/wrapper":
				s.attached = true
			case v.Key == "THROUGHLINE_SERVICE":
				s.name, _ = t.named(letters(name)+"Service", "", v.Value, open, 0)
				s.attached = true
			case v.Key == "THROUGHLINE_METRICS" && v.Value.Value() == "full":
				t.full = true
				s.attached = true
			case strings.HasPrefix(v.Key, "THROUGHLINE_"):
				s.attached = true
			}
		}
	}
	return s
}

// event reads one of the events of a SAM function or state machine, for which SAM creates
// resources.
func (t *reading) event(function, id string, n *yamltree.Node) {
	p, name := n.Get("Properties"), t.functionName(function)
	switch n.Get("Type").Value() {
	case "EventBridgeRule", "CloudWatchEvent", "Schedule", "ScheduleV2", "SNS", "S3", "IoTRule", "CloudWatchLogs":
		t.async[name] = t.async[name] || name != "" && p.Get("SqsSubscription") == nil
	}
	switch n.Get("Type").Value() {
	case "EventBridgeRule", "CloudWatchEvent":
		t.rule(id, p, p.Get("RuleName"), []*yamltree.Node{p}, name)
	case "Schedule":
		t.rule(id, p, p.Get("Name"), []*yamltree.Node{p}, name)
	case "ScheduleV2":
		t.schedule(id, p, name)
	case "Api", "HttpApi":
		t.implicit(n.Get("Type").Value(), p)
	case "SQS":
		t.consumes(p.Get("Queue"), name)
	case "Kinesis", "DynamoDB":
		t.streams[name] = true
	case "SNS":
		switch subscription := p.Get("SqsSubscription"); {
		case subscription.Get("QueueArn") != nil:
			t.consumes(subscription.Get("QueueArn"), name)
		case subscription.True() || len(subscription.Members()) > 0: // SAM creates the queue
			queue, _ := t.named(id+"Queue", "AWS::SQS::Queue", nil, open, 0)
			t.add(&found{rank: 2, kind: "queue", name: queue, of: name})
		}
	}
	t.dead(p, name)
}

func (t *reading) functionName(id string) string {
	if id == "" {
		return ""
	}
	n := t.at(id)
	name, _ := t.name(id, n.Get("Type").Value(), n.Get("Properties"), open, 0)
	return name
}

// functionOf returns the name of the template's function that a value refers to, without
// alias and version.
func (t *reading) functionOf(n *yamltree.Node) string {
	if id, ok := t.resolver.resource(n, functionTypes...); ok {
		return t.functionName(id)
	}
	if text, ok := t.text(n, open); ok { // an ARN with a version or an alias
		if _, name, found := strings.Cut(text, ":function:"); found {
			name, _, _ = strings.Cut(name, ":")
			for _, id := range t.withName(name) {
				if slices.Contains(functionTypes, t.at(id).Get("Type").Value()) {
					return t.functionName(id)
				}
			}
		}
	}
	for _, id := range references(n) { // a reference to an alias of the function
		if alias := t.at(id); alias.Get("Type").Value() == "AWS::Lambda::Alias" {
			return t.functionOf(alias.At("Properties", "FunctionName"))
		}
	}
	return ""
}
