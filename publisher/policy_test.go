package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// sums are the values that set has of each name on the service alone.
func sums(t *testing.T, set *metrics.Set, names ...string) string {
	t.Helper()
	var out strings.Builder
	if err := set.Flush(&out, time.Now()); err != nil {
		t.Fatal(err)
	}
	values := make([]float64, len(names))
	for line := range strings.Lines(out.String()) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatal(err)
		}
		if _, apart := doc["EventType"]; apart {
			continue
		}
		for i, name := range names {
			if v, ok := doc[name].(float64); ok {
				values[i] += v
			}
		}
	}
	return fmt.Sprint(values)
}

func large(n int) string {
	return `{"event_id":"e-1","correlation_id":"w-1","x":"` + strings.Repeat("x", n) + `"}`
}

func TestRefusedEntriesFailAlone(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	ctx, span := provider.Tracer("").Start(t.Context(), "caller")
	set := metrics.New(metrics.Config{})
	s := &script{}
	p := New(s, WithMetrics(set), WithWarning(2_000), WithRefusal(1_000, "Small"), WithRefusal(5_000))
	input := entries("A", "B", "C", "Small", "D")
	input.Entries[1].Detail, input.Entries[3].Detail, input.Entries[4].Detail = aws.String(large(6_000)), aws.String(large(2_000)), aws.String(large(2_000))
	output, err := p.PutEvents(ctx, input)
	span.End()
	if want := "2 id-A EventTooLarge id-C EventTooLarge id-D"; err != nil || outcome(output) != want || fmt.Sprint(s.calls) != "[[A C D]]" {
		t.Errorf("got %s, %v by %v", outcome(output), err, s.calls)
	}
	if got := aws.ToString(output.Entries[3].ErrorMessage); !strings.Contains(got, "and 1000 are allowed for Small") {
		t.Errorf("message %q", got)
	}
	if got := sums(t, set, "EventsPublished", "EventsFailed", "EventsFailed_EventTooLarge", "OversizedEvents"); got != "[3 2 2 3]" {
		t.Errorf("counted %s", got)
	}
	if events := exporter.GetSpans()[0].Events; len(events) != 2 || events[0].Name != "event not published" {
		t.Errorf("span events %v", events)
	}
	if output, err := p.PutEvents(t.Context(), withDetail(large(9_000), "A")); err != nil || outcome(output) != "1 EventTooLarge" || len(s.calls) != 1 {
		t.Errorf("alone: %s, %v", outcome(output), err)
	}
	s.fail = map[int]error{2: errors.New("cut")}
	if output, err := p.PutEvents(t.Context(), entries("A")); output != nil || err == nil {
		t.Errorf("a request that fails: %v, %v", output, err)
	}
}

func TestSizesPerEventType(t *testing.T) {
	set := metrics.New(metrics.Config{})
	s := &script{}
	p := New(s, WithMetrics(set), WithWarning(4_000), WithWarning(1_000, "Small"), WithRefusal(8_000), WithRefusal(0, "Exempt"))
	input := entries("Small", "Any", "Exempt", "Refused")
	for i, size := range []int{2_000, 2_000, 9_000, 9_000} {
		input.Entries[i].Detail = aws.String(large(size))
	}
	output, err := p.PutEvents(t.Context(), input)
	if err != nil || outcome(output) != "1 id-Small id-Any id-Exempt EventTooLarge" {
		t.Errorf("got %s, %v", outcome(output), err)
	}
	if got := sums(t, set, "OversizedEvents", "EventsPublished", "EventsFailed"); got != "[3 3 1]" {
		t.Errorf("counted %s", got)
	}
}

// short answers with one result fewer than there were entries.
type short struct{ script }

func (s *short) PutEvents(ctx context.Context, input *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	output, err := s.script.PutEvents(ctx, input, options...)
	output.Entries = output.Entries[:len(output.Entries)-1]
	return output, err
}

// TestAnEntryWithoutAResultIsNotReportedPublished, where the results are ours to write.
func TestAnEntryWithoutAResultIsNotReportedPublished(t *testing.T) {
	set := metrics.New(metrics.Config{})
	names := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}
	output, err := New(&short{}, WithMetrics(set)).PutEvents(t.Context(), entries(names...))
	if want := "2 id-0 id-1 id-2 id-3 id-4 id-5 id-6 id-7 id-8 NoResult NoResult"; err != nil || outcome(output) != want {
		t.Errorf("got %s, %v", outcome(output), err)
	}
	if got := sums(t, set, "EventsPublished", "EventsFailed"); got != "[9 2]" {
		t.Errorf("counted %s", got)
	}
}

func withDetail(detail string, names ...string) *eventbridge.PutEventsInput {
	input := entries(names...)
	for i := range input.Entries {
		input.Entries[i].Detail = &detail
	}
	return input
}

// handled is a context in which an event of the given type and hops is being handled.
func handled(t *testing.T, eventType string, hops int) context.Context {
	t.Helper()
	payload := fmt.Sprintf(`{"id":"i-1","detail-type":%q,"source":"s","resources":["correlation:w-1","causation:c","hops:%d","traceparent:00-3a4c319534766d2453badd9c135d8cf8-cc95e8c186587543-01"],"detail":{}}`, eventType, hops)
	ctx, _ := lineage.StartProcess(t.Context(), tracing.Config{}, lineage.NewReader(tracing.Config{}).Read([]byte(payload)), lineage.Invocation{RequestID: "r"})
	return ctx
}

func TestLoopsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, handled string
		hops          int
		publish, want string
	}{
		{"AtTheLimit", "A", 15, "B", "0 id-B"},
		{"BeyondTheLimit", "A", 16, "B", "1 LoopSuspected"},
		{"AnErrorNotification", "A", 0, "WorkflowFailed", "0 id-WorkflowFailed"},
		{"AnErrorNotificationCausedByOne", "ErrorNotificationRequested", 0, "WorkflowFailed", "1 LoopSuspected"},
		{"OtherwiseCausedByOne", "WorkflowFailed", 0, "B", "0 id-B"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := New(&script{}, WithLoopRefusal(LoopRule{ErrorTypes: []string{"WorkflowFailed", "ErrorNotificationRequested"}}))
			output, err := p.PutEvents(handled(t, tt.handled, tt.hops), entries(tt.publish))
			if err != nil || outcome(output) != tt.want {
				t.Errorf("got %s, %v; want %s", outcome(output), err, tt.want)
			}
		})
	}
	output, err := New(&script{}).PutEvents(handled(t, "WorkflowFailed", 40), entries("WorkflowFailed"))
	if err != nil || outcome(output) != "0 id-WorkflowFailed" {
		t.Errorf("by default: %s, %v", outcome(output), err)
	}
}

// shelf is a claim store in memory.
type shelf struct {
	objects map[string]string
	fail    error
}

func (s *shelf) Put(_ context.Context, o claimcheck.Object) (string, error) {
	if s.fail == nil {
		s.objects[o.Key] = o.Data
	}
	return "shelf", s.fail
}

func (s *shelf) Get(_ context.Context, c claimcheck.Claim) ([]byte, error) {
	if data, ok := s.objects[c.Key]; ok {
		return []byte(data), nil
	}
	return nil, claimcheck.ErrMissing
}

func TestClaims(t *testing.T) {
	for _, mode := range []tracing.StampMode{tracing.StampResources, tracing.StampBoth} {
		store := &shelf{objects: map[string]string{}}
		claims, err := claimcheck.New(claimcheck.Config{Store: store, ConsumersUnderstand: true})
		if err != nil {
			t.Fatal(err)
		}
		s := &script{details: map[string]string{}}
		p := New(s, WithTracing(tracing.Config{Stamp: mode}), WithClaims(claims, 1_000, "Large"))
		input := entries("Large", "Other", "Large2")
		input.Entries[0].Detail, input.Entries[1].Detail = aws.String(large(3_000)), aws.String(large(3_000))
		output, err := p.PutEvents(t.Context(), input)
		if err != nil || outcome(output) != "0 id-Large id-Other id-Large2" || *input.Entries[0].Detail != large(3_000) {
			t.Fatalf("got %s, %v", outcome(output), err)
		}
		sent := s.details["Large"]
		if !strings.HasPrefix(sent, `{"event_id":"e-1","correlation_id":"w-1","_throughline":{`) || !strings.Contains(sent, `"claim":{"bucket":"shelf","key":"throughline/claims/Large/w-1/e-1/`) {
			t.Errorf("sent %s", sent)
		}
		if mode == tracing.StampResources && s.details["Other"] != large(3_000) || len(store.objects) != 1 {
			t.Errorf("a type without the policy: %.80s, %d objects", s.details["Other"], len(store.objects))
		}
		if d := lineage.NewReader(tracing.Config{}).Read([]byte(`{"id":"i","detail-type":"Large","source":"s","detail":` + sent + `}`)); mode == tracing.StampBoth && !d.Events[0].Lineage.Stamped {
			t.Errorf("the stamp does not stand beside the claim: %s", sent)
		}
		restored, _, err := claimcheck.Restore(t.Context(), store, []byte(sent))
		if err != nil || string(restored) != large(3_000) {
			t.Errorf("restored %.80s, %v", restored, err)
		}
		store.fail = errors.New("no bucket")
		s.calls = nil
		output, err = p.PutEvents(t.Context(), input)
		if err != nil || outcome(output) != "1 ClaimFailed id-Other id-Large2" || fmt.Sprint(s.calls) != "[[Other Large2]]" {
			t.Errorf("when the put fails: %s, %v by %v", outcome(output), err, s.calls)
		}
	}
}

// meeting is a claim store whose Put returns when so many of them are under way.
type meeting struct {
	shelf
	mu    sync.Mutex
	wants int
	met   chan struct{}
}

func (m *meeting) Put(_ context.Context, o claimcheck.Object) (string, error) {
	m.mu.Lock()
	if m.wants--; m.wants == 0 {
		close(m.met)
	}
	m.mu.Unlock()
	<-m.met
	if strings.Contains(o.Key, "/e-3/") {
		return "", errors.New("no bucket")
	}
	return "shelf", nil
}

func TestClaimsArePutSideBySide(t *testing.T) {
	const n = claimsAtOnce
	claims, err := claimcheck.New(claimcheck.Config{Store: &meeting{wants: n, met: make(chan struct{})}, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	input := &eventbridge.PutEventsInput{}
	for i := range n {
		input.Entries = append(input.Entries, entry("Large", strings.Replace(large(3_000), "e-1", fmt.Sprint("e-", i), 1)))
	}
	s := &script{details: map[string]string{}}
	output, err := New(s, WithClaims(claims, 1_000, "Large")).PutEvents(t.Context(), input)
	if err != nil || outcome(output) != "1 id-Large id-Large id-Large ClaimFailed id-Large id-Large id-Large id-Large" {
		t.Errorf("got %s, %v", outcome(output), err)
	}
}

// A fault of the store is the caller's to recover from, as if nothing ran beside it.
func TestAClaimThatPanics(t *testing.T) {
	claims, err := claimcheck.New(claimcheck.Config{Store: (*shelf)(nil), ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the fault is lost")
		}
	}()
	_, _ = New(&script{}, WithClaims(claims, 1_000, "Large")).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("Large", large(3_000))}})
}

// An error notification that an error notification causes is not published.
func ExampleWithLoopRefusal() {
	p := New(&script{}, WithLoopRefusal(LoopRule{ErrorTypes: []string{"WorkflowFailed"}}))
	payload := `{"id":"env-1","detail-type":"WorkflowFailed","source":"s","detail":{"event_id":"failed-1","correlation_id":"workflow-1"}}`
	delivery := lineage.NewReader(tracing.Config{}).Read([]byte(payload))
	ctx, span := lineage.StartProcess(context.Background(), tracing.Config{}, delivery, lineage.Invocation{}) // handler.Wrap does so
	defer span.End()

	output, err := p.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("s"), DetailType: aws.String("WorkflowFailed"), Detail: aws.String(`{"event_id":"failed-2"}`),
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(output.FailedEntryCount, *output.Entries[0].ErrorCode)
	fmt.Println(*output.Entries[0].ErrorMessage)
	// Output:
	// 1 LoopSuspected
	// WorkflowFailed would notify of an error while WorkflowFailed notifies of one: it is not published
}
