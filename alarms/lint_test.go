package alarms

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// findings of the alarms of a spec, in one text.
func findings(t *testing.T, alarms string) string {
	t.Helper()
	s := compile(t, "name: o\nparameters: {A: {default: x}}\nprefix: \"${A}\"\nresources: [{kind: dlq, name: q}]\nalarms:\n"+alarms)
	var lines []string
	for _, f := range Lint(s) {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// TestDeadAlarmsOfOthers: five alarms that a popular tool makes and that can
// never fire, each refused with the dimensions that are right.
func TestDeadAlarmsOfOthers(t *testing.T) {
	for alarm, want := range map[string]string{
		`- {name: a, namespace: AWS/DynamoDB, metric: UserErrors, dimensions: {TableName: t}, threshold: "> 0", for: 1 of 1}`:                                                                                 "UserErrors is published with no dimension, not with TableName",
		`- {name: a, namespace: AWS/EventsV2, metric: EventsDropped, dimensions: {EventBus: "o/a2", Subscriber: "arn:aws:events:e:1:subscriber/s/a2"}, threshold: "> 0", for: 1 of 1, missing: notBreaching}`: "",
		`- {name: a, namespace: AWS/EventsV2, metric: EventsDropped, dimensions: {EventBus: "arn:aws:events:e:1:event-busv2/o/a2", Subscriber: s}, threshold: "> 0", for: 1 of 1, missing: notBreaching}`:     "Subscriber \"s\" is not an ARN",
		`- {name: a, namespace: AWS/EventsV2, metric: EventsDropped, dimensions: {EventBus: o}, threshold: "> 0", for: 1 of 1, missing: notBreaching}`:                                                        "EventsDropped is published with EventBus and Subscriber, or EventBus and SubscriberAccount, not with EventBus",
		`- {name: a, namespace: AWS/EventsV2, metric: ApproximateBacklogAge, statistic: Sum, dimensions: {EventBus: o, Subscriber: "arn:s"}, threshold: "> 60000", for: 1 of 1}`:                              "is a level, not a count",
		`- {name: a, namespace: AWS/EventsV2, metric: PublishEventsIngressBytes, statistic: Sum, dimensions: {EventBus: o}, threshold: "> 5", for: 1 of 1, missing: notBreaching}`:                            "",
		`- {name: a, namespace: AWS/DynamoDB, metric: SystemErrors, dimensions: {TableName: t}, threshold: "> 0", for: 1 of 1}`:                                                                               "SystemErrors is published with Operation and TableName, not with TableName",
		`- {name: a, namespace: AWS/DynamoDB, metric: ReadThrottleEvents, dimensions: {TableName: t, GlobalSecondaryIndex: i}, threshold: "> 0", for: 1 of 1}`:                                                "with TableName, or GlobalSecondaryIndexName and TableName, not with GlobalSecondaryIndex and TableName",
		`- {name: a, namespace: AWS/Events, metric: FailedInvocations, dimensions: {RuleName: "orders|created"}, threshold: "> 0", for: 1 of 1}`:                                                              "write EventBusName=orders and RuleName=created",
		`- {name: a, namespace: AWS/SQS, metric: ApproximateNumberOfMessagesNotVisible, statistic: Sum, dimensions: {QueueName: q}, threshold: "> 96000", for: 1 of 1}`:                                       "is a level, not a count",
		`- {name: a, namespace: AWS/Lambda, metric: Errors, statistic: Average, dimensions: {FunctionName: f}, threshold: "> 1", for: 1 of 1}`:                                                                "Errors is 0 or 1 for each invocation, so its Average is at most 1",
		`- {name: a, namespace: Alchemiser/Execution, metric: StuckRuns, threshold: "> 0", for: 1 of 1}`:                                                                                                      "",
		`- {name: a, namespace: Throughline, metric: PayloadSise, threshold: "> 0", for: 1 of 1}`:                                                                                                             "did you mean PayloadSize?",
		`- {name: a, namespace: Throughline, metric: PayloadSize, statistic: Maximum, dimensions: {Service: s}, threshold: "> 0", for: 1 of 1}`:                                                               "PayloadSize is published with EventType and Service, not with Service",
		`- {name: a, namespace: Throughline, metric: DeliveryLag, statistic: Maximum, dimensions: {Service: s, EventType: e}, threshold: "> 0", for: 1 of 1}`:                                                 "only THROUGHLINE_METRICS=full emits",
		`- {name: a, namespace: AWS/Events, metric: MatchedEvents, threshold: "> 0", for: 1 of 1}`:                                                                                                            "MatchedEvents is published with EventBusName, or EventBusName and RuleName, or EventSourceName, or RuleName, not with no dimension",
		`- {name: a, namespace: AWS/Events, metric: InvocationsSentToDLQ, dimensions: {RuleName: r}, threshold: "> 0", for: 1 of 1}`:                                                                          "did you mean InvocationsSentToDlq?",
		`- {name: a, namespace: AWS/Events, metric: InvocationsSentToDlq, dimensions: {RuleName: r}, threshold: "< 1", for: 1 of 1, missing: notBreaching}`:                                                   "it is never low",
		`- {name: a, namespace: AWS/Events, metric: InvocationsSentToDlq, dimensions: {RuleName: r}, threshold: "> 0", for: 1 of 1, missing: breaching}`:                                                      "a healthy resource is in ALARM",
		`- {name: a, namespace: AWS/Events, metric: InvocationsSentToDlq, dimensions: {RuleName: r}, threshold: "> 0", for: 1 of 1}`:                                                                          "the alarm would stay in ALARM",
		`- {name: a, namespace: AWS/Events, metric: FailedInvocations, dimensions: {RuleName: r}, threshold: "> 1", for: 1 of 1, missing: notBreaching}`:                                                      "> 1 does not fire on a single occurrence",
		`- {name: a, namespace: AWS/DynamoDB, metric: UserErrors, threshold: "> 0", for: 1 of 1, missing: notBreaching}`:                                                                                      "CloudWatch ignores missing data",
		`- {name: a, namespace: AWS/Lambda, metric: Duration, statistic: p99, dimensions: {FunctionName: f}, threshold: "> 1000", for: 1 of 1}`:                                                               "",
		`- {name: a, namespace: AWS/Lambda, metric: Duration, statistic: Mean, dimensions: {FunctionName: f}, threshold: "> 1", for: 1 of 1}`:                                                                 `"Mean" is not a statistic`,
		`- {name: a, namespace: AWS/Route53, metric: HealthCheckStatus, threshold: "> 0", for: 1 of 1}`:                                                                                                       "AWS/Route53 is not in Throughline's catalogue",
		`- {name: a, namespace: N, metric: M, threshold: "> 0"}`:                                                                                                                                              "no evaluation periods",
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 1, period: 45s}`:                                                                                                                    "a period of 45 s",
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 1441}`:                                                                                                                              "more than a day",
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 169, period: 1h}`:                                                                                                                   "more than seven days",
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 1, actions: [topic]}`:                                                                                                               `the action "topic" is not an ARN`,
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 1, actions: ["arn:1","arn:2","arn:3","arn:4","arn:5","arn:6"]}`:                                                                     "6 actions",
		`- {name: q-depth, namespace: N, metric: M, threshold: "> 0", for: 1 of 1}`:                                                                                                                           "the alarm on line 4 has the same name",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {A: {namespace: N, metric: M}, b: {expression: 1}}, return: A}`:                                                                                  `"A" is not an ID`,
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {e: {expression: 1}}, return: e}`:                                                                                                                "it has expressions and no metric",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: m2/2}}, return: e}`:                                                                              "e: there is no m2; did you mean m1?",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "(m1"}}, return: e}`:                                                                             "brackets of e do not match",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "SUM(SEARCH('x'))"}}, return: e}`:                                                                "SEARCH returns any number of series",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "FILL(m1)"}}, return: e}`:                                                                        "FILL has 1 arguments and needs 2",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "IF (m1 > 1 AND (m1 < 3), FLOR(m1), SUM([m1, m1]))"}}, return: e}`:                               "metric math has no FLOR; did you mean FLOOR?",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "IF(m1,1,2,3)"}}, return: e}`:                                                                    "IF has 4 arguments and needs 2 or 3",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "m1 + SUM()"}}, return: e}`:                                                                      "SUM has 0 arguments and needs at least 1",
		`- {name: a, namespace: AWS/SQS, metric: ApproximateNumberOfMessagesNotVisible, statistic: Maximum, dimensions: {QueueName: q.fifo}, threshold: "> 96000", for: 1 of 1}`:                              "",
		`- {name: a, namespace: AWS/Lambda, metric: Duration, statistic: Maximum, dimensions: {FunctionName: f}, threshold: ">= 900001", for: 1 of 1}`:                                                        "an invocation lasts at most 15 minutes",
		`- {name: a, namespace: Throughline, metric: TimeoutUtilization, statistic: Maximum, dimensions: {Service: s}, threshold: "> 100", for: 1 of 1}`:                                                      "it is a percentage",
		`- {name: a, namespace: AWS/SQS, metric: ApproximateNumberOfMessagesNotVisible, statistic: Maximum, dimensions: {QueueName: q}, threshold: "> 96000", for: 1 of 1}`:                                   "",
		`- {name: "a\tb", namespace: N, metric: M, threshold: "> 0", for: 1 of 1}`:                                                                                                                            "holds a control character",
		`- {name: a, threshold: "> 0", for: 1 of 1, metrics: {m1: {namespace: N, metric: M}, e: {expression: "e+m1"}}, return: e}`:                                                                            "refers to itself",
		`- {name: a, namespace: N, metric: M, threshold: "> 0", for: 1 of 1, description: "` + strings.Repeat("x", 1025) + `"}`:                                                                               "the description has",
		`- {name: "` + strings.Repeat("x", 256) + `", namespace: N, metric: M, threshold: "> 0", for: 1 of 1}`:                                                                                                "the name has 260 characters",
	} {
		got := findings(t, alarm)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s:\n  %s\n  without %q", alarm[:min(len(alarm), 200)], got, want)
		}
	}
}

// TestCommonSlips: three alarms of a checklist as people write them; lint names
// what is wrong with each.
func TestCommonSlips(t *testing.T) {
	const throttled = `- {name: EventBridgeThrottled, namespace: AWS/Events, metric: ThrottledRules, period: 5m, threshold: "> 10"}`
	const errors = `- {name: LambdaErrors, namespace: AWS/Lambda, metric: Errors, dimensions: {FunctionName: orders}, period: 5m, threshold: "> 5"}`
	const depth = `- {name: EventBridgeDLQDepth, namespace: AWS/SQS, metric: ApproximateNumberOfMessagesVisible, period: 5m, threshold: "> 1"}`
	for alarm, wants := range map[string][]string{
		throttled: {"no evaluation periods"},
		errors:    {"no evaluation periods"},
		depth:     {"no evaluation periods", "is published with QueueName, not with no dimension", "is a level, not a count: its Sum", "> 1 does not fire on a single message"},
	} {
		got := findings(t, alarm)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s:\n%s\nwithout %q", alarm, got, want)
			}
		}
	}
}

// TestLimits of alarms that no spec can make.
func TestLimits(t *testing.T) {
	s := every(t)
	long := s
	long.Alarms, long.Composites = nil, nil
	a := s.Alarms[0]
	for i := range 5001 {
		a.Name = fmt.Sprint("a", i)
		long.Alarms = append(long.Alarms, a)
	}
	begin := time.Now()
	found := Lint(long)
	if len(found) != 1 || !strings.Contains(found[0].Message, "5001 alarms: an account has a quota of 5000") || Errors(found) {
		t.Errorf("%v", found)
	}
	if found := Lint(Set{LogGroups: make([]string, 51)}); len(found) != 1 || !strings.Contains(found[0].Message, "51 log groups") {
		t.Errorf("%v", found)
	}
	t.Logf("5001 alarms linted in %s", time.Since(begin))
	broken := s.Alarms[0].Normalize()
	broken.Threshold, broken.Missing, broken.Comparison, broken.EvaluationPeriods, broken.DatapointsToAlarm = math.NaN(), "perhaps", "Near", 2, 3
	for range 11 {
		broken.Queries = append(broken.Queries, broken.Queries[0])
	}
	text := fmt.Sprint(Lint(Set{Alarms: []Alarm{broken, {Name: "empty"}}, Namespace: "Throughline", Composites: []Composite{
		{Name: "c", Rule: `ALARM("c")`}, {Name: "none", Rule: "TRUE"}, {Name: "many", Rule: strings.Repeat(`ALARM("x") OR `, 800)},
	}}))
	for _, want := range []string{"not a finite number", `"perhaps" is not a treatment of missing data`, "is not a comparison", "3 datapoints to alarm out of 2", "12 metrics", "is used twice", "it has no metric",
		"the rule names itself", "the rule names no alarm", "800 alarms in the rule", "CloudWatch takes at most 10240"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestDiff(t *testing.T) {
	s := every(t)
	was, is := s.Alarms[0].Normalize(), s.Alarms[0].Normalize()
	if d := Diff(was, is); len(d) != 0 || !Equal(was, is) {
		t.Errorf("%v", d)
	}
	is.Threshold, is.DatapointsToAlarm, is.EvaluationPeriods, is.Missing, is.Actions, is.Description, is.Tags, is.ActionsDisabled = 1, 2, 3, Ignore, []string{"arn:x"}, "other", []Tag{{"k", "v"}}, true
	is.Queries[0].Stat.Statistic = "Minimum"
	fields := ""
	for _, c := range Diff(was, is) {
		fields += c.Field + " "
	}
	if fields != "metric threshold for missing actions enabled description tags actions " || Equal(was, is) || was.Hash() == is.Hash() {
		t.Error(fields)
	}
	other := s.Composites[0]
	other.Rule = `ALARM("x")`
	if d := DiffComposite(s.Composites[0], other); len(d) != 1 || d[0].Field != "rule" {
		t.Errorf("%v", d)
	}
}

func TestSibling(t *testing.T) {
	for _, tt := range []struct {
		metric, namespace string
		dimensions        []Dimension
		want              string
	}{
		{"FailedInvocations", "AWS/Events", []Dimension{{"RuleName", "r"}}, "TriggeredRules RuleName=r"},
		{"IngestionToInvocationSuccessLatency", "AWS/Events", []Dimension{{"RuleName", "r"}}, "TriggeredRules RuleName=r"},
		{"TriggeredRules", "AWS/Events", []Dimension{{"RuleName", "r"}}, ""},
		{"PutEventsFailedEntriesCount", "AWS/Events", nil, "PutEventsEntriesCount the account"},
		{"AsyncEventAge", "AWS/Lambda", []Dimension{{"FunctionName", "f"}}, "Invocations FunctionName=f"},
		{"Invocations", "AWS/Lambda", []Dimension{{"FunctionName", "f"}}, ""},
		{"ApproximateAgeOfOldestMessage", "AWS/SQS", []Dimension{{"QueueName", "q"}}, "NumberOfMessagesSent QueueName=q"},
		{"SystemErrors", "AWS/DynamoDB", []Dimension{{"Operation", "o"}, {"TableName", "t"}}, "SuccessfulRequestLatency Operation=o, TableName=t"},
		{"PayloadSize", "Own", []Dimension{{"Service", "s"}, {"EventType", "T"}}, "Duration Service=s"},
		{"Anything", "Custom", nil, ""},
	} {
		s, ok := Sibling(Stat{Namespace: tt.namespace, Metric: tt.metric, Statistic: "Sum", Dimensions: tt.dimensions}, "Own")
		got := ""
		if ok {
			got = s.Metric + " " + dimensionText(s.Dimensions)
		}
		if got != tt.want {
			t.Errorf("%s: %q, not %q", tt.metric, got, tt.want)
		}
	}
}

// TestAllow: a line with a reason has no warnings; an error stays one.
func TestAllow(t *testing.T) {
	for allow, want := range map[string]int{"": 2, ", allow: the metric is of a preview": 1} {
		s := compile(t, `name: o
alarms:
  - {name: a, namespace: AWS/Lambda, metric: Preview, dimensions: {FunctionName: f}, threshold: "> 1", for: 1 of 1, period: 45s`+allow+`}
`)
		if found := Lint(s); len(found) != want || !Errors(found) {
			t.Errorf("%q: %v", allow, found)
		}
	}
}
