package handling

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
)

// stored is an event of a new custom bus with its metadata.
func stored(n int, delivery string) string {
	return fmt.Sprintf(`{"Data":{"version":"0","id":"env-%d","detail-type":"T","source":"shop","time":"2026-11-27T10:00:00Z","resources":[],"detail":{"event_id":"e-%d"}},"Metadata":{},`+
		`"SystemMetadata":{"aws:DeliveryType":%q,"aws:EventId":"stored-%d","aws:SequenceNumber":"100000000000%d","EventGroupId":"g-1","aws:IngestionTime":"2026-11-27T10:00:00.500Z"}}`, n, n, delivery, n, n)
}

func array(events ...string) string { return "[" + strings.Join(events, ",") + "]" }

// answered is handle with an answer.
func (f *function) answered(t *testing.T, payload, answer string) tracetest.SpanStub {
	t.Helper()
	f.count++
	f.spans.Reset()
	i := f.Begin(t.Context(), []byte(payload), lineage.Invocation{FunctionName: "f", RequestID: fmt.Sprint("request-", f.count), ARN: "arn:aws:lambda:us-east-1:1:function:f:$LATEST"}, false)
	i.Answer = []byte(answer)
	i.End(nil)
	return f.spans.GetSpans()[0]
}

// What a new bus tells of an event: how it is told again, whatever the version that
// the function was invoked by.
func TestRepeatsOfANewBus(t *testing.T) {
	for _, tt := range []struct {
		name, first, answer, second, kind string
	}{
		{"Redelivery", stored(1, "LIVE"), "", stored(1, "LIVE"), "redelivery"},
		{"Replay", stored(1, "LIVE"), "", stored(1, "REPLAY"), "replay"},
		{"ReplayOfWhatWasNotSeen", stored(1, "LIVE"), "", stored(2, "REPLAY"), ""},
		{"Republish", stored(1, "LIVE"), "", strings.Replace(stored(2, "LIVE"), "e-2", "e-1", 1), "republish"},
		{"RetryOfOneOfABatch", array(stored(1, "LIVE"), stored(2, "LIVE")), `{"batchItemFailures":[{"itemIdentifier":"stored-2"}]}`, array(stored(2, "LIVE")), "retry"},
		{"RetryByTheDomainsID", array(stored(1, "LIVE"), stored(2, "LIVE")), `{"batchItemFailures":[{"itemIdentifier":"e-2"}]}`, array(stored(2, "LIVE")), "retry"},
		{"AnotherOfTheBatch", array(stored(1, "LIVE"), stored(2, "LIVE")), `{"batchItemFailures":[{"itemIdentifier":"stored-2"}]}`, array(stored(1, "LIVE")), "redelivery"},
		{"NoIdentifier", array(stored(1, "LIVE"), stored(2, "LIVE")), `{"batchItemFailures":[{},{"itemIdentifier":""}]}`, array(stored(2, "LIVE")), "redelivery"},
		{"NoPartialResponse", array(stored(1, "LIVE"), stored(2, "LIVE")), `{"batchItemFailures":7}`, array(stored(2, "LIVE")), "redelivery"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFunction()
			f.Once = false
			if first := f.answered(t, tt.first, tt.answer); attributeOf(first, lineage.AttrRepeatKind) != "" {
				t.Errorf("the first is a %s", attributeOf(first, lineage.AttrRepeatKind))
			}
			second := f.answered(t, tt.second, "")
			if kind := attributeOf(second, lineage.AttrRepeatKind); kind != tt.kind {
				t.Errorf("kind %q, want %q", kind, tt.kind)
			}
		})
	}
}

// A late redelivery of a new bus is one: it says who delivers.
func TestLateRedeliveryOfANewBus(t *testing.T) {
	f := newFunction()
	f.Once = false
	now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	f.Now = func() time.Time { return now }
	f.answered(t, stored(1, "LIVE"), "")
	now = now.Add(4 * time.Minute)
	if kind := attributeOf(f.answered(t, stored(1, "LIVE"), ""), lineage.AttrRepeatKind); kind != "redelivery" {
		t.Errorf("kind %q", kind)
	}
}

func TestGroupsOfANewBus(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	cfg := lineage.Config{TracerProvider: sdk.NewTracerProvider(sdk.WithSyncer(spans))}
	f := &function{spans: spans}
	f.Handling = Handling{Reader: lineage.NewReader(cfg), Tracing: cfg, Dedupe: dedupe.New(dedupe.Config{Groups: true}), Now: time.Now}
	later := f.answered(t, stored(2, "LIVE"), "")
	for key, want := range map[string]string{lineage.AttrGroup: "g-1", lineage.AttrSequence: "1000000000002", "messaging.message.id": "stored-2", lineage.AttrLagFrom: lineage.LagFromIngestion} {
		if got := attributeOf(later, key); got != want {
			t.Errorf("%s %q, want %q", key, got, want)
		}
	}
	set := attribute.NewSet(f.answered(t, stored(1, "LIVE"), "").Attributes...)
	if _, early := set.Value(lineage.AttrOrderEarly); !early {
		t.Errorf("not out of order: %v", set.ToSlice())
	}
}
