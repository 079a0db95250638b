package publisher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/peertest"
	"github.com/throughline/throughline/publisher"
)

// scaled is a twentieth of n, or n with THROUGHLINE_SOAK=1.
func scaled(n int) int {
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		return n
	}
	return n / 20
}

// recorded are n entries of the sizes of the recorded events, each with an
// event ID of its own.
func recorded(t *testing.T, n int) []types.PutEventsRequestEntry {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/events/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded events: %v", err)
	}
	var list []types.PutEventsRequestEntry
	for i := range n {
		data, err := os.ReadFile(paths[i%len(paths)])
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Source, DetailType, Detail string }
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		detail := `{"event_id": "` + eventID(i) + `", ` + strings.TrimPrefix(strings.Replace(e.Detail, `"event_id"`, `"event_was"`, 1), "{")
		list = append(list, types.PutEventsRequestEntry{Source: &e.Source, DetailType: &e.DetailType, Detail: &detail, EventBusName: aws.String("trading")})
	}
	return list
}

func eventID(i int) string { return fmt.Sprintf("event-%06d", i) }

// idOf is the event ID that recorded gave a detail, which begins with it.
func idOf(detail string) string {
	_, rest, _ := strings.Cut(detail[:min(len(detail), 64)], `{"event_id": "`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// wire records the details of requests as their bytes left the client.
type wire struct {
	mu      sync.Mutex
	details map[string][]string // by event ID
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var request struct{ Entries []struct{ Detail string } }
	if json.Unmarshal(body, &request) == nil {
		w.mu.Lock()
		for _, e := range request.Entries {
			w.details[idOf(e.Detail)] = append(w.details[idOf(e.Detail)], e.Detail)
		}
		w.mu.Unlock()
	}
	return http.DefaultClient.Do(r)
}

func volumeClient(url string, w *wire) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: w, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 20
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			o.RateLimiter = noLimit{}
		}),
	})
}

type noLimit struct{}

func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noLimit) AddTokens(uint) error { return nil }

// check compares what was reported with what was on the wire and what arrived,
// both by event ID.
func check(t *testing.T, input []types.PutEventsRequestEntry, output *eventbridge.PutEventsOutput, from int, w *wire, arrived map[string]bool) {
	t.Helper()
	if len(output.Entries) != len(input) {
		t.Fatalf("%d results of %d entries", len(output.Entries), len(input))
	}
	for i := range input {
		id, result := eventID(from+i), output.Entries[i]
		if result.ErrorCode != nil || aws.ToString(result.EventId) == "" {
			t.Errorf("%s failed: %s %s", id, aws.ToString(result.ErrorCode), aws.ToString(result.ErrorMessage))
		}
		if !arrived[id] {
			t.Errorf("%s was reported as %s and did not arrive", id, aws.ToString(result.EventId))
		}
		if len(w.details[id]) == 0 {
			t.Errorf("%s was not on the wire", id)
		}
		for _, detail := range w.details[id] {
			if detail != *input[i].Detail {
				t.Errorf("the detail of %s changed on the wire", id)
			}
		}
	}
}

// TestVolumeAgainstMoto publishes to moto's EventBridge, whose rule has an SQS target.
func TestVolumeAgainstMoto(t *testing.T) {
	url := peertest.MotoAccount(t)
	w := &wire{details: map[string][]string{}}
	client := volumeClient(url, w)
	queues := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")})
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("volume"), Attributes: map[string]string{"MaximumMessageSize": "1048576"}})
	if err != nil {
		queue, err = queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("volume")})
	}
	must(t, err)
	attributes, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	must(t, err)
	_, err = client.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("trading")})
	must(t, err)
	_, err = client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventBusName: aws.String("trading"), EventPattern: aws.String(`{"source":[{"prefix":""}]}`)})
	must(t, err)
	_, err = client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), EventBusName: aws.String("trading"), Targets: []types.Target{{Id: aws.String("q"), Arn: aws.String(attributes.Attributes["QueueArn"])}}})
	must(t, err)

	input := recorded(t, scaled(500))
	output, err := publisher.New(client, publisher.WithRetries(publisher.Retries{})).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: input})
	must(t, err)
	arrived := map[string]bool{}
	for range 2 * len(input) {
		got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
		must(t, err)
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			var envelope struct {
				Detail struct {
					ID string `json:"event_id"`
				}
			}
			must(t, json.Unmarshal([]byte(aws.ToString(m.Body)), &envelope))
			arrived[envelope.Detail.ID] = true
		}
	}
	check(t, input, output, 0, w, arrived)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sink is a target that remembers what arrived.
type sink struct {
	mu      sync.Mutex
	arrived map[string]bool
}

func (*sink) Name() string { return "sink" }

func (s *sink) Deliver(_ context.Context, m buslocal.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived[idOf(m.Event.Detail)] = true
	return nil
}

// TestVolumeThroughFaults publishes from several goroutines to a bus that
// throttles, fails entries and cuts connections after it took them.
func TestVolumeThroughFaults(t *testing.T) {
	bus := buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	t.Cleanup(bus.Close)
	url, err := bus.Start()
	must(t, err)
	target := &sink{arrived: map[string]bool{}}
	must(t, bus.AddRule(buslocal.Rule{Name: "all", Bus: "trading", Targets: []buslocal.RuleTarget{{Target: target}}}))
	w := &wire{details: map[string][]string{}}
	p := publisher.New(volumeClient(url, w), publisher.WithRetries(publisher.Retries{Attempts: 20, Base: time.Millisecond, Most: 4 * time.Millisecond}))

	n := scaled(10_000)
	input := recorded(t, n)
	const workers, perCall = 4, 37
	outputs := make([]*eventbridge.PutEventsOutput, (n+perCall-1)/perCall)
	calls := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for call := range calls {
				from := call * perCall
				output, err := p.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: input[from:min(from+perCall, n)]})
				if err != nil {
					t.Errorf("call %d: %v", call, err)
				}
				outputs[call] = output
			}
		})
	}
	for call := range outputs {
		calls <- call
		switch call % 4 {
		case 1:
			bus.Throttle(2)
		case 2:
			bus.FailEntries([]string{"InternalFailure", "ThrottlingException"}[call/4%2], 7)
		case 3:
			bus.Cut(1)
		}
	}
	close(calls)
	wg.Wait()
	if t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, bus.Wait(ctx))
	ledger := bus.Ledger()
	published := map[string]string{} // the bus's ID to ours
	for _, e := range ledger.Published {
		published[e.ID] = idOf(e.Detail)
	}
	for call, output := range outputs {
		from := call * perCall
		part := input[from:min(from+perCall, n)]
		check(t, part, output, from, w, target.arrived)
		for i, e := range output.Entries {
			if got := published[aws.ToString(e.EventId)]; got != eventID(from+i) {
				t.Errorf("the result of %s names the event of %q", eventID(from+i), got)
			}
		}
	}
	if ledger.Refused == 0 || len(ledger.Published) <= n {
		t.Errorf("the bus refused %d entries and took %d of %d: nothing went wrong on purpose", ledger.Refused, len(ledger.Published), n)
	}
}

// TestNothingFailedIsReportedDelivered: without retries what the bus did not
// take is in the results, and only that.
func TestNothingFailedIsReportedDelivered(t *testing.T) {
	bus := buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	t.Cleanup(bus.Close)
	url, err := bus.Start()
	must(t, err)
	client := eventbridge.New(eventbridge.Options{Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")})
	p := publisher.New(client)
	input := recorded(t, scaled(2_000))
	reported := map[string]bool{}
	for from := 0; from < len(input); from += 25 {
		switch from / 25 % 3 {
		case 1:
			bus.Throttle(1)
		case 2:
			bus.FailEntries("InternalFailure", 12)
		}
		part := input[from:min(from+25, len(input))]
		output, err := p.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: part})
		must(t, err)
		failed := int32(0)
		for i, e := range output.Entries {
			if e.ErrorCode != nil {
				failed++
			} else {
				reported[eventID(from+i)] = true
			}
		}
		if failed != output.FailedEntryCount {
			t.Errorf("%d failed, %d said", failed, output.FailedEntryCount)
		}
	}
	taken := map[string]bool{}
	for _, e := range bus.Ledger().Published {
		taken[idOf(e.Detail)] = true
	}
	if len(reported) == len(input) || len(reported) == 0 {
		t.Errorf("%d of %d were reported", len(reported), len(input))
	}
	for i := range input {
		if id := eventID(i); reported[id] != taken[id] {
			t.Errorf("%s: reported %v, taken %v", id, reported[id], taken[id])
		}
	}
}
