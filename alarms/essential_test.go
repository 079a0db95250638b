package alarms

import (
	"strings"
	"testing"
)

const trading = `name: t
parameters: {New: {default: new}}
watch: essential
notify: {critical: ["arn:aws:sns:eu-west-1:1:c"], warning: ["arn:aws:sns:eu-west-1:1:w"]}
resources:
  - {kind: lambda, name: execution, timeout: 600s, reserved: 10}
  - {kind: lambda, name: reports, timeout: 60s, reserved: 3, async: true}
  - {kind: lambda, name: plain}
  - {kind: event-rule, bus: b, name: traded, of: execution}
  - {kind: event-rule, name: nightly, of: reports}
  - {kind: event-rule, name: loose}
  - {kind: event-bus, name: new, arn: "arn:aws:events:eu-west-1:1:event-busv2/new/a2"}
  - {kind: subscriber, name: sub, arn: "arn:aws:events:eu-west-1:1:subscriber/sub/a2", bus: "${New}", of: reports}
  - {kind: subscriber, arn: "arn:aws:events:eu-west-1:1:subscriber/alone/a2", bus: "${New}"}
  - {kind: subscriber, arn: "arn:aws:events:eu-west-1:1:subscriber/safe/a2", bus: "${New}", dlq: other}
  - {kind: queue, name: q1, of: execution}
  - {kind: queue, name: q2, of: execution}
  - {kind: queue, name: own}
  - {kind: dlq, name: d1, of: execution}
  - {kind: dlq, name: d2, of: execution}
  - {kind: dlq, name: other}
  - {kind: dynamodb, name: table, indexes: [i]}
  - {kind: scheduler, name: default}
  - {kind: account}
`

// TestEssential: a service has its parts' alarms together, five at most with the
// composite that pages; what is of no service has one.
func TestEssential(t *testing.T) {
	s := compile(t, trading)
	want := `t/account-concurrency | Maximum ClaimedAccountConcurrency of the account | > 800 | 1 of 1 @60 | notBreaching | warning
t/account-put-failed | Sum PutEventsFailedEntriesCount of the account | > 0 | 1 of 1 @60 | notBreaching | warning
t/alone-backlog | Maximum ApproximateBacklogAge of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/alone/a2 | > 60000 | 1 of 1 @60 | notBreaching | warning
t/alone-dropped | Sum EventsDropped of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/alone/a2 | > 0 | 1 of 1 @60 | notBreaching | critical
t/default-dropped | Sum InvocationDroppedCount of ScheduleGroup=default | > 0 | 1 of 1 @60 | notBreaching | critical
t/execution-duration | Maximum Duration of FunctionName=execution | > 540000 | 1 of 11 @60 | notBreaching | warning
t/execution-errors-any | Sum Errors of FunctionName=execution | > 0 | 1 of 11 @60 | notBreaching | critical
t/execution-lost | Maximum ApproximateNumberOfMessagesVisible of QueueName=d1; Maximum ApproximateNumberOfMessagesVisible of QueueName=d2; Sum FailedInvocations of EventBusName=b, RuleName=traded; FILL(m1,0) + FILL(m2,0) + FILL(m3,0) | > 0 | 1 of 5 @60 | notBreaching | critical
t/execution-stuck | Sum NumberOfMessagesDeleted of QueueName=q1; Sum NumberOfMessagesDeleted of QueueName=q2; IF(FILL(waiting1,0) > 0 AND FILL(done1,0) == 0, 1, 0) + IF(FILL(waiting2,0) > 0 AND FILL(done2,0) == 0, 1, 0); Minimum ApproximateNumberOfMessagesVisible of QueueName=q1; Minimum ApproximateNumberOfMessagesVisible of QueueName=q2 | > 0 | 15 of 17 @60 | notBreaching | critical
t/loose-failed | Sum FailedInvocations of RuleName=loose | > 0 | 1 of 1 @60 | notBreaching | critical
t/new-put-failed | Sum PublishEventsFailedEntriesCount of EventBus=new/a2 | > 0 | 1 of 1 @60 | notBreaching | warning
t/other-depth | Maximum ApproximateNumberOfMessagesVisible of QueueName=other | >= 1 | 1 of 5 @60 | ignore | critical
t/own-stuck | Sum NumberOfMessagesDeleted of QueueName=own; IF(FILL(waiting,0) > 0 AND FILL(done,0) == 0, 1, 0); Minimum ApproximateNumberOfMessagesVisible of QueueName=own | > 0 | 15 of 17 @60 | notBreaching | warning
t/plain-errors-any | Sum Errors of FunctionName=plain | > 0 | 1 of 16 @60 | notBreaching | critical
t/reports-duration | Maximum Duration of FunctionName=reports | > 54000 | 1 of 2 @60 | notBreaching | warning
t/reports-errors-any | Sum Errors of FunctionName=reports | > 0 | 1 of 2 @60 | notBreaching | critical
t/reports-lost | Sum FailedInvocations of RuleName=nightly; Sum EventsDropped of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/sub/a2; Sum AsyncEventsDropped of FunctionName=reports; FILL(m1,0) + FILL(m2,0) + FILL(m3,0) | > 0 | 1 of 5 @60 | notBreaching | critical
t/reports-throttles | Sum Invocations of FunctionName=reports; IF(FILL(t,0) > 0, 100*t/(t+FILL(i,0)), 0); Sum Throttles of FunctionName=reports | > 1 | 1 of 3 @60 | notBreaching | warning
t/safe-backlog | Maximum ApproximateBacklogAge of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/safe/a2 | > 60000 | 1 of 1 @60 | notBreaching | warning
t/safe-dlq-lost | Sum OnFailureDestinationFailed of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/safe/a2 | > 0 | 1 of 1 @60 | notBreaching | critical
t/sub-backlog | Maximum ApproximateBacklogAge of EventBus=${New}, Subscriber=arn:aws:events:eu-west-1:1:subscriber/sub/a2 | > 60000 | 1 of 1 @60 | notBreaching | warning
t/table-throttles | Sum ReadThrottleEvents of TableName=table; Sum WriteThrottleEvents of TableName=table; FILL(m1,0) + FILL(m2,0) | > 10 | 1 of 3 @60 | notBreaching | warning
t/execution-service | ALARM("t/execution-errors-any") OR ALARM("t/execution-lost") OR ALARM("t/execution-stuck")
t/reports-service | ALARM("t/reports-errors-any") OR ALARM("t/reports-lost")
`
	if got := table(s); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
	for _, f := range Lint(s) {
		t.Errorf("%s", f)
	}
	count := map[string]int{}
	for _, a := range s.Alarms {
		service, _, _ := strings.Cut(strings.TrimPrefix(a.Name, "t/"), "-")
		count[service]++
		member := strings.Contains(s.Composites[0].Rule+s.Composites[1].Rule, `"`+a.Name+`"`)
		if (len(a.Actions) == 0) != member {
			t.Errorf("%s tells %v", a.Name, a.Actions) // through its composite alone, where it has one
		}
	}
	for _, c := range s.Composites {
		service, _, _ := strings.Cut(strings.TrimPrefix(c.Name, "t/"), "-")
		if count[service]++; count[service] > 5 || len(c.Actions) != 1 {
			t.Errorf("%s: %d alarms, %v", service, count[service], c.Actions)
		}
	}
	// An override enables any row, and disables one of a service.
	s = compile(t, trading+"overrides:\n  - {match: {name: execution}, enable: [errors]}\n  - {match: {kind: service, name: execution}, disable: [lost]}\n  - {match: {key: lost}, threshold: 5}\n")
	text := table(s)
	if !strings.Contains(text, "t/execution-errors |") || strings.Contains(text, "t/execution-lost") || !strings.Contains(text, `ALARM("t/execution-errors-any") OR ALARM("t/execution-stuck")`) || !strings.Contains(text, "FILL(m3,0) | > 5 | 1 of 5") {
		t.Error(text)
	}
	// All of them are as many as the packs have.
	if all := compile(t, strings.Replace(trading, "watch: essential", "watch: all", 1)); len(all.Alarms) < 2*len(compile(t, trading).Alarms) || len(all.Composites) != 0 {
		t.Errorf("%d alarms", len(all.Alarms))
	}
}

// TestManySources: what an alarm has no room for is said.
func TestManySources(t *testing.T) {
	text := "name: t\nwatch: essential\nresources:\n  - {kind: lambda, name: f, async: true}\n"
	for _, r := range strings.Fields("a b c d e f g h i j k") {
		text += "  - {kind: event-rule, name: " + r + ", of: f}\n"
	}
	s := compile(t, text)
	if len(s.Notes) != 2 || !strings.Contains(s.Notes[0].Message, "f: 2 sources of lost events are not watched") {
		t.Errorf("%v", s.Notes)
	}
	for _, f := range Lint(s) {
		t.Errorf("%s", f)
	}
}
