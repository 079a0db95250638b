package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
)

// week is a recording of seven days in each of which everything fails for some minutes,
// with n invocations a minute, and nothing happens otherwise.
func week(t *testing.T, minutes, n int) *Recording {
	t.Helper()
	var b strings.Builder
	emit := func(at time.Time, namespace string, dimensions map[string]string, values map[string]float64) {
		line := map[string]any{}
		var names, metrics []any
		for name, value := range dimensions {
			line[name] = value
			names = append(names, name)
		}
		for name, value := range values {
			line[name] = value
			metrics = append(metrics, map[string]any{"Name": name})
		}
		line["_aws"] = map[string]any{"Timestamp": at.UnixMilli(), "CloudWatchMetrics": []any{map[string]any{"Namespace": namespace, "Dimensions": []any{names}, "Metrics": metrics}}}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	type d = map[string]string
	type v = map[string]float64
	many := float64(n)
	start := time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC)
	for day := range 7 {
		at := start.AddDate(0, 0, day).Add(14*time.Hour + 30*time.Minute)
		for minute := range minutes {
			at := at.Add(time.Duration(minute) * time.Minute)
			emit(at, "AWS/Lambda", d{"FunctionName": "f"}, v{"Invocations": many, "Errors": many, "Throttles": 3 * many, "AsyncEventAge": 400_000, "AsyncEventsDropped": many, "ConcurrentExecutions": 5, "Duration": 59_999})
			emit(at, "AWS/Events", d{"EventBusName": "b", "RuleName": "r"}, v{"FailedInvocations": many, "InvocationsSentToDlq": many, "InvocationsFailedToBeSentToDlq": 1, "ThrottledRules": 50, "IngestionToInvocationSuccessLatency": 90_000, "TriggeredRules": many})
			emit(at, "AWS/Events", d{}, v{"PutEventsFailedEntriesCount": 500, "PutEventsApproximateThrottledCount": 500})
			emit(at, "AWS/Lambda", d{}, v{"ClaimedAccountConcurrency": 1000})
			emit(at, "AWS/DynamoDB", d{"TableName": "t"}, v{"ReadThrottleEvents": 500, "WriteThrottleEvents": 500})
			emit(at, "AWS/DynamoDB", d{"TableName": "t", "Operation": "GetItem"}, v{"SystemErrors": 500})
			emit(at, "AWS/SQS", d{"QueueName": "q"}, v{"ApproximateAgeOfOldestMessage": 345_000, "ApproximateNumberOfMessagesNotVisible": 119_999})
			emit(at, "AWS/SQS", d{"QueueName": "d"}, v{"ApproximateNumberOfMessagesVisible": 1})
			emit(at, "AWS/Lambda", d{"FunctionName": "f", "Resource": "f:live"}, v{"Invocations": many, "Errors": many, "Throttles": 3 * many, "Duration": 59_999})
			emit(at, "AWS/Lambda", d{"FunctionName": "nightly"}, v{"Invocations": many, "Errors": many, "Throttles": 3 * many})
			emit(at, "AWS/Scheduler", d{"ScheduleGroup": "g"}, v{"InvocationAttemptCount": many, "InvocationDroppedCount": many, "TargetErrorCount": many, "TargetErrorThrottledCount": many, "InvocationThrottleCount": many,
				"InvocationsSentToDeadLetterCount": many, "InvocationsFailedToBeSentToDeadLetterCount": 1, "InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded": 1})
			emit(at, "AWS/States", d{"StateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:m"}, v{"ExecutionsStarted": many, "ExecutionsFailed": many, "ExecutionsTimedOut": 1, "ExecutionsAborted": 1, "ExecutionThrottled": many, "ExecutionTime": 59_999})
			emit(at, "AWS/EventBridge/Pipes", d{"PipeName": "p"}, v{"Invocations": many, "ExecutionFailed": many, "ExecutionPartiallyFailed": 1, "ExecutionTimeout": 1, "ExecutionThrottled": many})
			emit(at, "AWS/ApiGateway", d{"ApiName": "a", "Stage": "s"}, v{"Count": 1, "5XXError": 1, "Latency": 29_000})
			emit(at, "AWS/ApiGateway", d{"ApiId": "h"}, v{"Count": 1, "5xx": 1, "Latency": 29_000})
			emit(at, "AWS/Kinesis", d{"StreamName": "k"}, v{"GetRecords.IteratorAgeMilliseconds": 3_600_000, "IncomingRecords": many, "WriteProvisionedThroughputExceeded": many, "ReadProvisionedThroughputExceeded": 100})
			emit(at, "AWS/SNS", d{"TopicName": "t"}, v{"NumberOfMessagesPublished": many, "NumberOfNotificationsFailed": many, "NumberOfNotificationsRedrivenToDlq": many, "NumberOfNotificationsFailedToRedriveToDlq": 1, "NumberOfNotificationsFilteredOut-InvalidAttributes": 1})
			emit(at, "AWS/EventsV2", d{"EventBus": "n/abcdefghijklmnopqrstuvwxy"}, v{"PublishEventsEntryCount": many, "PublishEventsFailedEntriesCount": many, "PublishEventsApproximateFailedCallCount": many, "PublishEventsApproximateThrottledCallCount": many})
			emit(at, "AWS/EventsV2", d{"EventBus": "arn:aws:events:eu-west-1:1:event-busv2/n/abcdefghijklmnopqrstuvwxy", "Subscriber": "arn:aws:events:eu-west-1:1:subscriber/s/abcdefghijklmnopqrstuvwxy"}, v{"EventDeliveryAttempts": many, "EventsDelivered": 0,
				"EventsDropped": many, "OnFailureDestinationFailed": 1, "OnFailureDestinationDelivered": many, "EventTransformationFailures": many, "ApproximateBacklogAge": 400_000, "IngestionToInvocationEndTime": 90_000})
			emit(at, "Throughline", d{"Service": "f"}, v{"EventsReceived": many, "DuplicateEvents": many, "UncorrelatedPublished": many, "UncorrelatedReceived": many, "OutOfOrderEvents": many, "EventsPublished": many,
				"EventsFailed": many, "OversizedEvents": many, "LoopSuspected": 1, "TelemetryDropped": many, "ExportFailures": many, "Timeouts": 1, "OutOfMemory": 1, "SoftErrors": 1, "TimeoutUtilization": 99, "Duration": 5})
			emit(at, "Throughline", d{"Service": "f", "EventType": "T"}, v{"PayloadLimitUtilization": 99, "PayloadSize": 1_040_000, "DeliveryLag": 200_000, "HopCount": 15})
		}
		// The queue is emptied, as somebody who was paged does.
		emit(at.Add(2*time.Hour), "AWS/SQS", d{"QueueName": "d"}, v{"ApproximateNumberOfMessagesVisible": 0})
		emit(start.AddDate(0, 0, day+1).Add(-time.Minute), "X", d{}, v{"x": 1})
	}
	recording, err := ReadRecording(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return recording
}

func bursts(t *testing.T, more string) alarms.Set {
	t.Helper()
	text, err := os.ReadFile("testdata/burst.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := alarms.Compile([]byte(string(text) + more))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resolve(nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBursts: of a system that works for some minutes a day, every alarm on what fails
// then pages every day, after one minute of it and with one invocation as with many.
func TestBursts(t *testing.T) {
	s := bursts(t, "")
	for minutes := 1; minutes <= 3; minutes++ {
		for _, n := range []int{1, 5, 100} {
			recording := week(t, minutes, n)
			from, to := recording.Span()
			silent := []string{}
			for _, a := range s.Alarms {
				report, err := Backtest(a, recording, from, to, 0)
				if err != nil {
					t.Fatal(err)
				}
				if report.Pages != 7 {
					silent = append(silent, a.Meta.Kind+" "+a.Meta.Key)
				}
			}
			// The schedules are of a day, and they ran each day; the queue was not stuck for a
			// quarter of an hour; Throughline reported what was invoked.
			if want := []string{"event-bus silent", "event-rule silent", "extension blind", "lambda not-invoked", "queue stuck", "scheduler silent", "state-machine not-started"}; !slices.Equal(sorted(silent), want) {
				t.Errorf("%d minutes of %d: %v page not each day", minutes, n, silent)
			}
		}
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// TestSteady: under steady traffic a minute is not enough, five are.
func TestSteady(t *testing.T) {
	s := bursts(t, "traffic: steady\n")
	pages := func(minutes int, key string) (n int) { // of the first alarm of the row
		recording := week(t, minutes, 100)
		from, to := recording.Span()
		for _, a := range s.Alarms {
			if a.Meta.Kind+" "+a.Meta.Key == key {
				report, err := Backtest(a, recording, from, to, 0)
				if err != nil {
					t.Fatal(err)
				}
				return report.Pages
			}
		}
		return n
	}
	for _, key := range []string{"account put-failed", "event-rule latency", "events duplicates", "dynamodb throttles", "lambda throttles", "pipe throttled", "rest-api latency", "scheduler target-errors"} {
		if one, five := pages(1, key), pages(5, key); one != 0 || five != 7 {
			t.Errorf("%s: %d pages of a minute, %d of five", key, one, five)
		}
	}
}

// TestEachAlarmFiresAndKeepsQuiet: every alarm of every pack has values of its metrics
// that put it into ALARM, and values that do not.
func TestEachAlarmFiresAndKeepsQuiet(t *testing.T) {
	text, err := os.ReadFile("../testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, traffic := range []string{"burst", "steady"} {
		for _, profile := range []string{"basic", "full"} {
			s, err := alarms.Compile([]byte(strings.Replace(string(text), "profile: full", "profile: "+profile+"\ntraffic: "+traffic, 1)))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range s.Alarms {
				if state := settled(t, a, bad(t, a)); state != InAlarm {
					t.Errorf("%s, %s: %s where it should fire", traffic, a.Name, state)
				}
				if state := settled(t, a, good(t, a)); state != OK {
					t.Errorf("%s, %s: %s where all is well", traffic, a.Name, state)
				}
			}
		}
	}
}

// settled is the state of an alarm after a day of the values.
func settled(t *testing.T, a alarms.Alarm, values map[string]float64) State {
	t.Helper()
	a = a.Normalize()
	table, period := Table{}, int64(a.Period())
	end := int64(86_400*3 + 3600)
	for _, q := range a.Queries {
		if q.Stat == nil {
			continue
		}
		series := Series{}
		value, ok := values[q.Stat.Metric]
		if !ok {
			t.Fatalf("%s: no value for %s", a.Name, q.Stat.Metric)
		}
		for at := int64(0); at < end; at += period {
			series[at] = value
		}
		table[Key(*q.Stat)] = series
	}
	report, err := Backtest(a, table, time.Unix(0, 0), time.Unix(end, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	state := State("")
	for _, step := range report.Transitions {
		state = step.To
	}
	switch {
	case state != "":
		return state
	case report.InAlarm > 0:
		return InAlarm
	case report.NoData > 0:
		return Insufficient
	}
	return OK
}

// bad are values of a failing system, good those of a healthy one.
func bad(t *testing.T, a alarms.Alarm) map[string]float64 {
	t.Helper()
	values := map[string]float64{"Invocations": 100, "EventsPublished": 100, "EventsReceived": 100, "Duration": 100, "NumberOfMessagesDeleted": 0, "Count": 100, "IncomingRecords": 100, "EventsDelivered": 0}
	if a.Meta.Key == "not-invoked" {
		values["Invocations"] = 0
	}
	if a.Meta.Key == "duration" {
		values["Duration"] = 29_999
	}
	if a.Meta.Key == "blind" {
		values["Duration"] = 0
	}
	for _, s := range a.Stats() {
		if _, ok := values[s.Metric]; !ok {
			values[s.Metric] = 99
			if a.Threshold >= 99 {
				values[s.Metric] = a.Threshold + 1
			}
			if a.Comparison == alarms.Less {
				values[s.Metric] = 0
			}
		}
	}
	return values
}

func good(t *testing.T, a alarms.Alarm) map[string]float64 {
	t.Helper()
	values := map[string]float64{"Invocations": 100, "EventsPublished": 100, "EventsReceived": 100, "Duration": 100, "NumberOfMessagesDeleted": 50, "TriggeredRules": 1, "Count": 100, "IncomingRecords": 100,
		"InvocationAttemptCount": 1, "ExecutionsStarted": 1, "PublishEventsEntryCount": 1}
	for _, s := range a.Stats() {
		if _, ok := values[s.Metric]; !ok {
			values[s.Metric] = 0
		}
	}
	return values
}

// TestLongFunctions: a function that fails after its time-out is counted at the minute
// in which it began, which is long past when the datapoint comes: it must still be in
// the range that is looked at.
func TestLongFunctions(t *testing.T) {
	for _, timeout := range []string{"60s", "300s", "900s"} {
		s, err := alarms.Compile([]byte("name: o\nresources: [{kind: lambda, name: f, timeout: " + timeout + "}]"))
		if err != nil {
			t.Fatal(err)
		}
		late, err := time.ParseDuration(timeout)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Alarms {
			if !slices.Contains([]string{"errors", "errors-any", "duration"}, a.Meta.Key) {
				continue
			}
			// The first evaluation that can see the datapoint, and zeros of every minute since:
			// other invocations ended well.
			seen := slices.Repeat([]Mark{Good}, int(late/time.Minute)+1)
			seen[0] = Breach
			if state := RuleOf(a).Next(OK, seen); state != InAlarm {
				t.Errorf("%s of a function of %s: %s", a.Meta.Key, timeout, state)
			}
		}
	}
}

// TestLateDatapoints: FILL fills the two newest datapoints before they are published, and
// an alarm must fire all the same.
func TestLateDatapoints(t *testing.T) {
	text, err := os.ReadFile("../testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := 0
	for _, traffic := range []string{"burst", "steady"} {
		s, err := alarms.Compile([]byte(string(text) + "traffic: " + traffic + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Alarms {
			if !slices.ContainsFunc(a.Queries, func(q alarms.Query) bool { return strings.Contains(q.Expression, "FILL(") }) || a.Missing == alarms.Breaching {
				continue
			}
			filled++
			seen := append(slices.Repeat([]Mark{Breach}, a.Normalize().DatapointsToAlarm), Good, Good)
			if state := RuleOf(a).Next(OK, seen); state != InAlarm {
				t.Errorf("%s, %s: %s", traffic, a.Name, state)
			}
		}
	}
	if filled < 20 {
		t.Errorf("%d alarms fill", filled)
	}
}

// TestNotInvoked: a schedule that slips within its slack keeps the alarm quiet, a run that
// is left out makes it fire, and the next run ends it.
func TestNotInvoked(t *testing.T) {
	for _, tt := range []struct {
		every         string
		minutes       []int // at which it runs
		until, missed int   // minutes; 0 for none
	}{
		{"every: 24h", []int{600, 600 + 1440 + 59, 600 + 2*1440 - 59, 600 + 3*1440}, 600 + 4*1440, 0},
		{"every: 24h", []int{600, 600 + 1440, 600 + 3*1440, 600 + 4*1440}, 600 + 5*1440, 1},
		{"every: 24h, slack: 6h", []int{600, 600 + 1440 + 300, 600 + 2*1440}, 600 + 3*1440, 0},
		{"every: 15m", []int{0, 15, 30, 45, 69, 75, 90, 105, 120, 135, 150}, 160, 0},
		{"every: 15m", []int{0, 15, 30, 45, 90, 105, 120, 135, 150}, 160, 1},
	} {
		for _, kind := range []string{"lambda, name: f", "event-rule, name: f", "scheduler, name: f", "state-machine, arn: 'arn:aws:states:eu-west-1:1:stateMachine:f'"} {
			s, err := alarms.Compile([]byte("name: o\nresources: [{kind: " + kind + ", " + tt.every + "}]"))
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(s.Alarms, func(a alarms.Alarm) bool { return a.Missing == alarms.Breaching })
			a := s.Alarms[i]
			series := Series{}
			for _, minute := range tt.minutes {
				series[floor(int64(minute)*60, int64(a.Period()))]++
			}
			from, to := time.Unix(floor(int64(tt.minutes[0])*60, 3600), 0), time.Unix(int64(tt.until)*60, 0)
			report, err := Backtest(a, Table{Key(*a.Queries[0].Stat): series}, from, to, 0)
			if err != nil || report.Pages != tt.missed {
				t.Errorf("%s of %s at %v: %d pages, %v", a.Meta.Key, tt.every, tt.minutes, report.Pages, err)
			}
			if n := len(report.Transitions); tt.missed > 0 && n > 0 && report.Transitions[n-1].To != OK {
				t.Errorf("%s of %s: %v", a.Meta.Key, tt.every, report.Transitions)
			}
		}
	}
	// What would need more than CloudWatch's seven days is not there, and said.
	s, err := alarms.Compile([]byte("name: o\nresources: [{kind: lambda, name: f, every: 7d}]"))
	if err != nil || slices.ContainsFunc(s.Alarms, func(a alarms.Alarm) bool { return a.Meta.Key == "not-invoked" }) || !strings.Contains(fmt.Sprint(s.Notes), "no not-invoked alarm") {
		t.Errorf("%v, %v", s.Notes, err)
	}
}

func ExampleRecording() {
	recording, err := ReadRecording(strings.NewReader(`{"_aws":{"Timestamp":1790000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],"Metrics":[{"Name":"M"}]}]},"D":"d","M":[1,2]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	series, known := recording.Series(alarms.Stat{Namespace: "N", Metric: "M", Statistic: "Sum", Period: 60, Dimensions: []alarms.Dimension{{Name: "D", Value: "d"}}})
	fmt.Println(series, known)
	// Output: map[1789999980:3] true
}
