package template

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/yamltree"
)

// schedule reads a schedule of EventBridge Scheduler, for a function if it is known.
func (t *reading) schedule(id string, p *yamltree.Node, function string) {
	if function == "" {
		function = t.functionOf(p.At("Target", "Arn"))
	}
	t.async[function] = true
	t.dead(p, function)
	queue := t.failed(id, p.Get("Target"), function)
	if queue == "" {
		queue = t.failed(id, p, function)
	}
	if t.disabled(p) {
		t.skip(id, "a schedule", "it is disabled")
		return
	}
	group := "default"
	if n := p.Get("GroupName"); len(t.branches(n, 0)) > 0 {
		if gid, ok := t.resolver.resource(n, "AWS::Scheduler::ScheduleGroup"); ok {
			group, _ = t.name(gid, "AWS::Scheduler::ScheduleGroup", t.at(gid).Get("Properties"), open, 0)
		} else {
			group, _ = t.named(id+"Group", "", n, open, 0)
		}
	}
	f := &found{rank: 5, kind: "scheduler", name: group}
	if known := t.known[f.key()]; known != nil {
		f = known
	}
	if f.get("dlq") == "" { // the queue of any schedule of the group
		f.set("dlq", quoted(queue))
	}
	t.add(f)
}

// bus returns the name of a rule's event bus, or "" for the default bus.
func (t *reading) bus(id string, n *yamltree.Node) string {
	if len(t.branches(n, 0)) == 0 { // none, or AWS::NoValue
		return ""
	}
	if bid, ok := t.resolver.resource(n, "AWS::Events::EventBus"); ok {
		name, _ := t.name(bid, "AWS::Events::EventBus", t.at(bid).Get("Properties"), open, 0)
		return name
	}
	// The default bus has other dimensions, so the default of a parameter decides.
	now, known := t.text(n, exact)
	if known && lastSegment(now) == "default" {
		return ""
	}
	first := t.branches(n, 0)[0]
	parameter := cmp.Or(first.Get("Ref").Value(), strings.Trim(first.Get("Fn::Sub").Value(), "${} "))
	if known && strings.HasPrefix(now, "arn:") && t.root.At("Parameters", parameter) != nil {
		return t.placeholders.take("name in "+t.prefix+parameter, t.prefix+letters(parameter)+"Name", placeholder{
			description: "the name in the ARN that is the template's parameter " + parameter, value: lastSegment(now), hasValue: true,
		})
	}
	name, _ := t.named(id+"Bus", "", n, open, 0)
	if name = lastSegment(name); name == "default" {
		return ""
	}
	return name
}

func (t *reading) rule(id string, p, given *yamltree.Node, targets []*yamltree.Node, function string) {
	for _, target := range targets {
		if of := t.functionOf(target.Get("Arn")); function == "" {
			function = of
		}
		t.async[t.functionOf(target.Get("Arn"))] = true
	}
	if t.disabled(p) {
		t.skip(id, "a rule", "it is disabled")
		return
	}
	name, _ := t.named(id, "AWS::Events::Rule", given, open, 0)
	f := &found{rank: 1, kind: "event-rule", name: name, of: function}
	f.set("bus", quoted(t.bus(id, p.Get("EventBusName"))))
	for _, target := range targets {
		t.dead(target, function)
		if queue := t.failed(id, target, function); f.get("dlq") == "" {
			f.set("dlq", quoted(queue))
		}
	}
	schedule := p.Get("ScheduleExpression")
	if schedule == nil {
		schedule = p.Get("Schedule")
	}
	expression, _ := t.text(schedule, exact)
	f.set("every", every(expression))
	t.add(f)
}

// failed returns the name of the dead-letter queue of a rule's target or a schedule, or
// "".
func (t *reading) failed(id string, target *yamltree.Node, function string) string {
	found := ""
	for _, key := range []string{"DeadLetterConfig", "DeadLetterQueue"} {
		for _, config := range t.branches(target.Get(key), 0) {
			if queue := t.queueOf(config.Get("Arn")); queue != "" {
				return queue
			}
			if config.Get("Type").Value() == "SQS" && config.Get("Arn") == nil { // SAM creates the queue
				made := config.Get("QueueLogicalId").Value()
				if made == "" {
					made = id + "Queue"
				}
				return t.made(made, function)
			}
			found = "a dead-letter queue" // another branch may have its name
		}
	}
	return found
}

// every returns the interval of a rate expression, if it is at least an hour. It does not
// support cron expressions.
func every(expression string) string {
	inner, ok := strings.CutPrefix(expression, "rate(")
	if !ok {
		return ""
	}
	var n int
	var unit string
	if _, err := fmt.Sscan(strings.TrimSuffix(inner, ")"), &n, &unit); err != nil || n <= 0 {
		return ""
	}
	d := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(unit, "s")] * time.Duration(n)
	if d < time.Hour || d > 6*24*time.Hour {
		return ""
	}
	return fmt.Sprintf("%dh", int(d.Hours()))
}
