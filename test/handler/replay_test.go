package handler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

// TestReplayedDay archives a day in EventBridge (moto), replays it and hands
// what a queue was delivered to environments of a function: each event is
// flagged as a replay where it was seen, and only counted as replayed where it
// was not. moto gives replayed events a new id, and AWS is said to keep it.
func TestReplayedDay(t *testing.T) {
	url := peertest.Moto(t)
	name := fmt.Sprint("replayed-day-", time.Now().UnixNano()) // moto keeps what an earlier run made
	call := func(target string, in map[string]any) map[string]any { return peertest.MotoCall(t, url, target, in) }
	queue := call("AmazonSQS.CreateQueue", map[string]any{"QueueName": name})["QueueUrl"]
	call("AWSEvents.PutRule", map[string]any{"Name": name, "EventPattern": `{"source":["` + name + `"]}`})
	call("AWSEvents.PutTargets", map[string]any{"Rule": name, "Targets": []any{map[string]any{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:" + name}}})
	bus := "arn:aws:events:us-east-1:123456789012:event-bus/default"
	archive := call("AWSEvents.CreateArchive", map[string]any{"ArchiveName": name, "EventSourceArn": bus, "EventPattern": `{"source":["` + name + `"]}`})["ArchiveArn"]
	day := 10
	if os.Getenv("THROUGHLINE_SOAK") == "1" { // moto takes a quarter of a second for an event
		day = 200
	}
	for i := range day {
		call("AWSEvents.PutEvents", map[string]any{"Entries": []any{map[string]any{"Source": name, "DetailType": "SignalGenerated", "Detail": fmt.Sprintf(`{"event_id":"signal-%d"}`, i)}}})
	}
	published := received(t, url, queue)
	call("AWSEvents.StartReplay", map[string]any{
		"ReplayName": name, "EventSourceArn": archive, "EventStartTime": 0, "EventEndTime": time.Now().Add(time.Hour).Unix(), "Destination": map[string]any{"Arn": bus},
	})
	replayed := received(t, url, queue)
	if len(published) != day || len(replayed) != day {
		t.Fatalf("%d published, %d replayed", len(published), len(replayed))
	}
	for _, keepsID := range []bool{false, true} {
		t.Run(fmt.Sprint("KeepsID=", keepsID), func(t *testing.T) {
			t.Setenv("TEST_MOTO", url)
			t.Setenv("TEST_TABLE", peertest.MotoTable(t, url, "replays", "pk"))
			var log strings.Builder
			handle := func(payload string) { // in an environment of its own
				set := metrics.New(metrics.Config{Service: "portfolio"})
				h := lambda.NewHandler(handler.Wrap(func() {}, handler.WithTracing(configuration), handler.WithMetrics(set, &log), handler.WithDedupe(checker(nil))))
				if _, err := h.Invoke(t.Context(), []byte(payload)); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]bool{}
			for i := range day / 2 { // the other half was never handled
				id := fmt.Sprint("signal-", i)
				handle(published[id].payload)
				want[id] = true
			}
			log.Reset()
			for id, r := range replayed {
				if r.envelope == published[id].envelope {
					t.Fatalf("moto keeps the id now: %s", r.payload)
				}
				payload := r.payload
				if keepsID {
					payload = strings.Replace(payload, r.envelope, published[id].envelope, 1)
				}
				handle(payload)
			}
			flagged, counted := map[string]bool{}, map[string]float64{}
			for line := range strings.Lines(log.String()) {
				var l map[string]any
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				if l["throughline"] == "repeat" && l["kind"] == "replay" {
					flagged[fmt.Sprint(l["event_id"])] = true
				}
				for _, name := range []string{"DuplicateEvents", "DuplicateEvents_replay", "DuplicateEvents_unknown", "ReplayedEvents"} {
					n, _ := l[name].(float64)
					counted[name] += n
				}
			}
			if !maps.Equal(flagged, want) {
				t.Errorf("flagged %v, want %v", flagged, want)
			}
			seen, all := float64(day/2), float64(day)
			if !maps.Equal(counted, map[string]float64{"DuplicateEvents": seen, "DuplicateEvents_replay": seen, "DuplicateEvents_unknown": 0, "ReplayedEvents": all}) {
				t.Errorf("counted %v", counted)
			}
		})
	}
}

// delivered is an event as EventBridge delivered it.
type delivered struct{ envelope, payload string }

// received takes what the queue holds, by event ID.
func received(t *testing.T, url string, queue any) map[string]delivered {
	t.Helper()
	all := map[string]delivered{}
	for {
		out := peertest.MotoCall(t, url, "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0})
		batch, _ := out["Messages"].([]any)
		if len(batch) == 0 {
			return all
		}
		for _, m := range batch {
			fields, _ := m.(map[string]any)
			body := fmt.Sprint(fields["Body"])
			var e struct {
				ID     string
				Detail struct {
					EventID string `json:"event_id"`
				}
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatal(err)
			}
			all[e.Detail.EventID] = delivered{e.ID, body}
			peertest.MotoCall(t, url, "AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": queue, "ReceiptHandle": fields["ReceiptHandle"]})
		}
	}
}
