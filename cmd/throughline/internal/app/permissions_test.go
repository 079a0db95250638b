package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// unguarded has a rule whose queue no policy opens, a function that only a schedule
// invokes, and one that nothing invokes.
const unguarded = `
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.12, Handler: index.handler, InlineCode: "def handler(event, context): print('handled', event.get('source'))"}}
Resources:
  Take: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {detail-type: [Given]}, DeadLetterConfig: {Type: SQS}}}}}}
  Tidy: {Type: AWS::Serverless::Function, Properties: {Events: {Nightly: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day)}}}}}
  Idle: {Type: AWS::Serverless::Function}
  Stock: {Type: AWS::SQS::Queue}
  Lost: {Type: AWS::SQS::Queue}
  StockRule: {Type: AWS::Events::Rule, Properties: {EventPattern: {detail-type: [Given]}, Targets: [{Id: q, Arn: !GetAtt Stock.Arn, DeadLetterConfig: {Arn: !GetAtt Lost.Arn}}]}}
`

// TestCheckReadsPermissions: the local bus sends to a queue that refuses the rule in AWS,
// so the check reads the template's policies. It also fires the schedules.
func TestCheckReadsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(unguarded), 0o600); err != nil {
		t.Fatal(err)
	}
	items, said, code := checked(t, path, Flags{check: []string{"samples"}, faults: []string{"duplicate"}})
	if code != terminal.Found {
		t.Errorf("it ends with %d\n%s", code, said)
	}
	const refused = "rule StockRule cannot send to the queue Stock: the template has no AWS::SQS::QueuePolicy"
	for item, want := range map[string]string{"policies": "fail " + refused, "metrics": "warn Idle was not invoked"} {
		if !strings.HasPrefix(items[item], want) {
			t.Errorf("%s: %s", item, items[item])
		}
	}
	for _, want := range []string{"note: in AWS, " + refused, "note: in AWS, rule StockRule cannot send what it does not deliver to the dead-letter queue Lost: the template has no AWS::SQS::QueuePolicy", "firing the schedule TidyNightly"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}
