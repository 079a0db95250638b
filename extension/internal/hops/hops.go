// Package hops receives the shims' reports of calls to queues, topics, functions,
// state machines, schedules and streams, and decides which trace header such
// calls carry.
package hops

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Hops makes the spans and metrics of calls that the shims report. Spans and Now are
// required. Its methods are safe for concurrent use and do not change its fields.
type Hops struct {
	// Off discards all reports.
	Off bool
	// Carry makes calls carry the context of the span that their report will become.
	Carry   bool
	XRay    bool         // spans are exported to X-Ray
	Nowhere bool         // spans are not exported
	Metrics *metrics.Set // nil records nothing
	Spans   *otlp.Provider
	Now     func() time.Time

	mu   sync.Mutex
	open []attempt // failed attempts at calls that may be retried, oldest first
}

// attempt is one attempt at a call, with the context that the call is made in.
type attempt struct {
	id   string
	ctx  context.Context
	call hop.Call
	span trace.SpanContext
}

// maxOpen bounds the failed attempts that wait for a retry.
const maxOpen = 64

// Report is a shim's report of one call (docs/loopback.md). Size is in bytes, Start
// and End are in nanoseconds since 1970.
type Report struct {
	Service            string         `json:"service"`
	Operation          string         `json:"operation"`
	Target             string         `json:"target"`
	Region             string         `json:"region"`
	Batch              int            `json:"batch"`
	Size               int64          `json:"size"`
	IDs                []string       `json:"ids"`
	Failed             map[string]int `json:"failed"`
	InvocationType     string         `json:"invocation_type"`
	TaskHash           string         `json:"task_hash"`
	ScheduleTarget     string         `json:"schedule_target"`
	ScheduleExpression string         `json:"schedule_expression"`
	ScheduleTimezone   string         `json:"schedule_timezone"`
	Outcome            string         `json:"outcome"`
	Error              string         `json:"error"`
	Start              int64          `json:"start_unix_nano"`
	End                int64          `json:"end_unix_nano"`
	// TraceID, SpanID and Flags are the context that the call carried, empty if none.
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
	Flags   string `json:"flags"`
	// Invocation is the same for all attempts at a call. It is empty if the report is
	// of the whole call. Attempt is the number of the attempt, from 1, and Max is the
	// maximum number of attempts; 0 means unknown.
	Invocation string `json:"invocation_id"`
	Attempt    int    `json:"attempt"`
	Max        int    `json:"max"`
}

// Bounds of the values of a report: AWS's own limits, or slightly higher.
const (
	maxTarget = 2048    // bytes of a target's ARN (Scheduler API reference)
	maxID     = 512     // bytes of an ID, which may be an execution's ARN
	maxSize   = 1 << 30 // bytes
)

// Wrong returns why a report is refused, empty if it is valid. Any process in the
// environment can send a report.
func (r *Report) Wrong() string {
	switch {
	case !hop.Known(r.Service, r.Operation):
		return "service and operation are to be those of a hop"
	case r.Batch < 0 || r.Batch > hop.MaxIDs || len(r.IDs) > hop.MaxIDs:
		return "batch and ids are to be those of one call"
	case r.Size < 0 || r.Size > maxSize:
		return "size is to be that of a request"
	case !printable(r.Target, maxTarget) || !printable(r.ScheduleTarget, maxTarget):
		return "target and schedule_target are to be names or ARNs"
	}
	failed := 0
	for _, n := range r.Failed {
		if n < 1 || n > hop.MaxIDs {
			return "failed is to count entries by code"
		}
		failed += n
	}
	if failed > max(r.Batch, 1) || len(r.Failed) > hop.MaxIDs {
		return "failed is to count no more entries than there were"
	}
	return ""
}

// printable reports whether s can be a name or an ARN. Step Functions permits names
// outside ASCII.
func printable(s string, longest int) bool {
	return len(s) <= longest && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// call converts the report, and leaves out values that no service returns.
func (r *Report) call(start, end time.Time) hop.Call {
	c := hop.Call{
		Service: r.Service, Operation: r.Operation, Target: r.Target, Region: r.Region, Batch: r.Batch, Size: r.Size,
		InvocationType: r.InvocationType, TaskHash: r.TaskHash, ScheduleTarget: r.ScheduleTarget, Error: code(r.Error), Start: start, End: end,
	}
	for _, text := range []*string{&c.Region, &c.InvocationType, &c.TaskHash} {
		if !lineage.ValidID(*text) {
			*text = ""
		}
	}
	switch r.Outcome {
	case "answered":
	case "failed":
		c.Error = cmp.Or(c.Error, lineage.ErrorTypeOther)
	default:
		c.Error, c.Unknown = cmp.Or(c.Error, code(r.Outcome), "unknown"), true
	}
	c.IDs = slices.DeleteFunc(r.IDs, func(id string) bool { return id == "" || !printable(id, maxID) })
	for name, n := range r.Failed {
		if c.Failed == nil {
			c.Failed = map[string]int{}
		}
		if name = code(name); name == "" || len(c.Failed) >= hop.MaxCodes {
			name = lineage.ErrorTypeOther
		}
		c.Failed[name] += n
	}
	c.ScheduleAt = hop.At(r.ScheduleExpression, r.ScheduleTimezone)
	return c
}

// code returns text if it can be the code or class of an error, otherwise _OTHER.
func code(text string) string {
	const longest = 64
	if text == "" || lineage.ValidID(text) && len(text) <= longest {
		return text
	}
	return lineage.ErrorTypeOther
}

// Report makes the span and the metrics of a call, or stores a failed attempt until
// it is retried. ctx is the context of the call's invocation, or an empty context.
func (h *Hops) Report(ctx context.Context, r *Report, start, end time.Time) {
	if h.Off {
		return
	}
	c := r.call(start, end)
	span, carried := lineage.ParseTraceparent("00-" + r.TraceID + "-" + r.SpanID + "-" + r.Flags)
	if c.Carried = carried && hop.Carries(r.Service); !c.Carried {
		span = h.span(ctx)
	}
	one := attempt{r.Invocation, ctx, c, span}
	if r.Invocation == "" || len(r.Invocation) > maxID {
		h.over(one)
	} else {
		// Versions of SDK v3 of 2023 make one attempt more than the maximum that they send.
		h.tried(one, c.Error != "" && (r.Max <= 0 || r.Attempt <= r.Max))
	}
}

// tried processes one of several attempts at a call. All attempts together are one
// call, with the start of the first and the outcome of the last. again reports
// whether a retry may follow.
func (h *Hops) tried(a attempt, again bool) {
	h.mu.Lock()
	i := slices.IndexFunc(h.open, func(o attempt) bool { return o.id == a.id })
	if i >= 0 {
		a.call.Start = h.open[i].call.Start
		h.open = slices.Delete(h.open, i, i+1)
	}
	var over []attempt
	if !again {
		over = append(over, a)
	} else if h.open = append(h.open, a); len(h.open) > maxOpen {
		over = append(over, h.open[0])
		h.open = slices.Delete(h.open, 0, 1)
	}
	h.mu.Unlock()
	for _, o := range over {
		h.over(o)
	}
}

// Close ends the calls that still wait for a retry, as failed. It is called at the
// end of an invocation, because no retry follows after it.
func (h *Hops) Close() {
	h.mu.Lock()
	open := h.open
	h.open = nil
	h.mu.Unlock()
	for _, o := range open {
		h.over(o)
	}
}

// over makes the span and the metrics of a call.
func (h *Hops) over(a attempt) {
	ctx, span, c := a.ctx, a.span, &a.call
	correlation, _ := lineage.CurrentIDs(ctx)
	c.Record(h.Metrics, correlation)
	if !span.IsSampled() {
		return
	}
	s := otlp.Span{
		Context: span, Parent: trace.SpanContextFromContext(ctx), Name: c.SpanName(), Kind: c.Kind(), Start: c.Start, End: c.End,
		Attributes: lineage.WithCurrent(ctx, c.Attributes(make([]attribute.KeyValue, 0, 24))),
	}
	if h.XRay {
		s.Attributes = lineage.AnnotateHop(s.Attributes)
	}
	if s.Parent.TraceID() != span.TraceID() { // ctx is that of a later invocation
		s.Parent = trace.SpanContext{}
	}
	if c.ErrorType() != "" {
		s.Status, s.StatusMessage = codes.Error, c.Status()
	}
	h.Spans.Write(s)
}

// span returns a new context for the span of a call in ctx. It is sampled if its
// parent is; without a parent, Spans.Sample decides.
func (h *Hops) span(ctx context.Context) trace.SpanContext {
	parent := trace.SpanContextFromContext(ctx)
	span := lineage.Mint(parent)
	if parent.IsValid() && parent.IsSampled() || !parent.IsValid() && (h.Spans.Sample == nil || h.Spans.Sample(span.TraceID())) {
		span = span.WithTraceFlags(trace.FlagsSampled)
	}
	return span
}

// Carried returns the X-Ray trace header that the calls of an invocation carry, with
// {span} instead of the span ID. It is empty if calls must keep their own header. ctx
// and header are the invocation's.
func (h *Hops) Carried(ctx context.Context, header string) string {
	span := trace.SpanContextFromContext(ctx)
	if h.Off || !h.Carry || h.Nowhere || header == "" {
		return ""
	}
	carried, ok := lineage.Carry(header, header, span, h.XRay, h.Now())
	if !ok {
		return ""
	}
	return strings.Replace(carried, ";Parent="+span.SpanID().String(), ";Parent={span}", 1)
}
