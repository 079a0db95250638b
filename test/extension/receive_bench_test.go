package extension_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

// requestOf is what an SDK sends: spans with the attributes of a handler's.
func requestOf(spans int) []byte {
	list := make([]otlp.Span, spans)
	for i := range list {
		list[i] = otlp.Span{Context: lineage.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled), Name: "process SignalGenerated", Attributes: []attribute.KeyValue{
			attribute.String("messaging.system", "aws.eventbridge"), attribute.String("faas.trigger", "pubsub"), attribute.String("throughline.event.id", fmt.Sprint("event-", i)),
			attribute.String("throughline.correlation.id", "workflow-1"), attribute.Int("throughline.hops", 3), attribute.Bool("faas.coldstart", false),
		}, Links: []trace.Link{{SpanContext: lineage.Mint(trace.SpanContext{}), Attributes: []attribute.KeyValue{attribute.String("throughline.link", "causation")}}}}
	}
	return otlp.Encode(otlp.Resource{Scope: "bench"}, list...)
}

// BenchmarkReceive measures a receiver that decodes and encodes spans with the
// collector's pdata, as a collector does. The extension's own benchmark of that
// name takes the same request.
func BenchmarkReceive(b *testing.B) {
	const spans = 50
	body := requestOf(spans)
	taken := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in bytes.Buffer
		_, _ = in.ReadFrom(r.Body)
		request := ptraceotlp.NewExportRequest()
		if err := request.UnmarshalProto(in.Bytes()); err != nil {
			b.Error(err)
		}
		if _, err := request.MarshalProto(); err != nil {
			b.Error(err)
		}
		taken += request.Traces().SpanCount()
	})
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		before := processorTime(b)
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/v1/traces", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/x-protobuf")
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}
		b.ReportMetric(float64(spans)*float64(b.N)/(processorTime(b)-before).Seconds(), "spans/CPU-s")
		if taken != b.N*spans {
			b.Errorf("%d of %d spans were taken", taken, b.N*spans)
		}
	})
}

// processorTime is what this process has used, its garbage collector included.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
