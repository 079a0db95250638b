package demo

import (
	"encoding/json"
	"fmt"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/metrics"
)

const account = "123456789012" // the account of the local bus

func arn(service, rest string) string {
	return fmt.Sprintf("arn:aws:%s:us-east-1:%s:%s", service, account, rest)
}

// describe describes the demo's system in the form that `throughline check` reads.
func (s *stage) describe() ([]byte, error) {
	dead := arn("sqs", "dead-letters")
	described := system.System{Source: s.options.Dir, Local: true, Queues: []system.Queue{{ARN: dead, Exists: true}}}
	for _, f := range functions {
		described.Functions = append(described.Functions, system.Function{
			Name: f.name, ARN: arn("lambda", "function:"+f.name), Service: f.name, Namespace: metrics.DefaultNamespace, Timeout: f.timeout, LogFormat: "Text",
		})
	}
	on := system.Bus{Name: bus, ARN: arn("events", "event-bus/"+bus), Exists: true}
	for _, r := range s.rules {
		rule := system.Rule{Name: r.Name, ARN: arn("events", "rule/"+bus+"/"+r.Name), Pattern: r.Pattern}
		for _, t := range r.Targets {
			target := system.Target{ID: t.Target.Name(), DeadLetter: dead}
			switch t.Target.(type) {
			case *buslocal.Queue:
				target.ARN = arn("sqs", t.Target.Name())
				described.Queues = append(described.Queues, system.Queue{ARN: target.ARN, Exists: true})
			case *buslocal.Topic:
				target.ARN = arn("sns", t.Target.Name())
				described.Topics = append(described.Topics, system.Topic{ARN: target.ARN, Exists: true})
			default:
				target.ARN = arn("lambda", "function:"+t.Target.Name())
			}
			rule.Targets = append(rule.Targets, target)
		}
		on.Rules = append(on.Rules, rule)
	}
	described.Buses = []system.Bus{on}
	data, err := json.MarshalIndent(described, "", "  ")
	return append(data, '\n'), err
}

// message is a dead letter in the form of SQS's ReceiveMessage.
type message struct {
	Body              string
	Attributes        map[string]string
	MessageAttributes map[string]attribute
}

type attribute struct{ DataType, StringValue string }

// letters returns the dead letters, one message a line.
func (s *stage) letters() ([]byte, error) {
	var messages []message
	add := func(body, traceHeader string, attributes map[string]string) {
		m := message{Body: body, MessageAttributes: map[string]attribute{}}
		if traceHeader != "" {
			m.Attributes = map[string]string{"AWSTraceHeader": traceHeader}
		}
		for name, value := range attributes {
			m.MessageAttributes[name] = attribute{"String", value}
		}
		messages = append(messages, m)
	}
	for _, m := range s.dead.Messages() {
		add(m.Body, m.TraceHeader, m.Attributes)
	}
	if s.newBus != nil {
		for _, l := range s.newBus.letters.Letters() {
			add(l.Body, "", l.Attributes)
		}
	}
	var lines []byte
	for _, m := range messages {
		line, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines, nil
}
