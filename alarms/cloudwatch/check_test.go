package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
)

// listed answers ListMetrics: a filter takes metrics with more dimensions too.
type listed []types.Metric

func (l listed) ListMetrics(_ context.Context, in *cloudwatch.ListMetricsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.ListMetricsOutput, error) {
	out := &cloudwatch.ListMetricsOutput{}
	for _, m := range l {
		ok := *m.Namespace == *in.Namespace && *m.MetricName == *in.MetricName
		for _, d := range in.Dimensions {
			found := false
			for _, has := range m.Dimensions {
				found = found || *has.Name == *d.Name && (d.Value == nil || *has.Value == *d.Value)
			}
			ok = ok && found
		}
		if ok {
			out.Metrics = append(out.Metrics, m)
		}
	}
	return out, nil
}

func rule(metric, name string, more ...alarms.Dimension) alarms.Alarm {
	return alarms.Alarm{Name: metric + " of " + name, Queries: []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{
		Namespace: "AWS/Events", Metric: metric, Statistic: "Sum", Period: 60, Dimensions: append([]alarms.Dimension{{Name: "RuleName", Value: name}}, more...),
	}}}}
}

func TestCheck(t *testing.T) {
	api := listed{*metric(*rule("TriggeredRules", "busy").Queries[0].Stat), *metric(*rule("MatchedEvents", "busy", alarms.Dimension{Name: "EventBusName", Value: "b"}).Queries[0].Stat)}
	found, err := Check(t.Context(), api, alarms.Set{Alarms: []alarms.Alarm{
		rule("TriggeredRules", "busy"), rule("FailedInvocations", "busy"), rule("FailedInvocations", "gone"), rule("TriggeredRules", "gone"),
		rule("MatchedEvents", "busy"), {Name: "depth of an idle queue", Meta: alarms.Meta{Kind: "dlq"}, Queries: []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{
			Namespace: "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible", Statistic: "Maximum", Period: 60, Dimensions: []alarms.Dimension{{Name: "QueueName", Value: "d"}}}}}},
		{Name: "of the application", Queries: []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{Namespace: "App", Metric: "Stuck", Statistic: "Sum", Period: 60}}}},
	}}, newFake().pace())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Verdict{Found, Active, Idle, Idle, Active, Quiet, Absent} { // the fifth is there itself with one dimension more
		if found[i].Verdict != want || found[i].Good() != (i < 2 || i == 4 || i == 5) || found[i].Message == "" {
			t.Errorf("%s: %+v", want, found[i])
		}
	}
}

// TestCheckNamesTheBus: an alarm on a new bus that is published under another value of
// EventBus is told which.
func TestCheckNamesTheBus(t *testing.T) {
	const bus, sub = "arn:aws:events:eu-west-1:1:event-busv2/orders/a2", "arn:aws:events:eu-west-1:1:subscriber/s/a2"
	s, err := alarms.Compile([]byte("name: o\nwatch: essential\nresources: [{kind: event-bus, arn: '" + bus + "'}, {kind: subscriber, bus: '" + bus + "', arn: '" + sub + "'}]"))
	if err != nil {
		t.Fatal(err)
	}
	of := func(name string, dimensions ...alarms.Dimension) types.Metric {
		return *metric(alarms.Stat{Namespace: "AWS/EventsV2", Metric: name, Dimensions: dimensions})
	}
	api := listed{
		of("PublishEventsEntryCount", alarms.Dimension{Name: "EventBus", Value: "orders"}), of("PublishEventsEntryCount", alarms.Dimension{Name: "EventBus", Value: "others/a3"}),
		of("EventDeliveryAttempts", alarms.Dimension{Name: "EventBus", Value: bus}, alarms.Dimension{Name: "Subscriber", Value: sub}),
	}
	found, err := Check(t.Context(), api, s, newFake().pace())
	if err != nil || len(found) != 3 {
		t.Fatal(err, found)
	}
	for _, e := range found {
		switch own := e.Alarm == "o/orders-put-failed"; {
		case own && (e.Verdict != Idle || !strings.Contains(e.Message, `write dimension: "orders"`)):
			t.Errorf("%+v", e)
		case !own && e.Verdict != Active:
			t.Errorf("%+v", e)
		}
	}
}

// subscribed has the numbers of topics' confirmed subscriptions.
type subscribed map[string]int

func (s subscribed) Subscribers(_ context.Context, topic string) (int, error) { return s[topic], nil }

func (s subscribed) Key(context.Context, string, string) (Key, error) { return Key{}, nil }

// locked are topics with a key.
type locked struct {
	subscribed
	key Key
}

func (l locked) Key(_ context.Context, topic, alarm string) (Key, error) {
	if alarm == "" {
		return Key{}, errors.New("no alarm to ask for")
	}
	return l.key, nil
}

const topic = "arn:aws:sns:eu-west-1:123456789012:alerts"

func TestDrift(t *testing.T) {
	f, s := newFake(), set(t)
	apply(t, f, s)
	delete(f.metric, s.Alarms[0].Name)
	s.Alarms = s.Alarms[:len(s.Alarms)-1] // the last is an orphan now
	s.Alarms[1].Threshold += 5
	found, err := Drift(t.Context(), f, listed{}, subscribed{}, s, f.pace())
	if err != nil {
		t.Fatal(err)
	}
	count := map[Class]int{}
	for _, d := range found {
		count[d.Class]++
	}
	if count[Missing] != 1 || count[Orphan] != 1 || count[Behind] != 1 || count[Undeliverable] != 1 || count[Dead] != 1 {
		t.Errorf("%v", count)
	}
	// Composites' actions are looked at as well, and whether they are disabled.
	only := alarms.Set{Name: s.Name, Prefix: s.Prefix, Composites: s.Composites}
	only.Composites[0].Actions = []string{topic}
	f = newFake()
	apply(t, f, alarms.Set{Name: s.Name, Prefix: s.Prefix, Alarms: s.Alarms, Composites: s.Composites})
	muted := f.composite[s.Composites[0].Name]
	muted.ActionsEnabled = aws.Bool(false)
	f.composite[s.Composites[0].Name] = muted
	only.Alarms = s.Alarms
	found, err = Drift(t.Context(), f, nil, subscribed{}, only, f.pace())
	if err != nil || len(found) != 3 || found[0].Class != Undeliverable || found[1].Class != Edited || found[2].Class != Muted || found[2].Name != s.Composites[0].Name {
		t.Errorf("%+v, %v", found, err)
	}
	for key, want := range map[Key]Class{{Blocked: "no statement"}: Undeliverable, {Unread: "the role lacks kms:GetKeyPolicy"}: Unread} {
		found, err := undeliverable(t.Context(), locked{subscribed{topic: 1}, key}, s)
		if err != nil || len(found) != 1 || found[0].Class != want || !strings.Contains(found[0].Detail, key.Blocked+key.Unread) {
			t.Errorf("%+v: %v, %v", key, found, err)
		}
	}
	for confirmed, want := range map[int]int{1: 0, 0: 1} {
		silent, err := undeliverable(t.Context(), subscribed{topic: confirmed}, s)
		if err != nil || len(silent) != want {
			t.Errorf("%d subscribers: %v, %v", confirmed, silent, err)
		}
	}
}

// states is the part of CloudWatch that a test of delivery sees.
type states struct {
	*fake
	history []types.AlarmHistoryItem
	set     []types.StateValue
	summary string
	fails   error
}

func (s *states) SetAlarmState(_ context.Context, in *cloudwatch.SetAlarmStateInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error) {
	if s.fails != nil && len(s.set) > 0 {
		return nil, s.fails
	}
	s.set = append(s.set, in.StateValue)
	if in.StateValue == types.StateValueAlarm && s.summary != "" {
		at := s.now
		s.history = append(s.history, types.AlarmHistoryItem{AlarmName: in.AlarmName, Timestamp: &at, HistoryItemType: types.HistoryItemTypeAction, HistorySummary: &s.summary})
	}
	return &cloudwatch.SetAlarmStateOutput{}, nil
}

func (s *states) DescribeAlarmHistory(_ context.Context, in *cloudwatch.DescribeAlarmHistoryInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmHistoryOutput, error) {
	out := &cloudwatch.DescribeAlarmHistoryOutput{}
	for _, i := range s.history {
		if !i.Timestamp.Before(*in.StartDate) {
			out.AlarmHistoryItems = append(out.AlarmHistoryItems, i)
		}
	}
	return out, nil
}

func (s *states) DescribeAlarms(ctx context.Context, in *cloudwatch.DescribeAlarmsInput, o ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	in.AlarmNamePrefix = aws.String(in.AlarmNames[0])
	return s.fake.DescribeAlarms(ctx, in, o...)
}

func TestDelivery(t *testing.T) {
	one := func(change func(*types.MetricAlarm)) *states {
		f := newFake()
		a := types.MetricAlarm{AlarmName: aws.String("a"), AlarmActions: []string{topic}, ActionsEnabled: aws.Bool(true), StateValue: types.StateValueInsufficientData}
		if change != nil {
			change(&a)
		}
		f.metric["a"] = a
		return &states{fake: f, summary: "Successfully executed action " + topic}
	}
	good := subscribed{topic: 1}
	s := one(nil)
	d, err := Test(t.Context(), s, good, "a", false, s.pace())
	if err != nil || !d.Good() || d.Restored != "INSUFFICIENT_DATA" || fmt.Sprint(s.set) != "[ALARM INSUFFICIENT_DATA]" {
		t.Errorf("%+v, %v, %v", d, s.set, err)
	}
	s = one(func(a *types.MetricAlarm) { a.StateValue = types.StateValueAlarm })
	if d, err := Test(t.Context(), s, good, "a", false, s.pace()); err != nil || !d.Sent || fmt.Sprint(s.set) != "[OK ALARM ALARM]" {
		t.Errorf("already in alarm: %+v, %v, %v", d, s.set, err)
	}
	s = one(nil)
	s.summary = "Failed to execute action " + topic
	if d, err := Test(t.Context(), s, good, "a", false, s.pace()); err != nil || d.Good() || len(d.Problems) != 1 || len(s.set) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	s = one(nil)
	s.summary = ""
	if d, err := Test(t.Context(), s, subscribed{}, "a", false, s.pace()); err != nil || d.Good() || d.Reached || len(d.Problems) != 2 || len(s.set) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	s = one(nil)
	s.fails = errors.New("gone")
	if _, err := Test(t.Context(), s, good, "a", false, s.pace()); err == nil || !strings.Contains(err.Error(), "a is still in ALARM") {
		t.Error(err)
	}
	for want, change := range map[string]func(*types.MetricAlarm){
		"can change resources":     func(a *types.MetricAlarm) { a.AlarmActions = []string{"arn:aws:ssm:eu-west-1:1:opsitem:1"} },
		"has no actions":           func(a *types.MetricAlarm) { a.AlarmActions = nil },
		"its actions are disabled": func(a *types.MetricAlarm) { a.ActionsEnabled = aws.Bool(false) },
	} {
		s := one(change)
		if _, err := Test(t.Context(), s, good, "a", false, s.pace()); err == nil || !strings.Contains(err.Error(), want) || len(s.set) != 0 {
			t.Errorf("%v, %v, without %q", err, s.set, want)
		}
	}
	s = one(func(a *types.MetricAlarm) { a.AlarmActions = []string{"arn:aws:ssm:eu-west-1:1:opsitem:1"} })
	if _, err := Test(t.Context(), s, good, "a", true, s.pace()); err != nil || len(s.set) != 2 {
		t.Error(err)
	}
	s = one(nil)
	delete(s.metric, "a")
	if _, err := Test(t.Context(), s, good, "a", false, s.pace()); err == nil || !strings.Contains(err.Error(), "do not have the alarm") {
		t.Error(err)
	}
}

// pagedData answers GetMetricData with a value for each minute, in two pages,
// and counts what was asked for.
type pagedData struct {
	calls, most int
	points      int
}

func (p *pagedData) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	p.calls++
	p.most = max(p.most, len(in.MetricDataQueries))
	out := &cloudwatch.GetMetricDataOutput{}
	total := 0
	for _, q := range in.MetricDataQueries {
		step := time.Duration(*q.MetricStat.Period) * time.Second
		r := types.MetricDataResult{Id: q.Id}
		for at := *in.StartTime; at.Before(*in.EndTime); at = at.Add(step) {
			total++
			if (in.NextToken == nil) == (at.Sub(*in.StartTime) < in.EndTime.Sub(at)) {
				r.Timestamps, r.Values = append(r.Timestamps, at), append(r.Values, 1)
			}
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	p.points = max(p.points, total)
	if in.NextToken == nil {
		out.NextToken = aws.String("more")
	}
	return out, nil
}

func TestFetch(t *testing.T) {
	s, api := set(t), &pagedData{}
	from := time.Unix(1_795_400_000, 0).Truncate(time.Hour)
	to := from.Add(15 * 24 * time.Hour)
	reported := 0
	table, err := Fetch(t.Context(), api, s, from, to, func(done, of int) {
		if reported = done; done > of {
			t.Errorf("%d of %d", done, of)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{}
	for _, a := range s.Alarms {
		for _, stat := range a.Stats() {
			distinct[eval.Key(stat)] = true
			series := table[eval.Key(stat)]
			if want := int(to.Sub(from).Seconds()) / stat.Period; len(series) != want {
				t.Fatalf("%s: %d datapoints, not %d", a.Name, len(series), want)
			}
		}
	}
	if len(table) != len(distinct) || reported != len(distinct) || api.points > 100_800 || api.most > 500 {
		t.Errorf("%d of %d metrics, %d points and %d metrics a call", len(table), len(distinct), api.points, api.most)
	}
	t.Logf("%d metrics in %d calls, at most %d points each", len(table), api.calls, api.points)
}
