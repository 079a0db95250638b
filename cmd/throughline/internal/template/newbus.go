package template

import (
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// The resources of EventBridge's new custom buses (AWS::EventsV2). Ref of both returns an
// ARN that ends in an ID that CloudFormation generates.
const (
	newBusType     = "AWS::EventsV2::EventBus"
	subscriberType = "AWS::EventsV2::Subscriber"
)

// busPath stands before name/id in the ARN of a new bus.
const busPath = ":event-busv2/"

// madeUp returns a text that CloudFormation generates for a resource: from the ARN of the
// deployed one, or a placeholder. what is arn or dimension, for [Stack.Placeholder].
func (t *reading) madeUp(id, what, description string, of func(arn string) string) string {
	if arn, deployed := t.physical[id]; deployed {
		return alarms.Literal(of(arn))
	}
	suffix := strings.ToUpper(what[:1]) + what[1:]
	return t.placeholders.take(what+" "+t.prefix+id, t.prefix+letters(id)+suffix, placeholder{description: description, logicalID: t.path + id + "." + suffix})
}

func (t *reading) arnOf(id string) string {
	return t.madeUp(id, "arn", "the ARN of "+id, func(arn string) string { return arn })
}

// label returns a resource's name, or its logical ID if the template does not have the
// name.
func (t *reading) label(id string, p *yamltree.Node) string {
	if name, ok := t.text(p.Get("Name"), open); ok {
		return name
	}
	return alarms.Literal(id)
}

func (t *reading) newBus(id string, p *yamltree.Node) {
	f := &found{rank: 5, kind: "event-bus", name: t.label(id, p)}
	f.set("arn", quoted(t.arnOf(id)))
	f.set("dimension", quoted(t.madeUp(id, "dimension", "the value of EventBus in the metrics of "+id+": name/id, or the value that throughline alarms check reports", NewBusDimension)))
	t.add(f)
}

// NewBusDimension returns the value of the dimension EventBus in a new bus's own metrics,
// from its ARN.
func NewBusDimension(arn string) string {
	if _, nameAndID, ok := strings.Cut(arn, busPath); ok {
		return nameAndID
	}
	return arn
}

func (t *reading) subscriber(id string, p *yamltree.Node) {
	invoke := p.Get("InvokeConfiguration")
	function := t.functionOf(invoke.Get("TargetArn"))
	if function != "" && !t.is(invoke.At("LambdaParameters", "InvocationType"), "request_response") {
		t.async[function] = true
	}
	dlq := t.queueOf(p.At("OnFailureConfiguration", "Arn"))
	t.deadLetter(dlq, function)
	switch {
	case t.is(p.Get("State"), "stopped"):
		t.skip(id, "a subscriber", "it is stopped")
		return
	case t.is(p.Get("StartingPosition"), "point_in_time"):
		t.skip(id, "a subscriber", "it replays, so its backlog is old")
		return
	}
	f := &found{rank: 1, kind: "subscriber", name: t.label(id, p), of: function}
	f.set("bus", quoted(t.busOf(id, p.Get("EventBusArn"))))
	f.set("arn", quoted(t.arnOf(id)))
	f.set("dlq", quoted(dlq))
	t.add(f)
}

// busOf returns the ARN of a subscriber's bus.
func (t *reading) busOf(id string, n *yamltree.Node) string {
	if bus, ok := t.resolver.resource(n, newBusType); ok {
		return t.arnOf(bus)
	}
	arn, _ := t.named(id+"Bus", "", n, open, 0)
	return arn
}
