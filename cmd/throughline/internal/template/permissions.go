package template

import (
	"slices"

	"github.com/throughline/throughline/internal/yamltree"
)

const eventsPrincipal = "events.amazonaws.com"

// permission records which resources a resource allows EventBridge to send to.
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

// letsEvents reports whether a statement allows EventBridge an action.
func (w *routing) letsEvents(statement *yamltree.Node) bool {
	principal := statement.Get("Principal")
	return w.says(statement.Get("Effect"), "Allow") &&
		(w.says(principal, "*") || w.says(principal.Get("Service"), eventsPrincipal, "*") || w.says(principal.Get("AWS"), "*"))
}

// says reports whether a value, or an item of a list, is one of the texts.
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

// refused returns the message for a resource without a permission for EventBridge.
func (w *routing) refused(id, permission string) string {
	if w.allowed[id] {
		return ""
	}
	return "the template has no " + permission + " that allows " + eventsPrincipal + " to send to it"
}

// deadLetter returns the dead-letter queue of a target, and why EventBridge cannot send to
// it. Both can be "".
func (w *routing) deadLetter(rule string, target *yamltree.Node) (name, refused string) {
	for _, key := range []string{"DeadLetterConfig", "DeadLetterQueue"} {
		for _, config := range w.branches(target.Get(key), 0) {
			if id, ok := w.resource(config.Get("Arn"), "AWS::SQS::Queue"); ok {
				return w.shown(id), w.refused(id, "AWS::SQS::QueuePolicy")
			}
			if arn := config.Get("Arn"); arn != nil {
				return lastSegment((&Template{w.resolver}).Given(arn)), ""
			}
			if w.says(config.Get("Type"), "SQS") { // SAM creates the queue, and its policy
				if id := config.Get("QueueLogicalId").Value(); id != "" {
					return id, ""
				}
				return rule + "Queue", ""
			}
		}
	}
	return "", ""
}
