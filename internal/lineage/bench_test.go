package lineage

import (
	"context"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// tradeDetail is a detail of about 1 KB whose IDs stand where the first user's do.
var tradeDetail = `{"correlation_id": "workflow-6513270e-269e-4d37-b2a7-4de452e6b438", "causation_id": "rebalance-b2061ecc-65d4-44fd-a9e7-8b06a72ed508", ` +
	`"event_id": "trade-executed-0d25f954-f404-4f1e-aaf7-ea314ebe9880", "timestamp": "2026-02-13T20:45:12.184220+00:00", "metadata": {"run_id": "r", "n": 1000}, "text": "` +
	strings.Repeat("0123456789", 70) + `"}`

func BenchmarkStamp(b *testing.B) {
	plainDetail := strings.Replace(strings.Replace(strings.Replace(tradeDetail, "correlation_id", "x_correlation", 1), "causation_id", "x_causation", 1), `"event_id"`, `"x_id"`, 1)
	handled := handledEvent()
	for _, c := range []struct {
		name, detail string
		mode         StampMode
		d            *Delivery
	}{
		{"resources", tradeDetail, StampResources, nil},
		{"resources,handling", tradeDetail, StampResources, handled},
		{"resources,no IDs", plainDetail, StampResources, nil},
		{"detail", tradeDetail, StampDetail, handled},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := NewStamper(Config{Stamp: c.mode})
			entry := Entry{Source: "alchemiser.execution", DetailType: "TradeExecuted", Detail: c.detail, Bus: "trading"}
			ctx := b.Context()
			publisher := Mint(trace.SpanContext{})
			b.ReportAllocs()
			for b.Loop() {
				out := s.Resolve(ctx, entry, c.d)
				out.Lineage.Publisher = publisher
				if _, done := s.Apply(entry, out.Lineage, 1<<20); done.Skipped != "" {
					b.Fatal(done.Skipped)
				}
			}
		})
	}
}

// BenchmarkPublishing is all that this package does for a request of ten entries.
func BenchmarkPublishing(b *testing.B) {
	for _, c := range []struct {
		name     string
		provider trace.TracerProvider
	}{{"no provider", nil}, {"SDK", sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))}} {
		b.Run(c.name, func(b *testing.B) {
			s := NewStamper(Config{TracerProvider: c.provider})
			entries := make([]Entry, 10)
			for i := range entries {
				entries[i] = Entry{Source: "alchemiser.execution", DetailType: "TradeExecuted", Detail: tradeDetail}
			}
			d := handledEvent()
			b.ReportAllocs()
			for b.Loop() {
				out := make([]Outgoing, len(entries))
				for i := range entries {
					out[i] = s.Resolve(b.Context(), entries[i], d)
				}
				p := s.StartPublishing(b.Context(), each(out))
				for i := range entries {
					_, _ = s.Apply(entries[i], out[i].Lineage, 1<<20)
				}
				p.End(nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10, "ns/entry")
		})
		if provider, ok := c.provider.(*sdk.TracerProvider); ok {
			_ = provider.Shutdown(context.Background()) //nolint:usetesting // the benchmark's context has ended
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := NewReader(Config{})
	envelope := strings.Replace(envelopeOfTrade, detailOfTrade, tradeDetail, 1)
	large := strings.Replace(envelope, `"text": "`, `"list": [`+strings.Repeat(`{"symbol": "AAPL", "price": 560.6275},`, 25_000)+`0], "text": "`, 1)
	batch := make([]string, 10)
	for i := range batch {
		batch[i] = sqsRecord(envelope)
	}
	for _, c := range []struct{ name, payload string }{{"eventbridge 1 KB", envelope}, {"eventbridge 1 MB", large}, {"sqs batch of 10", records(batch...)}} {
		b.Run(c.name, func(b *testing.B) {
			payload := []byte(c.payload)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if d := r.Read(payload); len(d.Events) == 0 {
					b.Fatal("not read")
				}
			}
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	provider := sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))
	defer func() { _ = provider.Shutdown(context.Background()) }() //nolint:usetesting // the benchmark's context has ended
	for _, c := range []struct {
		name     string
		provider trace.TracerProvider
	}{{"no provider", nil}, {"SDK", provider}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := Config{TracerProvider: c.provider}
			d := *handledEvent()
			b.ReportAllocs()
			for b.Loop() {
				_, span := StartProcess(b.Context(), cfg, d, invocation)
				FinishProcess(span, nil)
			}
		})
	}
}
