package lineage

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// SamplingDecision is what a sampler, or a TracerProvider that samples by itself,
// is asked to decide for the span that is being started with a context. The
// zero value leaves the decision to it.
type SamplingDecision struct {
	// Decided says that Sampled is the decision, whatever the parent's flag: a
	// workflow is recorded whole or not at all.
	Decided, Sampled bool
	// Root says that the decision is to be made as for a root span, although
	// the span may have a parent: that parent's flag is nobody's decision.
	Root bool
}

// decision is a SamplingDecision that may still have to be asked for by trace ID.
type decision struct {
	SamplingDecision
	sample func(trace.TraceID) bool
}

type decisionKey struct{}

// decisionContext is a context with a decision: one piece of memory a span.
type decisionContext struct {
	context.Context
	decision decision
}

// Value implements context.Context.
func (c *decisionContext) Value(key any) any {
	if key == (decisionKey{}) {
		return &c.decision
	}
	return c.Context.Value(key)
}

// SamplingDecisionFromContext returns the decision in ctx about a span in trace id. It
// is for a sampler, and is in the context of the span's start alone.
func SamplingDecisionFromContext(ctx context.Context, id trace.TraceID) SamplingDecision {
	w, _ := ctx.Value(decisionKey{}).(*decision)
	switch {
	case w == nil:
		return SamplingDecision{}
	case !w.Decided && w.sample != nil:
		return SamplingDecision{Decided: true, Sampled: w.sample(id)}
	}
	return w.SamplingDecision
}

func contextWithDecision(ctx context.Context, w decision) context.Context {
	if !w.Decided && !w.Root && w.sample == nil {
		return ctx
	}
	return &decisionContext{ctx, w}
}

// undecided is the decision of a trace that nothing upstream has decided.
func (c Config) undecided() decision {
	return decision{SamplingDecision: SamplingDecision{Root: true}, sample: c.Sample}
}

// batchDecision is that of the span which publishes an event of handled, or at
// least of its workflow. In a batch of several workflows the process span is
// recorded when any of them is, so its flag does not speak for each.
func batchDecision(d *Delivery, handled, workflow *Event) decision {
	if handled == nil {
		handled = workflow
	}
	if handled == nil || d.Len() < 2 {
		return decision{}
	}
	return carriedDecision(&handled.Lineage)
}

// carriedDecision is the decision that an event carried, if it did.
func carriedDecision(l *Lineage) decision {
	sampled, decided := l.sampled()
	return decision{SamplingDecision: SamplingDecision{Decided: decided, Sampled: decided && sampled}}
}

// publishingDecision is that of a publishing span under parent.
func (s *Stamper) publishingDecision(out *Outgoing, parent trace.SpanContext) decision {
	handled := out.Lineage.handled
	if parent.IsValid() {
		if !out.decision.Decided && handled != nil {
			return parentDecision(parent)
		}
		return out.decision
	}
	if handled != nil {
		if w := carriedDecision(&handled.Lineage); w.Decided {
			return w
		}
	}
	return s.cfg.undecided()
}

// FollowParent returns ctx with the sampling decision that a span under parent
// is recorded exactly when parent is.
func FollowParent(ctx context.Context, parent trace.SpanContext) context.Context {
	return contextWithDecision(ctx, parentDecision(parent))
}

// parentDecision is the parent's decision, which a sampler that is not based on
// parents would make anew in the middle of a workflow.
func parentDecision(parent trace.SpanContext) decision {
	return decision{SamplingDecision: SamplingDecision{Decided: true, Sampled: parent.IsSampled()}}
}
