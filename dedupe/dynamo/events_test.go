package dynamo

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/peertest"
)

// TestEventsOverMoto delivers 5 000 events (a twentieth by default) to five
// environments, each once new and once again in a known way elsewhere.
func TestEventsOverMoto(t *testing.T) {
	url := peertest.Moto(t)
	name := createTable(t, url, "events", "pk")
	events := 5000
	if os.Getenv("THROUGHLINE_SOAK") != "1" {
		events /= 20
	}
	var environments []*dedupe.Checker
	for range 5 {
		environments = append(environments, dedupe.New(dedupe.Config{Store: table(t, url, name), Wait: 30 * time.Second, Patience: 30 * time.Second, Warn: func(m string) { t.Error(m) }}))
	}
	repeats := []struct {
		kind   dedupe.Kind
		failed bool // the first handling
		change func(*dedupe.Delivery)
	}{
		{dedupe.Retry, true, func(d *dedupe.Delivery) {}},
		{dedupe.Retry, false, func(d *dedupe.Delivery) { d.ReceiveCount = 2 }},
		{dedupe.Retry, false, func(d *dedupe.Delivery) { d.RequestID = "r-first-" + d.EventID }},
		{dedupe.Redelivery, false, func(d *dedupe.Delivery) {}},
		{dedupe.Republish, false, func(d *dedupe.Delivery) { d.EnvelopeID += "-again" }},
		{dedupe.Replay, false, func(d *dedupe.Delivery) { d.ReplayName = "monday" }},
	}
	deliver := func(i int, d dedupe.Delivery, failed bool) dedupe.Verdict {
		p := environments[i%len(environments)].Start(t.Context(), []dedupe.Delivery{d})
		v := p.Verdicts(t.Context())[0]
		p.Done(t.Context(), failed)
		return v
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < events; i += 4 {
				r := repeats[i%len(repeats)]
				d := dedupe.Delivery{Consumer: "portfolio", EventType: "SignalGenerated", EventID: fmt.Sprint("signal-", i), EnvelopeID: fmt.Sprint("env-", i), RequestID: fmt.Sprint("r-first-signal-", i), At: at, Traceparent: fmt.Sprint("tp-", i)}
				if v := deliver(i, d, r.failed); v != (dedupe.Verdict{}) {
					t.Errorf("event %d is new: %+v", i, v)
				}
				again := d
				again.RequestID, again.At, again.Traceparent = fmt.Sprint("r-second-", i), at.Add(time.Minute), "tp-second"
				r.change(&again)
				v := deliver(i+1, again, false)
				if v.Kind != r.kind || v.Count != 1 || !v.FirstAt.Equal(at) || v.FirstRequestID != d.RequestID || v.FirstTraceparent != d.Traceparent {
					t.Errorf("event %d, want %s: %+v", i, r.kind, v)
				}
				again.At, again.RequestID = at.Add(2*time.Minute), fmt.Sprint("r-third-", i)
				again.ReceiveCount, again.ReplayName = 0, ""
				if v := deliver(i+2, again, false); v.Kind != dedupe.Redelivery || v.Count != 2 {
					t.Errorf("event %d, third: %+v", i, v)
				}
			}
		})
	}
	wg.Wait()
}

// TestReplayedDay archives a day in EventBridge (moto), replays it and reads
// what a queue was delivered: moto gives replayed events a new id, and AWS is
// said to keep it; both are told to the checker.
func TestReplayedDay(t *testing.T) {
	url := peertest.Moto(t)
	name, consumer := createTable(t, url, "replays", "pk"), unique("portfolio")
	queue := motoCall(t, url, "AmazonSQS.CreateQueue", map[string]any{"QueueName": consumer})["QueueUrl"]
	motoCall(t, url, "AWSEvents.PutRule", map[string]any{"Name": consumer, "EventPattern": fmt.Sprintf(`{"source":[%q]}`, consumer)})
	motoCall(t, url, "AWSEvents.PutTargets", map[string]any{"Rule": consumer, "Targets": []any{map[string]any{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:" + consumer}}})
	bus := "arn:aws:events:us-east-1:123456789012:event-bus/default"
	archive := motoCall(t, url, "AWSEvents.CreateArchive", map[string]any{"ArchiveName": consumer, "EventSourceArn": bus, "EventPattern": fmt.Sprintf(`{"source":[%q]}`, consumer)})["ArchiveArn"]
	day := 10
	if os.Getenv("THROUGHLINE_SOAK") == "1" { // moto takes a quarter of a second for an event
		day = 200
	}
	var entries []any
	for i := range day {
		entries = append(entries, map[string]any{"Source": consumer, "DetailType": "SignalGenerated", "Detail": fmt.Sprintf(`{"event_id":"signal-%d"}`, i)})
		if len(entries) == 10 {
			motoCall(t, url, "AWSEvents.PutEvents", map[string]any{"Entries": entries})
			entries = nil
		}
	}
	published := receive(t, url, queue)
	motoCall(t, url, "AWSEvents.StartReplay", map[string]any{
		"ReplayName": consumer, "EventSourceArn": archive, "EventStartTime": 0, "EventEndTime": time.Now().Add(time.Hour).Unix(), "Destination": map[string]any{"Arn": bus},
	})
	replayed := receive(t, url, queue)
	if len(published) != day || len(replayed) != day {
		t.Fatalf("%d published, %d replayed", len(published), len(replayed))
	}
	for _, keepsID := range []bool{false, true} {
		t.Run(fmt.Sprint("KeepsID=", keepsID), func(t *testing.T) {
			deliver := func(e message, envelope string) dedupe.Verdict {
				c := dedupe.New(dedupe.Config{Store: table(t, url, name), Wait: 10 * time.Second}) // each in an environment of its own
				p := c.Start(t.Context(), []dedupe.Delivery{{
					Consumer: fmt.Sprint("portfolio-", keepsID), EventType: "SignalGenerated", EventID: e.Detail.EventID, EnvelopeID: envelope, ReplayName: e.Replay, RequestID: fmt.Sprint("r-", e.ID), At: at,
				}})
				defer p.Done(t.Context(), false)
				return p.Verdicts(t.Context())[0]
			}
			seen := day / 2 // the other half was never handled
			again := map[string]message{}
			for _, r := range replayed {
				again[r.Detail.EventID] = r
			}
			for i, e := range published {
				if i < seen {
					deliver(e, e.ID)
				}
			}
			for i, e := range published {
				r := again[e.Detail.EventID]
				if r.Replay != consumer || r.ID == e.ID {
					t.Fatalf("moto replays otherwise: %+v", r)
				}
				envelope := r.ID
				if keepsID {
					envelope = e.ID
				}
				want := dedupe.Kind("")
				if i < seen {
					want = dedupe.Replay
				}
				if v := deliver(r, envelope); v.Kind != want || v.Unknown {
					t.Errorf("%s: %+v, want %q", e.Detail.EventID, v, want)
				}
			}
		})
	}
}

type message struct {
	ID     string `json:"id"`
	Replay string `json:"replay-name"`
	Detail struct {
		EventID string `json:"event_id"`
	} `json:"detail"`
}

// receive takes what the queue holds.
func receive(t *testing.T, url string, queue any) (list []message) {
	t.Helper()
	for {
		out := motoCall(t, url, "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0})
		batch, _ := out["Messages"].([]any)
		if len(batch) == 0 {
			return list
		}
		for _, m := range batch {
			fields, _ := m.(map[string]any)
			var e message
			if err := json.Unmarshal([]byte(fmt.Sprint(fields["Body"])), &e); err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
			motoCall(t, url, "AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": queue, "ReceiptHandle": fields["ReceiptHandle"]})
		}
	}
}
