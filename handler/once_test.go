package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// fleet is environments of one function that share a store.
type fleet struct {
	store   dedupe.Memory
	handled int
	fails   error
	panics  bool
	out     strings.Builder
}

type order struct {
	Number int `json:"number"`
}

// deliver hands an event to an environment of its own.
func (f *fleet) deliver(t *testing.T, request, payload string, options ...Option) (answer string, panicked any, err error) {
	t.Helper()
	defer func() { panicked = recover() }()
	set := metrics.New(metrics.Config{Profile: metrics.Full})
	h := func(context.Context, any) (order, error) {
		f.handled++
		if f.panics {
			panic("boom")
		}
		return order{f.handled}, f.fails
	}
	options = append([]Option{
		WithTracing(tracing.Config{}), WithMetrics(set, &f.out), WithSuppression(),
		WithDedupe(dedupe.New(dedupe.Config{Store: &f.store, Wait: time.Second})),
	}, options...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: request})
	out, err := lambda.NewHandler(Wrap(h, options...)).Invoke(ctx, []byte(payload))
	return string(out), nil, err
}

const trade = `{"id":"env-1","detail-type":"RebalancePlanned","source":"s","time":"2026-11-23T20:45:00Z","detail":{"event_id":"plan-1","correlation_id":"w-1"}}`

func TestSuppression(t *testing.T) {
	var f fleet
	for i := range 3 {
		if out, _, err := f.deliver(t, fmt.Sprint("r-", i), trade); err != nil || out != `{"number":1}` {
			t.Errorf("delivery %d: %q, %v", i, out, err)
		}
	}
	if f.handled != 1 {
		t.Errorf("handled %d times", f.handled)
	}
	if n := strings.Count(f.out.String(), `"throughline":"repeat"`); n != 2 {
		t.Errorf("%d repeats are flagged:\n%s", n, f.out.String())
	}
	if n := strings.Count(f.out.String(), `"suppressed":true`); n != 2 {
		t.Errorf("%d are said to be suppressed:\n%s", n, f.out.String())
	}
	if n := strings.Count(f.out.String(), `"HandlerDurationMax":`); n != 1 {
		t.Errorf("%d handlings are measured:\n%s", n, f.out.String())
	}
}

func TestSuppressionWithoutAResult(t *testing.T) {
	f := fleet{}
	for i := range 2 {
		c := dedupe.New(dedupe.Config{Store: &f.store, KeepResult: -1})
		want := map[int]string{0: `{"number":1}`, 1: "null"}[i]
		if out, _, err := f.deliver(t, fmt.Sprint("r-", i), trade, WithDedupe(c)); err != nil || out != want {
			t.Errorf("delivery %d: %q, %v", i, out, err)
		}
	}
}

func TestSuppressionLetsGoOfWhatFailed(t *testing.T) {
	f := fleet{fails: errors.New("no such account")}
	if _, _, err := f.deliver(t, "r-1", trade); err == nil {
		t.Error("the failure is gone")
	}
	f.fails, f.panics = nil, true
	if _, panicked, err := f.deliver(t, "r-1", trade); panicked == nil && err == nil || f.handled != 2 {
		t.Errorf("handled %d times, panicked %v, %v", f.handled, panicked, err)
	}
	f.panics = false
	if out, _, err := f.deliver(t, "r-2", trade); err != nil || out != `{"number":3}` {
		t.Errorf("%q, %v", out, err)
	}
}

func TestSuppressionWhileAnotherHandles(t *testing.T) {
	var f fleet
	c := dedupe.New(dedupe.Config{Store: &f.store})
	d := dedupe.Delivery{
		Source: "s", EventType: "RebalancePlanned", EventID: "plan-1", EnvelopeID: "env-1", RequestID: "r-0", At: time.Now(),
		Digest: dedupe.Digest([]byte(`{"event_id":"plan-1","correlation_id":"w-1"}`)),
	}
	if k := c.Claim(t.Context(), d, time.Now().Add(time.Minute)); !k.Granted() {
		t.Fatal("not granted")
	}
	if _, _, err := f.deliver(t, "r-1", trade); !errors.Is(err, dedupe.ErrInProgress) && (err == nil || !strings.Contains(err.Error(), "delivered again")) || f.handled != 0 {
		t.Errorf("%v, handled %d times", err, f.handled)
	}
}

// TestSuppressionLeavesBatches: a batch's handler takes all of it or nothing.
func TestSuppressionLeavesBatches(t *testing.T) {
	var f fleet
	record := func(id string) string {
		return fmt.Sprintf(`{"messageId":%q,"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:q","attributes":{"ApproximateReceiveCount":"1"},"body":%q}`, id, strings.Replace(trade, "plan-1", id, 1))
	}
	batch := `{"Records":[` + record("plan-1") + `,` + record("plan-2") + `]}`
	for i := range 2 {
		if _, _, err := f.deliver(t, fmt.Sprint("r-", i), batch); err != nil || f.handled != i+1 {
			t.Errorf("delivery %d: %v, handled %d times", i, err, f.handled)
		}
	}
	if n := strings.Count(f.out.String(), `"throughline":"repeat"`); n != 2 {
		t.Errorf("%d repeats are flagged:\n%s", n, f.out.String())
	}
	// A partial failure of a batch of one is no success.
	failing := func(context.Context, any) (map[string]any, error) {
		f.handled++
		return map[string]any{"batchItemFailures": []any{map[string]string{"itemIdentifier": "plan-3"}}}, nil
	}
	c := dedupe.New(dedupe.Config{Store: &f.store})
	f.handled = 0
	for range 2 {
		h := lambda.NewHandler(Wrap(failing, WithSuppression(), WithDedupe(c)))
		if _, err := h.Invoke(t.Context(), []byte(`{"Records":[`+record("plan-3")+`]}`)); err != nil {
			t.Fatal(err)
		}
	}
	if f.handled != 2 {
		t.Errorf("a failed record was handled %d times", f.handled)
	}
}

func TestSuppressionWithoutAStoreHandlesEverything(t *testing.T) {
	var f fleet
	for i := range 2 {
		if _, _, err := f.deliver(t, fmt.Sprint("r-", i), trade, WithDedupe(dedupe.New(dedupe.Config{}))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := f.deliver(t, "r-3", trade, WithDedupe(nil)); err != nil || f.handled != 3 {
		t.Errorf("%v, handled %d times", err, f.handled)
	}
}
