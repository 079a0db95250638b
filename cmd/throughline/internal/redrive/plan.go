// Package redrive sends the messages of a dead-letter queue back to where they failed. It
// loses none: a message is deleted only after its copy was accepted, and a journal
// records every step, so that a run that was killed can be continued.
package redrive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
)

// Destination is where messages are sent. The zero value means where each message failed.
type Destination struct {
	Kind string // queue, function, topic, bus
	Name string // a name or an ARN; for a queue also a URL
}

func (d Destination) String() string {
	name := d.Name
	if d.Kind == "function" {
		name = arn.Function(name)
	} else {
		name = arn.Name(name)
	}
	return d.Kind + " " + name
}

// ParseDestination reads KIND:NAME, or "bus" for the bus of each message's rule. "" gives
// the zero value.
func ParseDestination(text string) (Destination, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case "":
		if text == "" {
			return Destination{}, nil
		}
	case "bus":
		return Destination{kind, name}, nil
	case "queue", "function", "topic":
		if name != "" {
			return Destination{kind, name}, nil
		}
	}
	return Destination{}, fmt.Errorf("%q is not a destination: write queue:NAME, function:NAME, topic:ARN, bus:NAME, or bus", text)
}

// Item is the copy to send for one message.
type Item struct {
	Letter      deadletter.Letter
	To          Destination
	Body        []byte
	Attributes  map[string]deadletter.Attribute
	TraceHeader string
	// Group and Deduplication are for a FIFO queue. The deduplication ID of a message is
	// always the same, so that SQS accepts only one copy within five minutes.
	Group, Deduplication string
	Entry                *Entry // set for a bus
}

// Entry is an event to publish again.
type Entry struct {
	Source, Type, Detail string
	Resources            []string
	Time                 time.Time
}

// eventBridge are the attributes that EventBridge adds to a dead letter and that the
// target never receives.
var eventBridge = []string{"RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS"}

// lambda are the attributes that Lambda adds.
var lambda = []string{"RequestID", "ErrorCode", "ErrorMessage"}

// ErrNamed is the error for a message of a new custom bus, which has nothing to send.
var ErrNamed = errors.New("it names events but does not contain them: throughline dlq replay shows how the bus delivers them again")

// Plan returns the copy to send for a message, to the destination or, for its zero value,
// to where the message failed. The error says why it cannot be sent, and what to do.
func Plan(l deadletter.Letter, to Destination) (Item, error) {
	if l.Kind == deadletter.OfSubscriber {
		return Item{Letter: l}, ErrNamed
	}
	item := Item{Letter: l, To: to, Body: l.Payload, TraceHeader: l.System["AWSTraceHeader"], Group: l.System["MessageGroupId"], Deduplication: "redrive-" + l.ID}
	if to.Kind == "" {
		var err error
		if item.To, err = origin(l); err != nil {
			return item, err
		}
	}
	if item.To.Kind == "bus" && item.To.Name == "" {
		if l.Rule == "" {
			return item, errors.New("it is not of a rule, so its bus is not known: give --to bus:NAME")
		}
		item.To.Name = busOf(l.Rule)
	}
	switch {
	case l.Kind == deadletter.OfStream:
		return item, errors.New("it names records of a stream and does not contain them: read them again from the stream")
	case item.To.Kind == "bus":
		entry, err := publish(l)
		item.Entry = entry
		return item, err
	case item.To.Kind == "function" && l.Kind == deadletter.OfTopic:
		body, err := notification(l)
		item.Body = body
		return item, err
	case item.To.Kind == "queue":
		item.Attributes = kept(l)
	}
	if len(item.Body) == 0 {
		return item, errors.New("the message is empty")
	}
	return item, nil
}

// origin returns the destination that did not accept the message.
func origin(l deadletter.Letter) (Destination, error) {
	switch l.Kind {
	case deadletter.OfRule, deadletter.OfTopic:
		switch arn.Service(l.Target) {
		case "lambda":
			return Destination{"function", l.Target}, nil
		case "sqs":
			return Destination{"queue", l.Target}, nil
		case "sns":
			return Destination{"topic", l.Target}, nil
		case "events":
			if strings.Contains(l.Target, ":event-bus/") {
				return Destination{"bus", l.Target}, nil
			}
		case "":
			if l.Kind == deadletter.OfTopic {
				return Destination{}, errors.New("its subscription is not known: give --to queue:NAME or function:NAME")
			}
		}
		return Destination{}, fmt.Errorf("redrive cannot send to its target %s: give --to bus, where every rule of the bus sees it", l.Target)
	case deadletter.OfFunction, deadletter.OfDestination:
		if l.Function == "" {
			return Destination{}, errors.New("its function is not known: give --to function:NAME")
		}
		return Destination{"function", l.Function}, nil
	case deadletter.OfQueue:
		return Destination{"queue", l.Queue}, nil
	case deadletter.OfStream:
		return Destination{}, nil
	}
	return Destination{}, errors.New("its source is not known: give --to queue:NAME, function:NAME or bus:NAME")
}

// busOf returns the ARN or the name of a rule's bus.
func busOf(rule string) string {
	before, path, _ := strings.Cut(rule, ":rule/")
	bus, _, custom := strings.Cut(path, "/")
	if !custom {
		bus = "default"
	}
	if before == "" || before == rule {
		return bus
	}
	return before + ":event-bus/" + bus
}

// kept returns the attributes that the message had when it was first sent.
func kept(l deadletter.Letter) map[string]deadletter.Attribute {
	attributes := map[string]deadletter.Attribute{}
	for name, a := range l.Attributes {
		attributes[name] = a
	}
	added := map[deadletter.Kind][]string{deadletter.OfRule: eventBridge, deadletter.OfFunction: lambda}[l.Kind]
	for _, name := range added {
		delete(attributes, name)
	}
	return attributes
}

// publish returns the event as an entry of PutEvents, its detail unchanged byte for byte.
func publish(l deadletter.Letter) (*Entry, error) {
	var e struct {
		Source    string          `json:"source"`
		Type      string          `json:"detail-type"`
		Detail    json.RawMessage `json:"detail"`
		Resources []string        `json:"resources"`
		Time      time.Time       `json:"time"`
	}
	if err := json.Unmarshal(l.Payload, &e); err != nil || e.Source == "" || e.Type == "" || len(e.Detail) == 0 {
		return nil, errors.New("it is not an EventBridge event: an input path or a transformer changed it")
	}
	if strings.HasPrefix(e.Source, "aws.") {
		return nil, fmt.Errorf("only AWS can publish events of %s", e.Source)
	}
	return &Entry{e.Source, e.Type, string(e.Detail), e.Resources, e.Time}, nil
}

// notification returns the event that SNS passes to a function.
func notification(l deadletter.Letter) ([]byte, error) {
	var n map[string]json.RawMessage
	if err := json.Unmarshal(l.Payload, &n); err != nil {
		return nil, errors.New("it is not an SNS notification")
	}
	for from, to := range map[string]string{"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"} { // Lambda's spelling
		if value, ok := n[from]; ok {
			n[to] = value
			delete(n, from)
		}
	}
	return json.Marshal(map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": l.Topic, "Sns": n}}})
}
