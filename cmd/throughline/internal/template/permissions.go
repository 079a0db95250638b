package template

import (
	"slices"

	"github.com/throughline/throughline/internal/yamltree"
)

const eventsPrincipal = "events.amazonaws.com"

// permission notes what a resource lets EventBridge send to.
func (w *routing) permission(n *yamltree.Node) {
	p := n.Get("Properties")
	policies := map[string][2]string{"AWS::SQS::QueuePolicy": {"Queues", "AWS::SQS::Queue"}, "AWS::SNS::TopicPolicy": {"Topics", "AWS::SNS::Topic"}}
	switch typ := n.Get("Type").Value(); typ {
	case "AWS::Lambda::Permission":
		if id, ok := w.functionID(p.Get("FunctionName")); ok && w.says(p.Get("Principal"), eventsPrincipal, "*") {
			w.allowed[id] = true
		}
	case "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy":
		if !slices.ContainsFunc(w.list(p.At("PolicyDocument", "Statement")), w.letsEvents) && !w.letsEvents(p.At("PolicyDocument", "Statement")) {
			return
		}
		for _, of := range w.list(p.Get(policies[typ][0])) {
			if id, ok := w.resource(of, policies[typ][1]); ok {
				w.allowed[id] = true
			}
		}
	}
}

// letsEvents reports whether a statement allows something to EventBridge.
func (w *routing) letsEvents(statement *yamltree.Node) bool {
	principal := statement.Get("Principal")
	return w.says(statement.Get("Effect"), "Allow") &&
		(w.says(principal, "*") || w.says(principal.Get("Service"), eventsPrincipal, "*") || w.says(principal.Get("AWS"), "*"))
}

// says reports whether a value, or one of a list of them, is one of the texts.
func (w *routing) says(n *yamltree.Node, wanted ...string) bool {
	if n == nil {
		return false
	}
	for _, value := range append(slices.Clone(w.list(n)), n) {
		if text, ok := w.text(value, exact); ok && slices.Contains(wanted, literal(text)) {
			return true
		}
	}
	return false
}

// refused says that the template has no permission for EventBridge to send to a resource.
func (w *routing) refused(id, permission string) string {
	if w.allowed[id] {
		return ""
	}
	return "the template has no " + permission + " that lets " + eventsPrincipal + " send to it"
}

// deadLetter is the queue that takes what cannot be delivered to a target, "" for none.
func (w *routing) deadLetter(rule string, target *yamltree.Node) string {
	for _, key := range []string{"DeadLetterConfig", "DeadLetterQueue"} {
		for _, config := range w.branches(target.Get(key), 0) {
			if id, ok := w.resource(config.Get("Arn"), "AWS::SQS::Queue"); ok {
				return w.shown(id)
			}
			if arn := config.Get("Arn"); arn != nil {
				return lastSegment((&Template{w.resolver}).Given(arn))
			}
			if w.says(config.Get("Type"), "SQS") { // which SAM makes
				if id := config.Get("QueueLogicalId").Value(); id != "" {
					return id
				}
				return rule + "Queue"
			}
		}
	}
	return ""
}
