package rulescmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

const rules = `
Parameters: {Env: {Type: String}}
Resources:
  Placed: {Type: AWS::Events::Rule, Properties: {Name: placed, EventBusName: orders, EventPattern: {source: [shop], detail-type: [OrderPlaced]}, Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  Large: {Type: AWS::Events::Rule, Properties: {Name: large, EventBusName: orders, EventPattern: {detail: {total: [{numeric: ['>', 100]}]}}, Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  Off: {Type: AWS::Events::Rule, Properties: {Name: off, State: DISABLED, EventPattern: {source: [{prefix: shop}]}, Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  Wrong: {Type: AWS::Events::Rule, Properties: {Name: wrong, EventPattern: {source: shop}, Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  Clock: {Type: AWS::Events::Rule, Properties: {Name: clock, ScheduleExpression: rate(1 day), Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: fulfil}}
`

func event(id int, eventType, detail string) string {
	return spanstoretest.Envelope(fmt.Sprint("env-", id), eventType, detail)
}

func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	return spanstoretest.Write(t, name, strings.Join(lines, "\n")+"\n")
}

func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return spanstoretest.Run(t, New(config.LoadDefaultConfig), args...)
}

func events(t *testing.T) string {
	t.Helper()
	return write(t, "events.jsonl",
		event(1, "OrderPlaced", `{"total":50}`), event(1, "OrderPlaced", `{"total":50}`), // delivered twice
		event(2, "OrderPlaced", `{"total":500}`), event(3, "orderPlaced", `{"total":"500"}`), event(4, "OrderShipped", `{}`), event(5, "OrderShipped", `{}`), "no event",
		`{"Source":"shop","DetailType":"OrderPlaced","Detail":"{\"total\":7}","EventBusName":"default"}`)
}

const want = `6 events in FILE, 4 rules in RULES

EVENTS  RULE    BUS      TYPES
2       placed  orders   OrderPlaced 2
1       large   orders   OrderPlaced 1
6       off     default  (disabled) OrderPlaced 3, OrderShipped 2, orderPlaced 1
-       wrong   default  source: "source" must be an object or an array

No rule matches 4 events:
  1  orderPlaced of shop
     rule off matches but is disabled
  2  OrderShipped of shop
     rule off matches but is disabled
  1  OrderPlaced of shop
     rule off matches but is disabled
`

func TestRulesOfATemplate(t *testing.T) {
	file, template := events(t), write(t, "template.yaml", rules)
	out, code := run(t, "test", file, "--template", template)
	if got := strings.NewReplacer(file, "FILE", template, "RULES").Replace(out); code != 0 || got != want {
		t.Errorf("%d\n%s", code, got)
	}
	out, code = run(t, "test", file, "--template", template, "--json")
	var doc Report
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 || doc.Events != 6 || doc.Skipped != 1 || len(doc.Rules) != 4 || doc.Rules[0].Types["OrderPlaced"] != 2 || len(doc.Unmatched) != 3 || doc.Unmatched[0].Disabled != "off" {
		t.Errorf("%d %v\n%s", code, err, out)
	}
}

func TestNearest(t *testing.T) {
	template := write(t, "template.yaml", strings.Replace(rules, "{source: [{prefix: shop}]}", "{source: [bank]}", 1))
	out, code := run(t, "test", events(t), "--template", template)
	for _, line := range []string{"nearest is rule placed:\n       detail-type: the rule wants \"OrderPlaced\", the event has \"orderPlaced\": they differ in capitals", "nearest is rule large:\n       detail.total"} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
}

func TestSave(t *testing.T) {
	file, template, save := events(t), write(t, "template.yaml", rules), filepath.Join(t.TempDir(), "counts.json")
	for range 2 {
		if out, code := run(t, "test", file, "--template", template, "--save", save); code != 0 || strings.Contains(out, "!") {
			t.Errorf("%d\n%s", code, out)
		}
	}
	for name, c := range map[string]struct {
		file, template string
		says           []string
	}{
		"Count":    {file, write(t, "t.yaml", strings.Replace(rules, "'>', 100", "'>', 10", 1)), []string{"! rule large on orders: it matches 2, before 1: OrderPlaced 2, before 1"}},
		"Others":   {file, write(t, "t.yaml", strings.Replace(rules, "'>', 100", "'=', 50", 1)), []string{"! rule large on orders: it still matches 1, but other events"}},
		"Enabled":  {file, write(t, "t.yaml", strings.Replace(rules, "State: DISABLED, ", "", 1)), []string{"! rule off on default: it is enabled"}},
		"Gone":     {file, write(t, "t.yaml", strings.Replace(rules, "Name: large", "Name: big", 1)), []string{"! rule big on orders: the rule is new: it matches 1", "! rule large on orders: the rule does not exist any more: it matched 1"}},
		"Mended":   {file, write(t, "t.yaml", strings.Replace(rules, "source: shop}", "source: [shop]}", 1)), []string{"! rule wrong on default: its pattern is valid again"}},
		"Elsewise": {write(t, "e.jsonl", event(9, "OrderPlaced", `{"total":500}`)), template, []string{"! the input has other events than last time: 1, before 6", "! rule placed on orders: it matches 1, before 2: OrderPlaced 1, before 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			kept, err := os.ReadFile(save)
			if err != nil {
				t.Fatal(err)
			}
			mine := write(t, "counts.json", string(kept))
			out, code := run(t, "test", c.file, "--template", c.template, "--save", mine)
			for _, line := range c.says {
				if code != terminal.Found || !strings.Contains(out, line+"\n") {
					t.Errorf("%d: no %q in\n%s", code, line, out)
				}
			}
			if out, code := run(t, "test", c.file, "--template", c.template, "--save", mine); code != 0 {
				t.Errorf("again %d\n%s", code, out)
			}
		})
	}
	if out, code := run(t, "test", file, "--template", template, "--save", template); code != terminal.CouldNot || !strings.Contains(out, "has no counts") {
		t.Errorf("%d %s", code, out)
	}
}

func TestUnsure(t *testing.T) {
	template := write(t, "t.yaml", `
Parameters: {Env: {Type: String}}
Resources:
  R: {Type: AWS::Events::Rule, Properties: {Name: r, EventPattern: {source: [!Sub 'shop.${Env}']}, Targets: []}}`)
	file := write(t, "e.jsonl", strings.Replace(event(1, "A", "{}"), `"shop"`, `"shop.dev"`, 1))
	out, code := run(t, "test", file, "--template", template)
	if code != 0 || !strings.Contains(out, "0-1") || !strings.Contains(out, "give --set Env=VALUE") || strings.Contains(out, "No rule") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := run(t, "test", file, "--template", template, "--set", "Env=dev"); code != 0 || strings.Contains(out, "--set") || !strings.Contains(out, "A 1") {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestWrongCalls(t *testing.T) {
	file, template := events(t), write(t, "template.yaml", rules)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"Unreadable": {[]string{"test", "/nowhere", "--template", template}, terminal.CouldNot, "/nowhere"},
		"Template":   {[]string{"test", file, "--template", "/nowhere"}, terminal.CouldNot, "/nowhere"},
		"NoEvent":    {[]string{"test", template, "--template", template}, terminal.Found, "no event was found in"},
		"NoPattern":  {[]string{"test", file, "--template", write(t, "t.yaml", "Resources: {F: {Type: AWS::Lambda::Function}}")}, terminal.Found, "no rule with an event pattern"},
	} {
		if out, code := run(t, c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
}

func TestPolicyIsJSON(t *testing.T) {
	if out, code := run(t, "policy"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("%d %s", code, out)
	}
}

// TestRulesOfABus reads the rules of moto.
func TestRulesOfABus(t *testing.T) {
	moto := peertest.MotoAccount(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	bus := eventbridge.NewFromConfig(spanstoretest.AWS(t, moto, "eu-west-1"))
	if _, err := bus.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("orders")}); err != nil {
		t.Fatal(err)
	}
	for name, pattern := range map[string]string{"placed": `{"source":["shop"],"detail-type":["OrderPlaced"]}`, "large": `{"detail":{"total":[{"numeric":[">",100]}]}}`} {
		if _, err := bus.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: aws.String("orders"), EventPattern: &pattern}); err != nil {
			t.Fatal(err)
		}
	}
	out, code := run(t, "test", events(t), "--bus", "orders", "--endpoint-url", moto)
	for _, line := range []string{"6 events in", "2 rules in bus orders", "OrderPlaced 2", "OrderPlaced 1"} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	if out, code := run(t, "test", events(t), "--bus", "order", "--endpoint-url", moto); code != terminal.CouldNot || !strings.Contains(out, "there is no bus order; there is orders, default") {
		t.Errorf("%d %s", code, out)
	}
}
