package alarms

import (
	"strings"
	"testing"
)

// TestCompileKnown: what CloudFormation calls by a name of its own is left out where the
// name is not given, and said; what else there is stays as it was.
func TestCompileKnown(t *testing.T) {
	const text = `name: t
watch: essential
parameters:
  Stage: {default: dev}
  Rule: {logicalId: FnRule}
  Queue: {logicalId: Inner/Queue}
  Open: {}
resources:
  - {kind: lambda, name: "f-${Stage}", async: true}
  - {kind: event-rule, name: "${Rule}", of: "f-${Stage}"}
  - {kind: event-rule, name: known, of: "f-${Stage}"}
  - {kind: queue, name: "${Queue}"}
  - {kind: dlq, name: "${Open}"}
alarms:
  - {name: own, namespace: AWS/SQS, metric: NumberOfMessagesSent, dimensions: {QueueName: "${Queue}"}, threshold: "> 5", for: 1 of 1}
overrides:
  - {match: {name: "${Queue}"}, disable: [stuck]}
composites:
  - {name: both, all: ["f-${Stage}-lost", own]}
  - {name: either, any: ["f-${Stage}-lost", own]}
logGroups: ["/aws/sqs/${Queue}", "/aws/lambda/f-${Stage}"]
`
	all := compile(t, text)
	if all.Partial || !strings.Contains(table(all), "RuleName=${Rule}") {
		t.Error(table(all))
	}
	s, left, err := CompileKnown([]byte(text), map[string]string{"Open": "d"})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || !strings.Contains(left[0].Message, "2 resources are not watched") || !strings.Contains(left[0].Message, "--set Rule=…: ${Queue}, ${Rule}") || !s.Partial {
		t.Errorf("%v", left)
	}
	got := table(s)
	for _, gone := range []string{"${Rule}", "${Queue}", "t/both"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s in\n%s", gone, got)
		}
	}
	for _, kept := range []string{"RuleName=known", "t/${Open}-depth", `t/either | ALARM("t/f-${Stage}-lost")`} {
		if !strings.Contains(got, kept) {
			t.Errorf("no %s in\n%s", kept, got)
		}
	}
	if _, err := s.Resolve(map[string]string{"Open": "d"}); err != nil || len(s.LogGroups) != 1 {
		t.Error(err, s.LogGroups)
	}
	if s, left, err := CompileKnown([]byte(text), map[string]string{"Open": "d", "Rule": "r", "Queue": "q"}); err != nil || len(left) != 0 || s.Partial || table(s) != table(all) {
		t.Errorf("%v %v\n%s", left, err, table(s))
	}
	// An API is known by its ID, whose name CloudFormation makes up while its own is there; so is an alias.
	const named = "name: t\nparameters: {Api: {logicalId: Api}, Alias: {logicalId: Alias}}\nresources:\n"
	for resource, label := range map[string]string{
		`{kind: http-api, name: shop, id: "${Api}"}`: "shop", `{kind: rest-api, name: shop, stage: "${Api}"}`: "shop", `{kind: lambda, name: f, qualifier: "${Alias}"}`: "f:${Alias}",
	} {
		s, left, err := CompileKnown([]byte(named+"  - "+resource+"\n  - {kind: queue, name: q}\n"), nil)
		if err != nil || len(left) != 1 || !strings.Contains(left[0].Message, "1 resource is not watched") || !strings.HasSuffix(left[0].Message, ": "+label) {
			t.Errorf("%s: %v %v", resource, err, left)
		}
		if _, err := s.Resolve(nil); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
	}
	// A parameter without a logical ID must have a value.
	if _, err := s.Resolve(nil); err == nil || !strings.Contains(err.Error(), "no value for Open") {
		t.Error(err)
	}
}
