// Package topology makes the graph of a system from spans or from the rules of a
// template: which functions send and receive what, over which bus, queue, topic or
// invocation.
package topology

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Graph is who sends and who receives what. The zero value is empty and ready. It is not
// safe for concurrent use.
type Graph struct {
	channels map[channelKey]*channel
	direct   map[string]map[string]*receiving // direct invocations, by function and service
	seen     map[workflow.ID]bool             // the added spans, because exporters deliver at least once
}

type channelKey struct{ kind, name string }

// The kinds of channels.
const (
	kindEvent    = "event" // an event type on a bus
	kindQueue    = "queue"
	kindTopic    = "topic"
	kindStream   = "stream"
	kindFunction = "function" // an invoked function
	kindMachine  = "state machine"
	kindSchedule = "schedule"
)

// channel is what is sent: an event type, or a queue or another resource by name.
type channel struct {
	channelKey
	buses     map[string]bool
	senders   map[string]*sending
	receivers map[string]*receiving
	through   map[string]*receiving // for a queue, topic or stream: consumers of events that a rule may have sent to it
	matching  []string              // the template's rules that match this type
}

type sending struct {
	count, errors int
	bytes         float64
	sized         int
	largest       float64
}

type receiving struct {
	count, errors, repeats int
	via                    map[string]bool // queues, topics and streams between the bus and the function
}

func (g *Graph) at(kind, name string) *channel {
	key := channelKey{kind, name}
	if g.channels == nil {
		g.channels = map[channelKey]*channel{}
	}
	c := g.channels[key]
	if c == nil {
		c = &channel{channelKey: key, buses: map[string]bool{}, senders: map[string]*sending{}, receivers: map[string]*receiving{}, through: map[string]*receiving{}}
		g.channels[key] = c
	}
	return c
}

func (c *channel) from(function string) *sending {
	if c.senders[function] == nil {
		c.senders[function] = &sending{}
	}
	return c.senders[function]
}

func (c *channel) to(function string) *receiving { return at(c.receivers, function) }

func at(list map[string]*receiving, function string) *receiving {
	if list[function] == nil {
		list[function] = &receiving{via: map[string]bool{}}
	}
	return list[function]
}

const (
	attrDestination = "messaging.destination.name"
	attrSystem      = "messaging.system"
	attrBatch       = "messaging.batch.message_count"
	attrBodySize    = "messaging.message.body.size"
	attrInvoked     = "faas.invoked_name"
	attrHop         = "throughline.hop"
)

// Add adds a span once. It returns nil.
func (g *Graph) Add(s *workflow.Span) error {
	if g.seen[s.ID] {
		return nil
	}
	switch event := s.Text(lineage.AttrEventType); {
	case s.Kind == "PRODUCER" && event != "":
		c := g.at(kindEvent, event)
		c.buses[cmp.Or(s.Text(attrDestination), "default")] = true
		c.from(s.Service).count1(s, lineage.AttrEntrySize)
	case s.Text(attrHop) != "" && s.Kind != "CONSUMER":
		if kind, name := hop(s); name != "" {
			g.at(kind, name).from(s.Service).count1(s, attrBodySize)
		}
	case isDirect(s):
		g.invoked(s)
	case s.Kind == "CONSUMER":
		g.taken(s, event)
	default:
		return nil
	}
	if g.seen == nil {
		g.seen = map[workflow.ID]bool{}
	}
	g.seen[s.ID] = true
	return nil
}

// hop returns the channel of a call to a service other than the bus.
func hop(s *workflow.Span) (kind, name string) {
	_, rest, _ := strings.Cut(s.Name, " ") // "start Saga", "schedule close-of-day"
	switch s.Text(attrHop) {
	case "sqs":
		return kindQueue, s.Text(attrDestination)
	case "sns":
		return kindTopic, s.Text(attrDestination)
	case "kinesis":
		return kindStream, s.Text(attrDestination)
	case "lambda":
		return kindFunction, s.Text(attrInvoked)
	case "states":
		return kindMachine, rest
	case "scheduler":
		return kindSchedule, rest
	default:
		return "", ""
	}
}

// isDirect reports whether a span is that of an invocation by a caller or by a service
// that sends no event: of all that Lambda has no trigger for.
func isDirect(s *workflow.Span) bool {
	return (s.Kind == "SERVER" || s.Kind == "CONSUMER") && s.Text("faas.trigger") == "other" && s.Text(lineage.AttrEventType) == ""
}

// invoked adds the span of a direct invocation. It counts for a function that others
// invoke.
func (g *Graph) invoked(s *workflow.Span) {
	name := s.Service
	if _, qualified, ok := strings.Cut(s.Text("aws.lambda.invoked_arn"), ":function:"); ok {
		name, _, _ = strings.Cut(qualified, ":")
	}
	if g.direct == nil {
		g.direct = map[string]map[string]*receiving{}
	}
	if g.direct[name] == nil {
		g.direct[name] = map[string]*receiving{}
	}
	at(g.direct[name], s.Service).count1(s)
}

// taken adds the span of an invocation.
func (g *Graph) taken(s *workflow.Span, event string) {
	kind := map[string]string{"aws_sqs": kindQueue, "aws.sqs": kindQueue, "aws.sns": kindTopic, "aws_sns": kindTopic, "aws.kinesis": kindStream}[s.Text(attrSystem)]
	through := s.Text(attrDestination)
	switch {
	case event != "":
		t := g.at(kindEvent, event).to(s.Service)
		t.count1(s)
		if kind != "" && through != "" {
			t.via[kind+" "+through] = true
			at(g.at(kind, through).through, s.Service).count1(s)
		}
	case kind != "" && through != "":
		g.at(kind, through).to(s.Service).count1(s)
	}
}

func (s *sending) count1(span *workflow.Span, size string) {
	n := 1
	if batch, ok := span.Number(attrBatch); ok && batch > 1 {
		n = int(batch)
	}
	s.count += n
	if span.Error {
		s.errors++
	}
	if bytes, ok := span.Number(size); ok {
		s.bytes += bytes
		s.sized += n
		s.largest = max(s.largest, bytes/float64(n)) // of a batch only the mean is known
	}
}

func (t *receiving) count1(span *workflow.Span) {
	n := 1
	if batch, ok := span.Number(attrBatch); ok && batch > 1 {
		n = int(batch)
	}
	t.count += n
	if span.Error {
		t.errors++
	}
	if span.Text(lineage.AttrRepeatKind) != "" {
		t.repeats++
	}
}

// sorted returns the channels, events first, by name. A queue that only rules send to is
// not a channel, but on the way of its events.
func (g *Graph) sorted() []*channel {
	var list []*channel
	for _, c := range g.channels {
		if len(c.through) > 0 && len(c.senders)+len(c.receivers) == 0 {
			continue
		}
		for function, more := range c.through {
			t := c.to(function)
			t.count, t.errors, t.repeats = t.count+more.count, t.errors+more.errors, t.repeats+more.repeats
		}
		clear(c.through)
		if c.kind == kindFunction {
			maps.Copy(c.receivers, g.direct[c.name])
		}
		list = append(list, c)
	}
	order := []string{kindEvent, kindQueue, kindTopic, kindStream, kindFunction, kindMachine, kindSchedule}
	slices.SortFunc(list, func(a, b *channel) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.kind), slices.Index(order, b.kind)), cmp.Compare(a.name, b.name))
	})
	return list
}

// Empty reports whether nothing was sent or received.
func (g *Graph) Empty() bool { return len(g.channels) == 0 }
