package extension

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// report is what a shim tells of one attempt at an outbound call.
type report struct {
	TraceID       string            `json:"trace_id"`
	SpanID        string            `json:"span_id"`
	ParentID      string            `json:"parent_id"`
	Flags         string            `json:"flags"`
	CorrelationID string            `json:"correlation_id"`
	Start         int64             `json:"start_unix_nano"`
	End           int64             `json:"end_unix_nano"`
	Method        string            `json:"method"`
	Scheme        string            `json:"scheme"`
	Host          string            `json:"host"`
	Port          int               `json:"port"`
	Path          string            `json:"path"`
	Resend        int               `json:"resend_count"`
	Status        int               `json:"status"`
	Error         string            `json:"error"`
	Headers       map[string]string `json:"headers"`
}

const maxReport = 64 << 10

// outbound takes POST /throughline/v1/outbound: spans and metrics of the shims'
// calls are made here, so that they are those of every other way.
func (x *extension) outbound(w http.ResponseWriter, r *http.Request) {
	var told report
	if r.Method != http.MethodPost || json.NewDecoder(io.LimitReader(r.Body, maxReport)).Decode(&told) != nil || told.Host == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 2*maxReport) // or who still sends sees a broken connection
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	call := tracing.Call{
		Method: told.Method, Host: told.Host, Route: tracing.Route(told.Path), Status: told.Status, Resend: told.Resend,
		Start: time.Unix(0, told.Start), Duration: max(0, time.Duration(told.End-told.Start)),
	}
	header := http.Header{}
	for name, value := range told.Headers {
		header.Set(name, value)
	}
	name, attributes, failed := tracing.DescribeCall(&call, strings.ToLower(told.Scheme), told.Port, header, told.Error)
	handling.RecordCall(x.metrics, call, told.CorrelationID)

	span, ok := tracing.ParseTraceparent("00-" + told.TraceID + "-" + told.SpanID + "-" + told.Flags)
	if !ok {
		return
	}
	s := otlp.Span{Context: span, Name: name, Kind: trace.SpanKindClient, Start: call.Start, End: call.Start.Add(call.Duration), Attributes: attributes}
	if parent, ok := tracing.ParseTraceparent("00-" + told.TraceID + "-" + told.ParentID + "-" + told.Flags); ok {
		s.Parent = parent
	}
	if failed {
		s.Status = codes.Error
	}
	x.provider.Write(s)
}
