package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/tracing"
)

// shelf is a claim store in memory.
type shelf map[string]string

func (s shelf) Put(_ context.Context, o claimcheck.Object) (string, error) {
	s[o.Key] = o.Data
	return "shelf", nil
}

func (s shelf) Get(_ context.Context, c claimcheck.Claim) ([]byte, error) {
	if data, ok := s[c.Key]; ok {
		return []byte(data), nil
	}
	return nil, claimcheck.ErrMissing
}

func TestClaimsAreRedeemedBeforeTheHandler(t *testing.T) {
	store := shelf{}
	claims, err := claimcheck.New(claimcheck.Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	detail := `{"event_id": "e-1", "correlation_id": "w-1", "rows": ["` + strings.Repeat("x", 1_000) + `"]}`
	sent, err := claims.Put(t.Context(), detail, claimcheck.Names{EventType: "T", CorrelationID: "w-1", EventID: "e-1"})
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"id":"i-1","detail-type":"T","source":"s","detail":` + sent + `}`)
	var got string
	exporter := tracetest.NewInMemoryExporter()
	options := []Option{WithClaims(store), WithTracing(tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))})}
	for name, h := range map[string]any{
		"Plain": func(_ context.Context, event struct{ Detail json.RawMessage }) (string, error) {
			got = string(event.Detail)
			return "done", nil
		},
		"Streamed": func(_ context.Context, event struct{ Detail json.RawMessage }) (io.Reader, error) {
			got = string(event.Detail)
			return strings.NewReader("done"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			got = ""
			exporter.Reset()
			wrapped := lambda.NewHandler(Wrap(h, options...))
			if _, err := wrapped.Invoke(t.Context(), payload); err != nil || got != detail {
				t.Errorf("the handler saw %.80s, %v", got, err)
			}
			got = ""
			empty := lambda.NewHandler(Wrap(h, WithClaims(shelf{}), options[1]))
			if _, err := empty.Invoke(t.Context(), payload); !errors.Is(err, claimcheck.ErrMissing) || got != "" {
				t.Errorf("without the object: the handler saw %.80s, %v", got, err)
			}
			spans := exporter.GetSpans()
			if len(spans) == 0 || spans[len(spans)-1].Status.Description == "" && spans[len(spans)-1].Status.Code == 0 {
				t.Errorf("the failure is not on the span: %+v", spans)
			}
		})
	}
}

// One claim of a batch that cannot be redeemed fails its record, and the others
// are handled.
func TestABadClaimOfABatch(t *testing.T) {
	store := shelf{}
	claims, err := claimcheck.New(claimcheck.Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for i := range 10 {
		id := fmt.Sprint("e-", i)
		sent, err := claims.Put(t.Context(), fmt.Sprintf(`{"event_id":%q,"rows":["x"]}`, id), claimcheck.Names{EventType: "T", EventID: id})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, fmt.Sprintf(`{"messageId":"m-%d","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q","body":%s}`, i, body))
	}
	for key := range store {
		if strings.Contains(key, "/e-4/") {
			delete(store, key)
		}
	}
	payload := []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
	type batch struct {
		Records []struct{ MessageID, Body string }
	}
	handled := 0
	handle := func(b batch) {
		for _, r := range b.Records {
			if handled++; r.MessageID == "m-4" || !strings.Contains(r.Body, `"rows":["x"]`) {
				t.Errorf("the handler saw %s: %s", r.MessageID, r.Body)
			}
		}
	}
	for name, tt := range map[string]struct {
		h    any
		want string // the answer; empty for an error
	}{
		"PartialResponse": {func(_ context.Context, b batch) (map[string]any, error) {
			handle(b)
			return map[string]any{"batchItemFailures": []map[string]string{{"itemIdentifier": "m-7"}}}, nil
		}, `{"batchItemFailures":[{"itemIdentifier":"m-7"},{"itemIdentifier":"m-4"}]}`},
		"PartialResponseOfSuccess": {func(_ context.Context, b batch) (map[string]any, error) {
			handle(b)
			return map[string]any{"batchItemFailures": nil}, nil
		}, `{"batchItemFailures":[{"itemIdentifier":"m-4"}]}`},
		"NoAnswer":      {func(_ context.Context, b batch) error { handle(b); return nil }, ""},
		"AnotherAnswer": {func(_ context.Context, b batch) (string, error) { handle(b); return "done", nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			handled = 0
			answer, err := lambda.NewHandler(Wrap(tt.h, WithClaims(store))).Invoke(t.Context(), payload)
			if tt.want == "" && !errors.Is(err, claimcheck.ErrMissing) || tt.want != "" && (err != nil || string(answer) != tt.want) {
				t.Errorf("answered %s, %v", answer, err)
			}
			if handled != 9 {
				t.Errorf("handled %d records", handled)
			}
		})
	}
	clear(store)
	handled = 0
	if _, err := lambda.NewHandler(Wrap(func(context.Context, batch) error { handled++; return nil }, WithClaims(store))).Invoke(t.Context(), payload); !errors.Is(err, claimcheck.ErrMissing) || handled != 0 {
		t.Errorf("where no record is left: %v, handled %d times", err, handled)
	}
}
