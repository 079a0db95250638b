package handler

import (
	"context"
	"encoding/json"
	"errors"
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
