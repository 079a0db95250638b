package whycmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

const rules = `
Resources:
  Fulfil:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: fulfil
      Events:
        Placed: {Type: EventBridgeRule, Properties: {RuleName: placed, EventBusName: orders, Pattern: {source: [shop], detail-type: [OrderPlaced], detail: {status: [paid]}}, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}}
  Audit: {Type: AWS::Lambda::Function, Properties: {FunctionName: audit}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  Large: {Type: AWS::Events::Rule, Properties: {Name: large, EventBusName: orders, EventPattern: {detail: {total: [{numeric: ['>', 100]}]}}, Targets: [{Id: a, Arn: !GetAtt Audit.Arn}]}}
  Off: {Type: AWS::Events::Rule, Properties: {Name: "off", EventBusName: orders, State: DISABLED, EventPattern: {detail-type: [OrderShipped]}, Targets: [{Id: a, Arn: !GetAtt Audit.Arn}]}}
  Elsewhere: {Type: AWS::Events::Rule, Properties: {Name: elsewhere, EventPattern: {detail-type: [OrderShipped]}, Targets: [{Id: a, Arn: !GetAtt Audit.Arn}]}}
`

func event(id, eventType, detail string) string {
	return spanstoretest.Envelope("env-"+id, eventType, fmt.Sprintf(`{"event_id":%q,"correlation_id":"flow-1"%s}`, id, detail))
}

// span is a line of OTLP/JSON with one span; pairs are its attributes.
func span(id, kind int, service, name, failure string, pairs ...string) string {
	attributes := []string{}
	for i := 0; i < len(pairs); i += 2 {
		attributes = append(attributes, fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, pairs[i], pairs[i+1]))
	}
	status := ""
	if failure != "" {
		status = fmt.Sprintf(`,"status":{"code":2,"message":%q}`, failure)
	}
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}}]},"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":%q,"kind":%d,`+
		`"startTimeUnixNano":"17958132670%02d000000","endTimeUnixNano":"17958132680%02d000000","attributes":[%s]%s}]}]}]}`, service, id, id, name, kind, id, id, strings.Join(attributes, ","), status)
}

const producer, consumer = 4, 5

func sends(id int, event, failure string) string {
	return span(id, producer, "web", "send OrderPlaced", failure, "throughline.event.id", event, "throughline.event.type", "OrderPlaced", "throughline.correlation.id", "flow-1", "messaging.message.id", "env-"+event,
		"messaging.destination.name", "orders", "messaging.system", "aws.eventbridge", "messaging.operation.type", "send")
}

func handles(id int, event, function, failure, repeat string) string {
	pairs := []string{"throughline.event.id", event, "throughline.event.type", "OrderPlaced", "throughline.correlation.id", "flow-1", "messaging.message.id", "env-" + event, "messaging.system", "aws.eventbridge", "messaging.operation.type", "process"}
	if repeat != "" {
		pairs = append(pairs, "throughline.repeat.kind", repeat)
	}
	return span(id, consumer, function, "process OrderPlaced", failure, pairs...)
}

func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	return spanstoretest.Write(t, name, strings.Join(lines, "\n")+"\n")
}

func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return spanstoretest.Run(t, New(config.LoadDefaultConfig, func() time.Time { return time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC) }), args...)
}

const missed = `event order-1  OrderPlaced of shop
  at 2026-11-23T10:00:00Z, of workflow flow-1

Why it was not handled:
  - no rule in RULES matches it
    the nearest is rule placed: change the rule or the event in detail.status

The nearest of the rules that do not match it:
  rule placed on bus orders
    detail.status: the rule wants "paid", the event has "Paid": they differ in capitals
  rule large on bus orders
    detail.total: the rule wants {"numeric":[">",100]}: the event has no such member
  and 2 rules more
`

func TestAMiss(t *testing.T) {
	template, file := write(t, "t.yaml", rules), write(t, "e.json", event("order-1", "OrderPlaced", `,"status":"Paid"`))
	out, code := run(t, file, "--template", template, "--closest", "2")
	if got := strings.ReplaceAll(out, template, "RULES"); code != terminal.Found || got != missed {
		t.Errorf("%d\n%s", code, got)
	}
	out, code = run(t, "order-1", "--events", file, "--template", template, "--json")
	var a Answer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != terminal.Found || a.Handled || len(a.Closest) != 3 || a.Other != 1 || a.Closest[0].Misses[0].Kind != "capital" || a.Event.EnvelopeID != "env-order-1" || !a.Event.Whole {
		t.Errorf("%d %v\n%s", code, err, out)
	}
}

// TestAnEventOfDev: an event that no rule matches is in no span, but throughline dev kept it.
func TestAnEventOfDev(t *testing.T) {
	template, dir := write(t, "t.yaml", rules), t.TempDir()
	kept := `{"EventBusName":"orders",` + strings.TrimPrefix(event("order-1", "OrderPlaced", `,"status":"Paid"`), "{")
	if err := os.WriteFile(filepath.Join(dir, "events.jsonl"), []byte("\n"+kept+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"order-1", "env-order-1"} {
		out, code := run(t, id, "--dev="+dir, "--template", template)
		if code != terminal.Found || !strings.Contains(out, "no rule in "+template+" matches it, on bus orders") || !strings.Contains(out, `detail.status: the rule wants "paid", the event has "Paid"`) {
			t.Errorf("%d\n%s", code, out)
		}
	}
}

func TestWhatBecameOfIt(t *testing.T) {
	template := write(t, "t.yaml", rules)
	paid := event("order-1", "OrderPlaced", `,"status":"paid"`)
	step := func(kind, more string) string {
		return fmt.Sprintf(`{"resource_arn":"arn:aws:events:eu-west-1:1:event-bus/orders","event_bus_name":"orders","event_id":"env-order-1","message_timestamp_ms":1763892000000,"message_type":%q,"log_level":"INFO","details":{%s}}`, kind, more)
	}
	const at = `"rule_arn":"arn:aws:events:eu-west-1:1:rule/orders/placed","target_arn":"arn:aws:lambda:eu-west-1:1:function:fulfil"`
	for name, c := range map[string]struct {
		event, spans string // files' lines
		code         int
		says         []string
	}{
		"NotSeen":    {paid, "", 0, []string{"rule placed on bus orders\n", "→ function fulfil\n", "dead letters go to dead", "whether a function handled it is not known"}},
		"Handled":    {paid, sends(1, "order-1", "") + "\n" + handles(2, "order-1", "fulfil", "", ""), 0, []string{"It was handled.", "published by web, on bus orders", "→ function fulfil  handled: by fulfil", "fulfil  took 1s"}},
		"AfterRetry": {paid, sends(1, "order-1", "") + "\n" + handles(2, "order-1", "fulfil", "no stock", "") + "\n" + handles(3, "order-1", "fulfil", "", "retry"), 0, []string{"handled: by fulfil, after 2 invocations", "RETRY", "ERROR no stock"}},
		"Failed": {paid, sends(1, "order-1", "") + "\n" + handles(2, "order-1", "fulfil", "no stock", "") + "\n" + handles(3, "order-1", "fulfil", "no stock", "retry"), terminal.Found,
			[]string{"- rule placed, function fulfil: fulfil failed 2 times: no stock", "the function's own dead-letter queue or failure destination has it"}},
		"Nobody":     {paid, sends(1, "order-1", ""), terminal.Found, []string{"→ function fulfil: no span of fulfil handled it", "nothing that was checked prevents it"}},
		"NotHandled": {paid, sends(1, "order-1", "ThrottlingException"), terminal.Found, []string{"- EventBridge refused it: ThrottlingException", "correct the publisher web"}},
		"Refused":    {event("order-1", "OrderPlaced", `,"total":500`), "", terminal.Found, []string{"- rule large, function audit: the template has no AWS::Lambda::Permission that allows events.amazonaws.com to send to it; the target has no dead-letter queue: the event is dropped"}},
		"Disabled":   {event("order-1", "OrderShipped", ""), sends(1, "order-1", ""), terminal.Found, []string{"- rule off matches it but is disabled", "aws events enable-rule --name off --event-bus-name orders", "rule off on bus orders  (disabled)"}},
		"Delivered":  {paid + "\n" + step("INVOCATION_SUCCESS", at), "", 0, []string{"It was handled.", "delivered: the target accepted it"}},
		"Dead": {paid + "\n" + step("INVOCATION_FAILURE", at+`,"total_attempts":3,"final_invocation_status":"x"},"error":{"error_message":"not authorized","aws_service":"lambda","http_status_code":403`) + "\n" + step("INVOCATION_DLQ", at+`},"error":{"error_message":"not authorized","aws_service":"lambda"`), "",
			terminal.Found, []string{"- rule placed, function fulfil: EventBridge stopped retrying and sent it to the dead-letter queue: lambda: not authorized", "throughline dlq dead"}},
		"GaveUp":    {paid + "\n" + step("INVOCATION_FAILURE", at+`,"total_attempts":3`), "", terminal.Found, []string{"delivery failed after 3 attempts"}},
		"Retries":   {paid + "\n" + step("INVOCATION_ATTEMPT_RETRYABLE_FAILURE", at+`,"attempt_count":2`), "", terminal.Found, []string{"attempt 2 failed, and EventBridge retries it"}},
		"Throttled": {paid + "\n" + step("INVOCATION_ATTEMPT_THROTTLE", at), "", terminal.Found, []string{"EventBridge or the target throttles it", "EventBridge retries it for 24h"}},
		"OfTheLog": {step("EVENT_INGEST_SUCCESS", `"source":"shop","detail_type":"OrderPlaced","resources":[],"source_time_ms":1763892000000,"event_detail":"{\"status\":\"Paid\"}"`) + "\n" + step("NO_STANDARD_RULES_MATCHED", ""), "",
			terminal.Found, []string{`the event has "Paid": they differ in capitals`, "NO_STANDARD_RULES_MATCHED", "on bus orders"}},
		"DeadLetter": {fmt.Sprintf(`{"Messages":[{"MessageId":"m","Body":%s,"MessageAttributes":{"RULE_ARN":{"DataType":"String","StringValue":"arn:aws:events:eu-west-1:1:rule/orders/placed"},"TARGET_ARN":{"DataType":"String","StringValue":"arn:aws:lambda:eu-west-1:1:function:fulfil"},"ERROR_CODE":{"DataType":"String","StringValue":"NO_PERMISSIONS"}}}]}`, quoted(paid)), "",
			terminal.Found, []string{"on bus orders", "sent it to the dead-letter queue: NO_PERMISSIONS"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{write(t, "e.jsonl", c.event), "--template", template}
			if c.spans != "" {
				args = append(args, "--file", write(t, "spans.jsonl", c.spans))
			}
			out, code := run(t, args...)
			for _, line := range c.says {
				if code != c.code || !strings.Contains(out, line) {
					t.Errorf("%d: no %q in\n%s", code, line, out)
				}
			}
		})
	}
}

func quoted(s string) string { q, _ := json.Marshal(s); return string(q) }

// TestOfSpansAlone holds what is said of an event whose detail nobody has.
func TestOfSpansAlone(t *testing.T) {
	template := write(t, "t.yaml", rules+`  Quiet: {Type: AWS::Events::Rule, Properties: {Name: quiet, EventBusName: orders, EventPattern: {detail: {error: [{exists: false}]}}, State: DISABLED, Targets: []}}`)
	spans := write(t, "spans.jsonl", sends(1, "order-1", ""), handles(2, "order-1", "fulfil", "", ""), sends(3, "order-22", ""))
	for _, id := range []string{"order-1", "env-order-1"} {
		out, code := run(t, id, "--file", spans, "--template", template)
		for _, line := range []string{"event order-1  OrderPlaced", "its detail is not known", "It was handled.", "rule placed on bus orders  (depends on detail, source)", "rule large on bus orders  (depends on detail)", "rule quiet on bus orders  (disabled)  (depends on detail)"} {
			if code != 0 || !strings.Contains(out, line) {
				t.Errorf("%s: %d: no %q in\n%s", id, code, line, out)
			}
		}
		if strings.Contains(out, "elsewhere") {
			t.Errorf("a rule of another bus\n%s", out)
		}
	}
	out, code := run(t, "order-2", "--file", spans)
	if code != terminal.Found || !strings.Contains(out, "event order-22") || !strings.Contains(out, "name them with --template or --bus") {
		t.Errorf("%d\n%s", code, out)
	}
}

// TestFailuresOfSpansAlone holds that a function that failed is the reason, whether or not
// it is certain which rule matched, and also without the publisher's span.
func TestFailuresOfSpansAlone(t *testing.T) {
	template := write(t, "t.yaml", rules+`  Stock: {Type: AWS::Serverless::Function, Properties: {FunctionName: stock, Events: {Q: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}}}}
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work}}
  Queued: {Type: AWS::Events::Rule, Properties: {Name: queued, EventBusName: orders, EventPattern: {source: [shop]}, Targets: [{Id: a, Arn: !GetAtt Work.Arn}]}}
`)
	failed := func(function string) []string {
		return []string{handles(2, "order-1", function, "no stock", ""), handles(3, "order-1", function, "no stock", "retry")}
	}
	sent := sends(1, "order-1", "")
	for name, c := range map[string]struct {
		spans    []string
		template bool
		code     int
		says     []string
	}{
		"Traced": {append(failed("fulfil"), sent), true, terminal.Found, []string{"- function fulfil failed 2 times: no stock\n    the function's own dead-letter queue", "of workflow flow-1"}},
		"Source": {[]string{strings.Replace(handles(2, "order-1", "stock", "no stock", ""), `"attributes":[`, `"attributes":[{"key":"throughline.event.source","value":{"stringValue":"shop"}},`, 2)}, true, terminal.Found, []string{"event order-1  OrderPlaced of shop\n",
			"- rule queued, queue work: stock failed once: no stock\n    the queue work delivers it again", "rule queued on bus orders\n"}},
		"Untraced": {failed("fulfil"), true, terminal.Found, []string{"event order-1  OrderPlaced\n", "- function fulfil failed 2 times: no stock\n", "does not match", "rule off on bus orders"}},
		"Queue":    {append(failed("stock"), sent), true, terminal.Found, []string{"- function stock failed 2 times: no stock\n    the queue work delivers it again"}},
		"Beside":   {append(failed("stock"), sent, handles(4, "order-1", "fulfil", "", "")), true, terminal.Found, []string{"- function stock failed 2 times", "handled: by fulfil"}},
		"NoRules":  {append(failed("fulfil"), sent), false, terminal.Found, []string{"Why it was not handled:\n  - function fulfil failed 2 times: no stock\n"}},
		"Stranger": {append(failed("other"), sent), true, terminal.Found, []string{"- function other failed 2 times: no stock\n"}},
		"Retried":  {append(failed("fulfil"), sent, handles(4, "order-1", "fulfil", "", "retry")), true, 0, []string{"It was handled.", "handled: by fulfil, after 3 invocations"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"order-1", "env-order-1", "env-ord"} {
				args := []string{id, "--file", write(t, "spans.jsonl", c.spans...)}
				if c.template {
					args = append(args, "--template", template)
				}
				out, code := run(t, args...)
				flat := strings.Replace(out, "do not match it", "does not match", 1)
				for _, line := range c.says {
					if code != c.code || !strings.Contains(flat, line) {
						t.Errorf("%s: %d: no %q in\n%s", id, code, line, out)
					}
				}
				for _, not := range []string{"no handling of it is known", "which is not known\n"} {
					if strings.Contains(out, not) {
						t.Errorf("%s: %q in\n%s", id, not, out)
					}
				}
			}
		})
	}
}

// TestTheLogNamesTheRule of an event whose detail is unknown.
func TestTheLogNamesTheRule(t *testing.T) {
	step := `{"resource_arn":"arn:aws:events:eu-west-1:1:event-bus/orders","event_id":"env-order-1","message_timestamp_ms":1763892000000,"message_type":"INVOCATION_FAILURE","details":{"rule_arn":"arn:aws:events:eu-west-1:1:rule/orders/placed","target_arn":"arn:aws:lambda:eu-west-1:1:function:fulfil","total_attempts":3}}`
	out, code := run(t, "env-ord", "--events", write(t, "log.jsonl", step), "--template", write(t, "t.yaml", rules))
	if code != terminal.Found || !strings.Contains(out, "- rule placed, function fulfil: delivery failed after 3 attempts") || !strings.Contains(out, "rule placed on bus orders\n") {
		t.Errorf("%d\n%s", code, out)
	}
}

// TestBeginningsOfIDs finds an event in files by the beginning of its IDs, and by IDs that
// only spans have.
func TestBeginningsOfIDs(t *testing.T) {
	file := write(t, "e.jsonl", event("order-1", "OrderPlaced", ""), event("order-10", "OrderPlaced", ""), event("signal-7", "Signal", ""), event("signal-7", "Signal", ""),
		strings.Replace(event("twice", "Signal", ""), "env-twice", "env-again", 1), event("twice", "Signal", ""))
	spans := write(t, "spans.jsonl", sends(1, "signal-7", ""), sends(2, "order-10", ""))
	more := write(t, "more.jsonl", sends(2, "order-10", ""), sends(3, "order-11", ""))
	for _, c := range []struct {
		id, spans string
		code      int
		says      string
	}{
		{"order-1", "", 0, "event order-1  OrderPlaced of shop\n"},
		{"order-10", "", 0, "event order-10  OrderPlaced of shop\n"},
		{"sig", "", 0, "event signal-7  Signal of shop\n"},
		{"env-sig", "", 0, "event signal-7  Signal of shop\n"},
		{"sig", spans, terminal.Found, "event signal-7  Signal of shop\n  published by web"},
		{"env-sig", spans, terminal.Found, "event signal-7  Signal of shop\n  published by web"},
		{"order-1", spans, terminal.Found, "event order-1  OrderPlaced of shop\n"},
		{"order-1", more, terminal.Found, "event order-1  OrderPlaced of shop\n"},
		{"order", more, terminal.Misused, "several IDs begin with order"},
		{"order", spans, terminal.Found, "event order-10  OrderPlaced of shop\n  published by web"}, // spans have only this one
		{"order", "", terminal.Misused, "several events whose ID is order or begins with it: name one\n  order-1  OrderPlaced\n  order-10  OrderPlaced"},
		{"twice", "", terminal.Misused, "several events whose ID is twice or begins with it: name one\n  env-again  Signal\n  env-twice  Signal"},
		{"env-a", "", 0, "event twice  Signal of shop\n"},
		{"order-2", "", terminal.Found, "no event order-2 was found"},
	} {
		args := []string{c.id, "--events", file}
		if c.spans != "" {
			args = append(args, "--file", c.spans)
		}
		if out, code := run(t, args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s %s: %d %s", c.id, c.spans, code, out)
		}
	}
}

func TestNoEvent(t *testing.T) {
	template, two := write(t, "t.yaml", rules), write(t, "e.jsonl", event("a", "A", ""), event("b", "B", ""))
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Several":  {[]string{two, "--template", template}, terminal.Misused, "name one, as in throughline why ID --events"},
		"None":     {[]string{template, "--template", template}, terminal.Found, "no event was found in"},
		"NoID":     {[]string{"c", "--events", two, "--template", template}, terminal.Found, "no event c was found"},
		"Nowhere":  {[]string{"c", "--template", template}, terminal.Misused, "to look for an ID, give"},
		"NoSpans":  {[]string{"c", "--file", "/nowhere"}, terminal.CouldNot, "/nowhere"},
		"Closest":  {[]string{two, "--closest", "-1"}, terminal.Misused, "--closest"},
		"Template": {[]string{"a", "--events", two, "--template", "/nowhere"}, terminal.CouldNot, "/nowhere"},
	} {
		if out, code := run(t, c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
	if out, code := run(t, "policy"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("%d %s", code, out)
	}
}

func FuzzStep(f *testing.F) {
	f.Add([]byte(`{"resource_arn":"a","event_id":"b","message_type":"EVENT_RECEIPT","details":{"source":"s","event_detail":"{}"}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if s, ok := readStep(document); ok && s.event != nil && !json.Valid(s.event) {
			t.Errorf("%s", s.event)
		}
	})
}
