package mapcmd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/topology"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// span is a span by its number. Pairs are its attributes; a value of digits is a number.
func span(id int, kind, service, name string, failed bool, pairs ...string) workflow.Span {
	at := time.Unix(1_795_813_267, 0)
	s := workflow.Span{ID: workflow.ID{Trace: fmt.Sprintf("%032x", id), Span: fmt.Sprintf("%016x", id)}, Kind: kind, Service: service, Name: name, Start: at, End: at.Add(time.Second), Error: failed, Attributes: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		s.Attributes[pairs[i]] = pairs[i+1]
		if n, err := strconv.ParseInt(pairs[i+1], 10, 64); err == nil {
			s.Attributes[pairs[i]] = n
		}
	}
	return s
}

const client, producer, consumer = "CLIENT", "PRODUCER", "CONSUMER"

func system() []workflow.Span {
	placed := span(1, producer, "shop", "send OrderPlaced", false, "throughline.event.type", "OrderPlaced", "messaging.destination.name", "orders", "throughline.entry.size", "1000")
	return []workflow.Span{
		placed, placed, // sent twice by an exporter
		span(2, producer, "shop", "send OrderPlaced", true, "throughline.event.type", "OrderPlaced", "messaging.destination.name", "orders", "throughline.entry.size", "3000"),
		span(3, consumer, "fulfil", "process OrderPlaced", false, "throughline.event.type", "OrderPlaced", "messaging.system", "aws.eventbridge"),
		span(4, consumer, "audit", "process OrderPlaced", true, "throughline.event.type", "OrderPlaced", "messaging.system", "aws_sqs", "messaging.destination.name", "audit", "throughline.repeat.kind", "retry"),
		span(5, producer, "fulfil", "send work", false, "throughline.hop", "sqs", "messaging.system", "aws_sqs", "messaging.destination.name", "work", "messaging.batch.message_count", "10", "messaging.message.body.size", "500"),
		span(6, consumer, "worker", "process work", false, "messaging.system", "aws_sqs", "messaging.destination.name", "work", "messaging.batch.message_count", "10"),
		span(7, client, "fulfil", "invoke price", false, "throughline.hop", "lambda", "faas.invoked_name", "price"),
		span(8, client, "fulfil", "start Saga", false, "throughline.hop", "states"),
		span(9, client, "fulfil", "schedule close", false, "throughline.hop", "scheduler"),
		span(10, producer, "fulfil", "publish alerts", false, "throughline.hop", "sns", "messaging.destination.name", "alerts"),
		span(11, producer, "fulfil", "send OrderFulfiled", false, "throughline.event.type", "OrderFulfiled", "messaging.destination.name", "orders"),
		span(12, client, "fulfil", "GET /x", false, "http.request.method", "GET"),
	}
}

const rulesOf = `
Resources:
  Placed: {Type: AWS::Events::Rule, Properties: {Name: placed, EventBusName: orders, EventPattern: {detail-type: [OrderPlaced], detail: {x: [1]}}, Targets: [{Id: a, Arn: !GetAtt Fulfil.Arn}]}}
  Done: {Type: AWS::Events::Rule, Properties: {Name: done, EventBusName: orders, EventPattern: {detail-type: [OrderFulfilled]}, Targets: [{Id: a, Arn: !GetAtt Work.Arn}]}}
  Off: {Type: AWS::Events::Rule, Properties: {Name: off, State: DISABLED, EventPattern: {detail-type: [Never]}, Targets: [{Id: a, Arn: !GetAtt Fulfil.Arn}]}}
  Clock: {Type: AWS::Events::Rule, Properties: {Name: clock, ScheduleExpression: rate(1 day), Targets: [{Id: a, Arn: !GetAtt Fulfil.Arn}]}}
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work}}
  Worker: {Type: AWS::Serverless::Function, Properties: {FunctionName: worker, Events: {Work: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}}}}
  Fulfil: {Type: AWS::Lambda::Function, Properties: {FunctionName: fulfil}}
`

func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return spanstoretest.Run(t, New(config.LoadDefaultConfig, time.Now), args...)
}

func TestMapOfSpans(t *testing.T) {
	out, code := run(t, "--file", spanstoretest.File(t, system()...))
	const want = `event OrderFulfiled on orders
  from fulfil  1 sent

event OrderPlaced on orders
  from shop  2 sent, mean 2.0 KB, largest 3.0 KB, 1 error
  to   audit  1 received, 1 repeat, 1 error, through queue audit
  to   fulfil  1 received

queue work
  from fulfil  10 sent, mean 50 B, largest 50 B
  to   worker  10 received

topic alerts
  from fulfil  1 sent

function price
  from fulfil  1 sent

state machine Saga
  from fulfil  1 sent

schedule close
  from fulfil  1 sent

! no function handles OrderFulfiled, or none that handles it exports spans
`
	if code != 0 || out != want {
		t.Errorf("%d\n%s", code, out)
	}
	chart, code := run(t, "--file", spanstoretest.File(t, system()...), "--mermaid")
	for _, line := range []string{"flowchart LR", `f1["shop"]`, `f1 -->|"2"| c1`, `c1 -->|"1 queue audit"| f2`, `c2(["queue work"])`} {
		if !strings.Contains(chart, line) || code != 0 {
			t.Errorf("%d: no %s in\n%s", code, line, chart)
		}
	}
}

func TestMapWithATemplate(t *testing.T) {
	file, rules := spanstoretest.File(t, system()...), spanstoretest.Write(t, "template.yaml", rulesOf)
	out, code := run(t, "--file", file, "--template", rules, "--json")
	var doc topology.Document
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != terminal.Found {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	if !slices.Equal(doc.NeverMatched, []string{"done"}) || !slices.Equal(doc.NotHandled, []string{"OrderFulfiled"}) ||
		len(doc.NoRule) != 1 || doc.NoRule[0].Type != "OrderFulfiled" || !slices.Equal(doc.NoRule[0].Like, []string{"OrderFulfilled"}) {
		t.Errorf("%+v", doc.Differences)
	}
	if out, _ := run(t, "--file", file, "--template", rules); !strings.Contains(out, "! no rule matches OrderFulfiled; a rule names OrderFulfilled") || !strings.Contains(out, "! rule done never matched") || strings.Contains(out, "off") {
		t.Errorf("%s", out)
	}
	const alone = `event OrderFulfilled on orders by done
  to   worker  through queue work

event OrderPlaced on orders by placed
  to   fulfil
`
	if out, code := run(t, "--template", rules, "--no-spans"); code != 0 || out != alone {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestMapOfNothing(t *testing.T) {
	empty := spanstoretest.File(t, span(1, client, "a", "GET", false, "http.request.method", "GET"))
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Empty":      {[]string{"--file", empty}, terminal.Found, "no message, event or invocation was found in"},
		"NoChannel":  {[]string{"--file", spanstoretest.File(t, span(1, consumer, "a", "process", false))}, terminal.Found, "no message, event or invocation was found in"},
		"NoFile":     {[]string{"--file", "/nowhere"}, terminal.CouldNot, "there is no file /nowhere"},
		"NoTemplate": {[]string{"--template", "/nowhere"}, terminal.CouldNot, "/nowhere"},
		"Alone":      {[]string{"--no-spans"}, terminal.Misused, "give --template FILE"},
		"BadPattern": {[]string{"--no-spans", "--template", spanstoretest.Write(t, "t.yaml", "Resources: {R: {Type: AWS::Events::Rule, Properties: {EventPattern: {detail-type: OrderPlaced}}}}")}, terminal.CouldNot, "rule R: "},
	} {
		if out, code := run(t, c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
}
