package otlp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/tracing"
)

// Limits of one span of a [Provider]; what exceeds them is dropped, links counted.
const (
	MaxLinks      = 1_000
	maxAttributes = 128
	maxEvents     = 128
)

// Provider is a trace.TracerProvider as small as the layer's binary needs it:
// each span that ends is encoded and given to Export at once. It follows
// tracing's sampling wishes, else the parent, else Sample. IDs come from
// crypto/rand. It is safe for concurrent use if its functions are, and must not
// be changed once in use. The zero value records everything and exports nothing.
type Provider struct {
	embedded.TracerProvider

	Resource func() Resource // of the span that ends; nil is none
	// Sample decides about roots; nil records all.
	Sample func(trace.TraceID) bool
	// Export takes an ExportTraceServiceRequest. Nil drops it.
	Export func(request []byte)
}

// Tracer implements trace.TracerProvider; the scope is Resource's.
func (p *Provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return &tracer{provider: p} }

// Write exports a span that somebody else timed, if it is sampled.
func (p *Provider) Write(s Span) {
	if p.Export == nil || !s.Context.IsSampled() {
		return
	}
	var r Resource
	if p.Resource != nil {
		r = p.Resource()
	}
	p.Export(Encode(r, s))
}

type tracer struct {
	embedded.Tracer
	provider *Provider
}

// Start implements trace.Tracer.
func (t *tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	config := trace.NewSpanStartConfig(options...)
	parent := trace.SpanContextFromContext(ctx)
	if config.NewRoot() {
		parent = trace.SpanContext{}
	}
	sc := tracing.Mint(parent)
	if !t.provider.sampled(ctx, parent, sc.TraceID()) {
		sc = sc.WithTraceFlags(0)
		_, span := noop.Tracer{}.Start(trace.ContextWithSpanContext(ctx, sc), name)
		return trace.ContextWithSpan(ctx, span), span
	}
	s := &span{provider: t.provider, data: Span{
		Context: sc.WithTraceFlags(trace.FlagsSampled), Parent: parent, Name: name, Kind: trace.ValidateSpanKind(config.SpanKind()),
		Start: config.Timestamp(),
	}}
	if s.data.Start.IsZero() {
		s.data.Start = time.Now()
	}
	s.SetAttributes(config.Attributes()...)
	for _, link := range config.Links() {
		s.AddLink(link)
	}
	return trace.ContextWithSpan(ctx, s), s
}

func (p *Provider) sampled(ctx context.Context, parent trace.SpanContext, id trace.TraceID) bool {
	wish := tracing.SamplingWishFromContext(ctx, id)
	switch {
	case wish.Decided:
		return wish.Sampled
	case parent.IsValid() && !wish.Root:
		return parent.IsSampled()
	case p.Sample != nil:
		return p.Sample(id)
	default:
		return true
	}
}

// span is one that is recorded. It is safe for concurrent use.
type span struct {
	embedded.Span
	provider *Provider

	mu    sync.Mutex
	ended bool
	data  Span
}

var _ trace.Span = (*span)(nil)

// change applies f while the span has not ended.
func (s *span) change(f func(*Span)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		f(&s.data)
	}
}

func (s *span) End(options ...trace.SpanEndOption) {
	config := trace.NewSpanEndConfig(options...)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	if s.data.End = config.Timestamp(); s.data.End.IsZero() {
		s.data.End = time.Now()
	}
	data := s.data
	s.mu.Unlock()
	s.provider.Write(data)
}

func (s *span) SetAttributes(attributes ...attribute.KeyValue) {
	s.change(func(d *Span) {
		for _, a := range attributes {
			if !a.Valid() {
				continue
			}
			if i := slices.IndexFunc(d.Attributes, func(known attribute.KeyValue) bool { return known.Key == a.Key }); i >= 0 {
				d.Attributes[i] = a
			} else if len(d.Attributes) < maxAttributes {
				d.Attributes = append(d.Attributes, a)
			}
		}
	})
}

func (s *span) AddLink(link trace.Link) {
	s.change(func(d *Span) {
		if !link.SpanContext.IsValid() && len(link.Attributes) == 0 {
			return
		}
		if len(d.Links) >= MaxLinks {
			d.DroppedLinks++
			return
		}
		d.Links = append(d.Links, trace.Link{SpanContext: link.SpanContext, Attributes: slices.Clone(link.Attributes)})
	})
}

func (s *span) AddEvent(name string, options ...trace.EventOption) {
	config := trace.NewEventConfig(options...)
	s.change(func(d *Span) {
		if len(d.Events) < maxEvents {
			d.Events = append(d.Events, Event{Time: config.Timestamp(), Name: name, Attributes: slices.Clone(config.Attributes())})
		}
	})
}

func (s *span) RecordError(err error, options ...trace.EventOption) {
	if err == nil {
		return
	}
	s.AddEvent("exception", append(options, trace.WithAttributes(
		attribute.String("exception.type", fmt.Sprintf("%T", err)), attribute.String("exception.message", err.Error())))...)
}

// SetStatus implements trace.Span: Ok is final, and Unset says nothing.
func (s *span) SetStatus(code codes.Code, description string) {
	s.change(func(d *Span) {
		if code == codes.Unset || d.Status == codes.Ok {
			return
		}
		if d.Status, d.StatusMessage = code, ""; code == codes.Error {
			d.StatusMessage = description
		}
	})
}

func (s *span) SetName(name string) { s.change(func(d *Span) { d.Name = name }) }

func (s *span) IsRecording() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended
}

func (s *span) SpanContext() trace.SpanContext       { return s.data.Context }
func (s *span) TracerProvider() trace.TracerProvider { return s.provider }
