package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// script answers each call with the codes that are scripted for its entries, by
// event type and attempt; an empty code is a success.
type script struct {
	codes   map[string][]string
	fail    map[int]error // of the n-th call, from 1
	calls   [][]string    // the types of each
	details map[string]string
}

func (s *script) PutEvents(_ context.Context, input *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	var names []string
	output := &eventbridge.PutEventsOutput{}
	for _, e := range input.Entries {
		name := *e.DetailType
		names = append(names, name)
		code := ""
		if left := s.codes[name]; len(left) > 0 {
			code, s.codes[name] = left[0], left[1:]
		}
		if s.details != nil {
			s.details[name] = *e.Detail
		}
		if code == "" {
			output.Entries = append(output.Entries, types.PutEventsResultEntry{EventId: aws.String("id-" + name)})
			continue
		}
		output.FailedEntryCount++
		output.Entries = append(output.Entries, types.PutEventsResultEntry{ErrorCode: aws.String(code), ErrorMessage: aws.String("on purpose")})
	}
	s.calls = append(s.calls, names)
	if err := s.fail[len(s.calls)]; err != nil {
		return nil, err
	}
	return output, nil
}

func entries(names ...string) *eventbridge.PutEventsInput {
	input := &eventbridge.PutEventsInput{}
	for _, name := range names {
		input.Entries = append(input.Entries, entry(name, `{}`))
	}
	return input
}

func outcome(output *eventbridge.PutEventsOutput) string {
	text := fmt.Sprint(output.FailedEntryCount)
	for _, e := range output.Entries {
		text += " " + aws.ToString(e.EventId) + aws.ToString(e.ErrorCode)
	}
	return text
}

func TestRetries(t *testing.T) {
	all := []string{"A", "B", "C", "D"}
	for _, tt := range []struct {
		name        string
		codes       map[string][]string
		fail        map[int]error
		want, calls string
	}{
		{"NothingFails", nil, nil, "0 id-A id-B id-C id-D", "[[A B C D]]"},
		{"OnlyTheRetryableAreSentAgain", map[string][]string{"A": {"MalformedDetail"}, "B": {"ThrottlingException", "InternalFailure"}, "D": {"InternalException"}}, nil,
			"1 MalformedDetail id-B id-C id-D", "[[A B C D] [B D] [B]]"},
		{"GivenUpAfterThreeAttempts", map[string][]string{"C": {"InternalFailure", "InternalFailure", "ThrottlingException", "never asked"}}, nil,
			"1 id-A id-B ThrottlingException id-D", "[[A B C D] [C] [C]]"},
		{"AnUnknownCodeIsFinal", map[string][]string{"C": {"SomethingNew"}}, nil, "1 id-A id-B SomethingNew id-D", "[[A B C D]]"},
		{"TheSecondRequestFails", map[string][]string{"B": {"InternalFailure"}}, map[int]error{2: errors.New("cut")}, "1 id-A RequestFailed id-C id-D", "[[A B C D] [B]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{codes: tt.codes, fail: tt.fail}
			output, err := New(s, WithRetries(Retries{Wait: func(context.Context, time.Duration) error { return nil }})).PutEvents(t.Context(), entries(all...))
			if err != nil || outcome(output) != tt.want || fmt.Sprint(s.calls) != tt.calls {
				t.Errorf("got %s, %v by %v\nwant %s by %s", outcome(output), err, s.calls, tt.want, tt.calls)
			}
		})
	}
	t.Run("AWholeRequestIsTheSDKsBusiness", func(t *testing.T) {
		s := &script{fail: map[int]error{1: errors.New("cut")}}
		if output, err := New(s, WithRetries(Retries{})).PutEvents(t.Context(), entries(all...)); output != nil || err == nil || len(s.calls) != 1 {
			t.Errorf("got %v, %v after %d calls", output, err, len(s.calls))
		}
	})
}

// The zero value is three attempts, with waits of up to 50 ms, doubled each time
// and at most 5 s.
func TestRetriesOfTheZeroValue(t *testing.T) {
	for attempts, want := range map[int]int{0: 3, -1: 3, 1: 1, 10: 10} {
		var bounds []time.Duration
		api := &script{codes: map[string][]string{"A": slices.Repeat([]string{"InternalFailure"}, 20)}}
		p := New(api, WithRetries(Retries{
			Attempts: attempts,
			Jitter:   func(n time.Duration) time.Duration { bounds = append(bounds, n); return 0 },
			Wait:     func(context.Context, time.Duration) error { return nil },
		}))
		if _, err := p.PutEvents(t.Context(), entries("A")); err != nil {
			t.Fatal(err)
		}
		if len(api.calls) != want || len(bounds) != want-1 {
			t.Errorf("%d attempts asked for: %d, and %d waits", attempts, len(api.calls), len(bounds))
		}
		for i, bound := range bounds {
			if expected := min(50*time.Millisecond<<i, 5*time.Second); bound != expected {
				t.Errorf("wait %d is up to %s, want %s", i, bound, expected)
			}
		}
	}
}

func TestWaitsHaveFullJitterAndKeepTheDeadline(t *testing.T) {
	now := time.Now()
	var bounds, waits []time.Duration
	retries := Retries{
		Attempts: 9, Base: 10 * time.Millisecond, Most: 100 * time.Millisecond,
		Jitter: func(n time.Duration) time.Duration { bounds = append(bounds, n); return n / 2 },
		Wait:   func(_ context.Context, d time.Duration) error { waits = append(waits, d); now = now.Add(d); return nil },
	}
	failing := func() *script {
		return &script{codes: map[string][]string{"A": {"ThrottlingException", "ThrottlingException", "ThrottlingException", "ThrottlingException", "ThrottlingException", "ThrottlingException"}}}
	}
	s := failing()
	p := New(s, WithRetries(retries), WithClock(func() time.Time { return now }))
	if output, err := p.PutEvents(t.Context(), entries("A")); err != nil || outcome(output) != "0 id-A" {
		t.Errorf("got %s, %v", outcome(output), err)
	}
	if got := fmt.Sprint(bounds, waits); got != "[10ms 20ms 40ms 80ms 100ms 100ms] [5ms 10ms 20ms 40ms 50ms 50ms]" {
		t.Error(got)
	}
	ctx, cancel := context.WithDeadline(t.Context(), now.Add(36*time.Millisecond))
	defer cancel()
	s = failing()
	p = New(s, WithRetries(retries), WithClock(func() time.Time { return now }))
	if output, err := p.PutEvents(ctx, entries("A")); err != nil || outcome(output) != "1 ThrottlingException" || len(s.calls) != 4 {
		t.Errorf("at the deadline: %s, %v after %d calls", outcome(output), err, len(s.calls))
	}
	ctx, cancel = context.WithCancel(t.Context())
	s = failing()
	p = New(s, WithRetries(Retries{Base: time.Hour, Most: time.Hour, Jitter: func(n time.Duration) time.Duration { cancel(); return n - 1 }}))
	if output, err := p.PutEvents(ctx, entries("A")); err != nil || outcome(output) != "1 ThrottlingException" || len(s.calls) != 1 {
		t.Errorf("cancelled: %s, %v after %d calls", outcome(output), err, len(s.calls))
	}
}

func TestEachAttemptIsVisibleAndCounted(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	set := metrics.New(metrics.Config{Profile: metrics.Full})
	s := &script{codes: map[string][]string{"A": {"ThrottlingException", "ThrottlingException"}, "B": {"InternalFailure"}}}
	p := New(s, WithMetrics(set), WithRetries(Retries{Base: 1}), WithTracing(tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))}))
	if _, err := p.PutEvents(t.Context(), entries("A", "B", "C")); err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for _, span := range exporter.GetSpans() {
		for _, e := range span.Events {
			attempts = append(attempts, fmt.Sprintf("%s: %s %d/%d/%d", span.Name, e.Name, e.Attributes[0].Value.AsInt64(), e.Attributes[1].Value.AsInt64(), e.Attributes[2].Value.AsInt64()))
		}
	}
	if got, want := fmt.Sprint(attempts), "[send trading: attempt 1/3/2 send trading: attempt 2/2/1 send trading: attempt 3/1/0]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := sums(t, set, "EventsThrottled", "EventsFailed", "EventsPublished"); got != "[2 0 3]" {
		t.Errorf("counted %s", got)
	}
}
