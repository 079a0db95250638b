package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/internal/buslocal"
	"github.com/throughline/throughline/metrics"
)

const account = "123456789012" // the local bus's

func arn(service, rest string) string {
	return fmt.Sprintf("arn:aws:%s:us-east-1:%s:%s", service, account, rest)
}

// describe writes the stage down as `throughline check` reads a system.
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

// letters are what was dead-lettered, as SQS's ReceiveMessage gives messages.
func (s *stage) letters() ([]byte, error) {
	type attribute struct{ DataType, StringValue string }
	var lines []byte
	for _, m := range s.dead.Messages() {
		message := struct {
			Body              string
			Attributes        map[string]string
			MessageAttributes map[string]attribute
		}{Body: m.Body, MessageAttributes: map[string]attribute{}}
		if m.TraceHeader != "" {
			message.Attributes = map[string]string{"AWSTraceHeader": m.TraceHeader}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
			message.MessageAttributes[name] = attribute{"String", m.Attributes[name]}
		}
		line, err := json.Marshal(message)
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines, nil
}
