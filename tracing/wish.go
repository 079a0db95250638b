package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// SamplingWish is what a sampler, or a TracerProvider that samples by itself,
// is asked to decide for the span that is being started with a context. The
// zero value leaves the decision to it.
type SamplingWish struct {
	// Decided says that Sampled is the decision, whatever the parent's flag: a
	// workflow is recorded whole or not at all.
	Decided, Sampled bool
	// Root says that the decision is to be made as for a root span, although
	// the span may have a parent: that parent's flag is nobody's decision.
	Root bool
}

// wish is a SamplingWish that may still have to be asked for by trace ID.
type wish struct {
	SamplingWish
	sample func(trace.TraceID) bool
}

type wishKey struct{}

// wishContext is a context with a wish: one piece of memory a span.
type wishContext struct {
	context.Context
	wish wish
}

// Value implements context.Context.
func (c *wishContext) Value(key any) any {
	if key == (wishKey{}) {
		return &c.wish
	}
	return c.Context.Value(key)
}

// SamplingWishFromContext returns the wish in ctx about a span in trace id. It
// is for a sampler, and is in the context of the span's start alone.
func SamplingWishFromContext(ctx context.Context, id trace.TraceID) SamplingWish {
	w, _ := ctx.Value(wishKey{}).(*wish)
	switch {
	case w == nil:
		return SamplingWish{}
	case !w.Decided && w.sample != nil:
		return SamplingWish{Decided: true, Sampled: w.sample(id)}
	}
	return w.SamplingWish
}

func contextWithWish(ctx context.Context, w wish) context.Context {
	if !w.Decided && !w.Root && w.sample == nil {
		return ctx
	}
	return &wishContext{ctx, w}
}

// undecided is the wish of a trace that nothing upstream has decided.
func (c Config) undecided() wish {
	return wish{SamplingWish: SamplingWish{Root: true}, sample: c.Sample}
}

// batchWish is that of the span which publishes an event of handled, or at
// least of its workflow. In a batch of several workflows the process span is
// recorded when any of them is, so its flag does not speak for each.
func batchWish(d *Delivery, handled, workflow *Event) wish {
	if handled == nil {
		handled = workflow
	}
	if handled == nil || len(d.Events) < 2 {
		return wish{}
	}
	return decidedBy(&handled.Lineage)
}

// decidedBy is the decision that an event carried, if it did.
func decidedBy(l *Lineage) wish {
	sampled, decided := l.sampled()
	return wish{SamplingWish: SamplingWish{Decided: decided, Sampled: decided && sampled}}
}

// publishingWish is that of a publishing span under parent.
func (s *Stamper) publishingWish(out *Outgoing, parent trace.SpanContext) wish {
	handled := out.Lineage.handled
	if parent.IsValid() {
		if !out.wish.Decided && handled != nil {
			return asParent(parent)
		}
		return out.wish
	}
	if handled != nil {
		if w := decidedBy(&handled.Lineage); w.Decided {
			return w
		}
	}
	return s.cfg.undecided()
}

// asParent is the parent's decision, which a sampler that is not based on
// parents would make anew in the middle of a workflow.
func asParent(parent trace.SpanContext) wish {
	return wish{SamplingWish: SamplingWish{Decided: true, Sampled: parent.IsSampled()}}
}
