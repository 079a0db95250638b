package cloudwatch

import (
	"testing"

	"github.com/throughline/throughline/alarms"
)

// TestHealthySystem: of a system in use in which nothing went wrong for two weeks,
// CloudWatch lists what shows activity and nothing else. No alarm of any pack is called
// dead by check or by drift for that, and each is known to have right dimensions.
func TestHealthySystem(t *testing.T) {
	s := set(t)
	activity := map[string]bool{ // by namespace and metric: what is there whenever the resource is used
		"AWS/Lambda Invocations": true, "AWS/Lambda ClaimedAccountConcurrency": true, "AWS/Events TriggeredRules": true, "AWS/Events PutEventsEntriesCount": true, "AWS/SQS NumberOfMessagesSent": true,
		"AWS/DynamoDB ConsumedReadCapacityUnits": true, "AWS/DynamoDB ConsumedWriteCapacityUnits": true, "AWS/DynamoDB SuccessfulRequestLatency": true, "AWS/Scheduler InvocationAttemptCount": true,
		"AWS/States ExecutionsStarted": true, "AWS/EventBridge/Pipes Invocations": true, "AWS/ApiGateway Count": true, "AWS/Kinesis IncomingRecords": true, "AWS/SNS NumberOfMessagesPublished": true,
		"AWS/EventsV2 PublishEventsEntryCount": true, "AWS/EventsV2 EventDeliveryAttempts": true, "Throughline Duration": true,
	}
	var api listed
	list := func(stat alarms.Stat) {
		if activity[stat.Namespace+" "+stat.Metric] {
			api = append(api, *metric(stat))
		}
	}
	for _, a := range s.Alarms {
		for _, stat := range a.Stats() {
			list(stat)
			if sibling, ok := alarms.Sibling(stat, s.Namespace); ok {
				list(sibling)
			}
		}
	}
	found, err := Check(t.Context(), api, s, newFake().pace())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if !e.Good() {
			t.Errorf("%s: %s of %v is %s: %s", e.Alarm, e.Stat.Metric, e.Stat.Dimensions, e.Verdict, e.Message)
		}
	}
	for name, api := range map[string]listed{"in use": api, "idle": {}} {
		f := newFake()
		apply(t, f, s)
		drift, err := Drift(t.Context(), f, api, nil, s, f.pace())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drift {
			if name == "in use" || d.Class != Dead || d.Name != "orders/account-concurrency" { // which an account with a function always has
				t.Errorf("%s: %s %s: %s", name, d.Class, d.Name, d.Detail)
			}
		}
	}
}
