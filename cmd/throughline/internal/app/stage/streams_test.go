package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/lambdalocal"
)

// TestBoundsOfAStream: a batch that fails is tried again as its mapping says, and what is
// given up is told to its destination. 3 is the record that always fails.
func TestBoundsOfAStream(t *testing.T) {
	none := plan.Mapping{Retries: -1, MaxAge: -time.Second}
	mapping := func(change func(*plan.Mapping)) plan.Mapping { m := none; change(&m); return m }
	for name, c := range map[string]struct {
		mapping  plan.Mapping
		attempts int           // of a check
		takes    time.Duration // an invocation, by the application's clock
		names    string        // the item identifier that the function returns
		calls    string        // the numbers of the records that the function was invoked with
		gaveUp   []string
	}{
		"NoBound":     {none, 0, 0, "", "1234 1234 1234", []string{"1-4 RetryAttemptsExhausted 3"}},
		"NoRetry":     {mapping(func(m *plan.Mapping) { m.Retries = 0 }), 0, 0, "", "1234", []string{"1-4 RetryAttemptsExhausted 1"}},
		"OneRetry":    {mapping(func(m *plan.Mapping) { m.Retries = 1 }), 0, 0, "", "1234 1234", []string{"1-4 RetryAttemptsExhausted 2"}},
		"Bisect":      {mapping(func(m *plan.Mapping) { m.Retries, m.Bisect = 1, true }), 0, 0, "", "1234 12 34 3 3 4", []string{"3-3 RetryAttemptsExhausted 2"}},
		"BisectAlone": {mapping(func(m *plan.Mapping) { m.Bisect = true }), 0, 0, "", "1234 12 34 3 3 3 4", []string{"3-3 RetryAttemptsExhausted 3"}},
		"Named":       {mapping(func(m *plan.Mapping) { m.Retries, m.Failures = 1, true }), 0, 0, "3", "1234 34", []string{"3-4 RetryAttemptsExhausted 2"}},
		"NamedWrong":  {mapping(func(m *plan.Mapping) { m.Retries, m.Failures = 1, true }), 0, 0, "c-3", "1234 1234", []string{"1-4 RetryAttemptsExhausted 2"}},
		"Age":         {mapping(func(m *plan.Mapping) { m.MaxAge = time.Minute }), 0, 25 * time.Second, "", "1234 1234 1234", []string{"1-4 RecordAgeExceeded 3"}},
		"AgeFirst":    {mapping(func(m *plan.Mapping) { m.MaxAge, m.Retries = time.Minute, 9 }), 0, 61 * time.Second, "", "1234", []string{"1-4 RecordAgeExceeded 1"}},
		"RetriesFirst": {mapping(func(m *plan.Mapping) { m.MaxAge, m.Retries = time.Hour, 1 }), 0, time.Minute, "", "1234 1234",
			[]string{"1-4 RetryAttemptsExhausted 2"}},
		"AgeOfHalves": {mapping(func(m *plan.Mapping) { m.MaxAge, m.Bisect = time.Minute, true }), 0, 25 * time.Second, "", "1234 12 34", []string{"3-3 RecordAgeExceeded 0", "4-4 RecordAgeExceeded 0"}},
		"Check":       {mapping(func(m *plan.Mapping) { m.MaxAge = time.Hour }), 2, 0, "", "1234 1234", []string{"1-4 RetryAttemptsExhausted 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			times := clock.New(time.Now(), 0)
			var calls, gaveUp []string
			r := &stream{stage: &Stage{options: Options{Clock: times, Attempts: c.attempts}}, mapping: c.mapping, told: "arn:stream"}
			r.call = func(_ context.Context, records []any) (lambdalocal.Result, error) {
				call := ""
				for _, record := range records {
					call += numberOf(record)
				}
				calls = append(calls, call)
				times.Advance(c.takes)
				switch {
				case !strings.Contains(call, "3"):
					return lambdalocal.Result{}, nil
				case c.names != "":
					return lambdalocal.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"` + c.names + `"}]}`)}, nil
				}
				return lambdalocal.Result{FunctionError: "Unhandled", ExecutedVersion: "$LATEST"}, nil
			}
			r.onFailure = func(_, condition string, record []byte) {
				var of struct {
					RequestContext struct {
						Condition              string
						ApproximateInvokeCount int
					}
					Info struct {
						ShardID, StartSequenceNumber, EndSequenceNumber, StreamARN string
						BatchSize                                                  int
					} `json:"DDBStreamBatchInfo"`
				}
				if err := json.Unmarshal(record, &of); err != nil || of.RequestContext.Condition != condition || of.Info.ShardID != "shard" || of.Info.StreamARN != "arn:stream" {
					t.Errorf("%v %s", err, record)
				}
				gaveUp = append(gaveUp, fmt.Sprintf("%s-%s %s %d", of.Info.StartSequenceNumber, of.Info.EndSequenceNumber, condition, of.RequestContext.ApproximateInvokeCount))
			}
			var records []map[string]any
			for n := range 4 {
				records = append(records, map[string]any{"dynamodb": map[string]any{"SequenceNumber": fmt.Sprint(n + 1)}})
			}
			r.hand(t.Context(), "shard", records)
			if got := strings.Join(calls, " "); got != c.calls || !slices.Equal(gaveUp, c.gaveUp) {
				t.Errorf("it was invoked with %s, and %q were given up", got, gaveUp)
			}
		})
	}
}

// TestAStreamEndsWithItsStage: a batch that is being tried again is left.
func TestAStreamEndsWithItsStage(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r := &stream{stage: &Stage{}, mapping: plan.Mapping{Retries: 1_000_000}}
	calls := 0
	r.call = func(context.Context, []any) (lambdalocal.Result, error) {
		if calls++; calls == 4 {
			stop()
		}
		return lambdalocal.Result{}, errors.New("not now")
	}
	r.hand(ctx, "shard", []map[string]any{{}})
	if calls != 4 {
		t.Errorf("it was invoked %d times", calls)
	}
}
