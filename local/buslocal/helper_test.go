package buslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a target that keeps what it is handed.
type recorder struct {
	name string
	mu   sync.Mutex
	got  []Message
	fail func(n int) error // by number of the attempt, from 1; nil: never
}

func (t *recorder) Name() string { return t.name }

func (t *recorder) Deliver(_ context.Context, m Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = append(t.got, m)
	if t.fail != nil {
		return t.fail(len(t.got))
	}
	return nil
}

func (t *recorder) messages() []Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Message(nil), t.got...)
}

var errTarget = errors.New("target is down")

// start returns a running bus with one rule that sends everything to target.
func start(t *testing.T, o Options, targets ...RuleTarget) (*Bus, string) {
	t.Helper()
	o.Buses = append(o.Buses, "trading")
	b := New(o)
	t.Cleanup(b.Close)
	url, err := b.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddRule(Rule{Name: "all", Targets: targets}); err != nil {
		t.Fatal(err)
	}
	return b, url
}

func settle(t *testing.T, b *Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// answer is what PutEvents returned.
type answer struct {
	Status           int
	FailedEntryCount int
	Entries          []struct{ EventId, ErrorCode, ErrorMessage string }
	Type             string `json:"__type"`
	Message          string
}

func put(t *testing.T, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return answer{Message: err.Error()}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: resp.StatusCode}
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return a
}

// body is a PutEvents request of one entry, with more of its members as JSON.
func body(detail string, more ...string) string {
	quoted, _ := json.Marshal(detail)
	extra := ""
	for _, m := range more {
		extra += "," + m
	}
	return fmt.Sprintf(`{"Entries":[{"Source":"alchemiser.strategy","DetailType":"SignalGenerated","Detail":%s%s}]}`, quoted, extra)
}
