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

	"github.com/throughline/throughline/internal/lineage"
)

// MaxLinks is how many links a span of a [Provider] keeps unless its Limits set
// another number.
const MaxLinks = 1_000

// Limits are the limits of one span. What exceeds them is dropped and, for links,
// counted. Zero means 128 attributes and events, MaxLinks links, and values of any
// length. A negative limit means none, or values of any length.
type Limits struct{ Attributes, Events, Links, ValueLength int }

const (
	defaultAttributes = 128
	defaultEvents     = 128
)

func limit(of, otherwise int) int {
	if of == 0 {
		return otherwise
	}
	return max(of, 0)
}

// Provider is a small trace.TracerProvider for the layer's binary: it encodes each
// ended span and passes it to Export at once. It follows the sampling decision of
// package tracing, else the parent's, else Sample. IDs come from crypto/rand. It is
// safe for concurrent use if its functions are, and must not be changed once in use.
// The zero value records everything and exports nothing.
type Provider struct {
	embedded.TracerProvider

	Resource func() Resource // of the span that ends; nil means none
	// Sample decides about roots; nil samples all.
	Sample func(trace.TraceID) bool
	// Export receives an ExportTraceServiceRequest. Nil drops it.
	Export func(request []byte)
	// Take, if set, receives each ended span instead of Export.
	Take func(Resource, Span)
	// Unsampled also records spans that are not sampled: Take distinguishes them by
	// their Context. Export receives none of them.
	Unsampled bool
	Limits    Limits
}

// Tracer implements trace.TracerProvider; the scope is Resource's.
func (p *Provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return &tracer{provider: p} }

// Write exports a span that the caller has timed, if it is sampled.
func (p *Provider) Write(s Span) {
	sampled := s.Context.IsSampled()
	if p.Export == nil && p.Take == nil || !sampled && !p.Unsampled {
		return
	}
	var r Resource
	if p.Resource != nil {
		r = p.Resource()
	}
	if p.Take != nil {
		p.Take(r, s)
	} else if sampled {
		p.Export(Encode(r, s))
	}
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
	p := t.provider
	sc := lineage.Mint(parent).WithTraceState(parent.TraceState())
	if p.sampled(ctx, parent, sc.TraceID()) {
		sc = sc.WithTraceFlags(trace.FlagsSampled)
	} else if !p.Unsampled {
		_, span := noop.Tracer{}.Start(trace.ContextWithSpanContext(ctx, sc), name)
		return trace.ContextWithSpan(ctx, span), span
	}
	s := &span{provider: p, data: Span{
		Context: sc, Parent: parent, Name: name, Kind: trace.ValidateSpanKind(config.SpanKind()), Start: config.Timestamp(),
	}}
	if s.data.Start.IsZero() {
		s.data.Start = time.Now()
	}
	attributes := config.Attributes() // attributes and links are copies
	s.data.Attributes = attributes[:0]
	for _, a := range attributes {
		p.Limits.set(&s.data, a)
	}
	s.data.Links = slices.DeleteFunc(config.Links(), isNoLink)
	if n, most := len(s.data.Links), limit(p.Limits.Links, MaxLinks); n > most {
		s.data.Links, s.data.DroppedLinks = s.data.Links[:most], n-most
	}
	return trace.ContextWithSpan(ctx, s), s
}

func (p *Provider) sampled(ctx context.Context, parent trace.SpanContext, id trace.TraceID) bool {
	wish := lineage.SamplingDecisionFromContext(ctx, id)
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

// span is a recorded span. It is safe for concurrent use.
type span struct {
	embedded.Span
	provider *Provider

	mu    sync.Mutex
	ended bool
	data  Span
}

var _ trace.Span = (*span)(nil)

// change applies f unless the span has ended.
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
		d.Attributes = slices.Grow(d.Attributes, len(attributes))
		for _, a := range attributes {
			s.provider.Limits.set(d, a)
		}
	})
}

// set sets an attribute within the limits. It replaces the value of an existing key.
func (l *Limits) set(s *Span, a attribute.KeyValue) {
	if !a.Valid() {
		return
	}
	if l.ValueLength > 0 {
		a.Value = shortened(a.Value, l.ValueLength)
	}
	for i := range s.Attributes {
		if s.Attributes[i].Key == a.Key {
			s.Attributes[i] = a
			return
		}
	}
	if len(s.Attributes) < limit(l.Attributes, defaultAttributes) {
		s.Attributes = append(s.Attributes, a)
	}
}

// shortened returns v with its strings truncated to n characters.
func shortened(v attribute.Value, n int) attribute.Value {
	cut := func(s string) string {
		for at := range s {
			if n--; n < 0 {
				return s[:at]
			}
		}
		return s
	}
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(cut(v.AsString()))
	case attribute.STRINGSLICE:
		list, most := v.AsStringSlice(), n
		for i := range list {
			n = most
			list[i] = cut(list[i])
		}
		return attribute.StringSliceValue(list)
	default:
		return v
	}
}

func isNoLink(link trace.Link) bool {
	return !link.SpanContext.IsValid() && len(link.Attributes) == 0
}

func (s *span) AddLink(link trace.Link) {
	s.change(func(d *Span) {
		if isNoLink(link) {
			return
		}
		if len(d.Links) >= limit(s.provider.Limits.Links, MaxLinks) {
			d.DroppedLinks++
			return
		}
		d.Links = append(d.Links, trace.Link{SpanContext: link.SpanContext, Attributes: slices.Clone(link.Attributes)})
	})
}

func (s *span) AddEvent(name string, options ...trace.EventOption) {
	config := trace.NewEventConfig(options...)
	s.change(func(d *Span) {
		if len(d.Events) < limit(s.provider.Limits.Events, defaultEvents) {
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

// SetStatus implements trace.Span: Ok is final, and Unset is ignored.
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
