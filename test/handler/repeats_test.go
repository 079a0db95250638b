package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/dedupe/dynamo"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

// checker is that of a function whose environments share a table in moto.
func checker(client *http.Client) *dedupe.Checker {
	store, err := dynamo.New(dynamo.Config{
		Table: os.Getenv("TEST_TABLE"), Region: "us-east-1", Endpoint: os.Getenv("TEST_MOTO"), Client: client,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", ""),
	})
	if err != nil {
		panic(err)
	}
	return dedupe.New(dedupe.Config{Store: store, Wait: 10 * time.Second, Patience: 10 * time.Second, Warn: func(m string) { fmt.Println("warned:", m) }})
}

// sharing is the function's side: it fails where its event says so.
func sharing(set *metrics.Set) any {
	h := func(_ context.Context, payload json.RawMessage) error {
		if bytes.Contains(payload, []byte(`fails-now`)) {
			return errors.New("failed")
		}
		return nil
	}
	return handler.Wrap(h, handler.WithTracing(configuration), handler.WithMetrics(set, os.Stdout), handler.WithDedupe(checker(nil)))
}

// flagged is what a log line says of a repeat.
type flagged struct {
	Throughline    string    `json:"throughline"`
	Kind           string    `json:"kind"`
	EventID        string    `json:"event_id"`
	FirstRequestID string    `json:"first_request_id"`
	FirstTime      time.Time `json:"first_time"`
	Count          int       `json:"count"`
}

// TestRepeatsOverProcesses delivers 20 000 times (a twentieth by default) to the
// processes of a function that share a table in moto, and holds the lines that
// they write to what was done.
func TestRepeatsOverProcesses(t *testing.T) {
	url := peertest.Moto(t)
	table := peertest.MotoTable(t, url, "repeats", "pk")
	deliveries := 20_000
	if os.Getenv("THROUGHLINE_SOAK") != "1" {
		deliveries /= 20
	}
	var mu sync.Mutex
	got, want := map[string]string{}, map[string]string{}
	places := map[string]bool{}
	d := startLogging(t, "repeats", false, func(line lambdalocal.LogLine) {
		var f flagged
		if strings.HasPrefix(line.Text, "warned:") {
			t.Error(line.Text)
		}
		if json.Unmarshal([]byte(line.Text), &f) != nil || f.Throughline != "repeat" {
			return
		}
		if f.FirstTime.IsZero() {
			t.Errorf("no first time in %s", line.Text)
		}
		mu.Lock()
		defer mu.Unlock()
		got[fmt.Sprint(f.EventID, " ", f.Count)] = f.Kind + " of " + f.FirstRequestID
		places[line.Environment] = true
	}, func(f *lambdalocal.Function) {
		f.MaxEnvironments = 6
		f.Env["TEST_MOTO"], f.Env["TEST_TABLE"] = url, table
	})
	const each = 5 // deliveries of an event
	var drivers sync.WaitGroup
	for driver := range 6 {
		drivers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(driver), 20_000))
			for n := driver; n < deliveries/each; n += 6 {
				for key, kind := range course(t, d, random, n, each) {
					mu.Lock()
					want[key] = kind
					mu.Unlock()
				}
			}
		})
	}
	drivers.Wait()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		all := len(got) >= len(want)
		mu.Unlock()
		if all { // lines may come after the answer
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !maps.Equal(got, want) {
		for key, kind := range want {
			if got[key] != kind {
				t.Errorf("%s: told as %q, was %q", key, got[key], kind)
			}
		}
		for key, kind := range got {
			if want[key] == "" {
				t.Errorf("%s: told as %q, and is new", key, kind)
			}
		}
	}
	if len(places) < 3 {
		t.Errorf("only %d environments told of repeats", len(places))
	}
}

// course delivers an event and repeats it, and returns what is true of each repeat.
func course(t *testing.T, d *lambdalocal.Deployment, random *rand.Rand, n, times int) map[string]string {
	truth := map[string]string{}
	id, envelope, request := fmt.Sprint("event-", n), fmt.Sprint("env-", n), fmt.Sprint("request-", n, "-0")
	failed := map[string]bool{} // by envelope
	first := request
	for i := range times {
		kind, replay, receives := "", "", 0
		if i > 0 {
			kind = "redelivery"
			switch random.IntN(5) {
			case 0:
				kind = "retry" // the same request
			case 1:
				kind, receives, request = "retry", 2, fmt.Sprint("request-", n, "-", i)
			case 2:
				kind, envelope, request = "republish", fmt.Sprint("env-", n, "-", i), fmt.Sprint("request-", n, "-", i)
			case 3:
				kind, replay, request = "replay", "monday", fmt.Sprint("request-", n, "-", i)
			default:
				if request = fmt.Sprint("request-", n, "-", i); failed[envelope] {
					kind = "retry"
				}
			}
		}
		failed[envelope] = random.IntN(3) == 0
		payload := repeatable(id, envelope, replay, receives, failed[envelope])
		result, err := d.Invoke(t.Context(), payload, lambdalocal.InvokeOptions{RequestID: request, Wait: true})
		if err != nil || (result.FunctionError != "") != failed[envelope] {
			t.Errorf("%s: %v %s", id, err, result.Payload)
		}
		if i > 0 {
			truth[fmt.Sprint(id, " ", i)] = kind + " of " + first
		}
	}
	return truth
}

// repeatable is an event, in a queue's message where it was received more than once.
func repeatable(id, envelope, replay string, receives int, fails bool) []byte {
	name, outcome := "", "works"
	if replay != "" {
		name = fmt.Sprintf(`"replay-name":%q,`, replay)
	}
	if fails {
		outcome = "fails-now"
	}
	event := fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"Signal","source":"s","time":"2026-11-23T20:45:00Z",%s"account":%q,"resources":[],"detail":{"event_id":%q}}`, envelope, name, outcome, id)
	if receives == 0 {
		return []byte(event)
	}
	return fmt.Appendf(nil, `{"Records":[{"messageId":"m-%s","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:q","attributes":{"ApproximateReceiveCount":"%d"},"body":%q}]}`, id, receives, event)
}
