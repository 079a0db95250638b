package lineage

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// SamplingDecision is an instruction to a sampler, or to a TracerProvider that samples
// itself, for the span that is being started with a context. The zero value leaves
// the decision to the sampler.
type SamplingDecision struct {
	// Decided means that Sampled is the decision, regardless of the parent's flag: a
	// workflow is sampled as a whole or not at all.
	Decided, Sampled bool
	// Root means that the sampler has to decide as for a root span, even if the span
	// has a parent: that parent's flag is not a sampling decision.
	Root bool
}

// decision is a SamplingDecision that sample may still have to make from the trace ID.
type decision struct {
	SamplingDecision
	sample func(trace.TraceID) bool
}

type decisionKey struct{}

// decisionContext is a context with a decision, in one allocation for each span.
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
// is for samplers: only the context with which a span is started has a decision.
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

// undecided returns the decision for a trace that no upstream service has decided.
func (c Config) undecided() decision {
	return decision{SamplingDecision: SamplingDecision{Root: true}, sample: c.Sample}
}

// batchDecision returns the decision for the span of an event that is published for
// handled or, if that is nil, in workflow. The process span of a batch is sampled if
// any event is, so its flag is not the decision of each workflow.
func batchDecision(d *Delivery, handled, workflow *Event) decision {
	if handled == nil {
		handled = workflow
	}
	if handled == nil || d.Len() < 2 {
		return decision{}
	}
	return carriedDecision(&handled.Lineage)
}

// carriedDecision returns the decision that an event carried, if any.
func carriedDecision(l *Lineage) decision {
	sampled, decided := l.sampled()
	return decision{SamplingDecision: SamplingDecision{Decided: decided, Sampled: decided && sampled}}
}

// publishingDecision returns the decision for a publishing span under parent.
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

// FollowParent returns ctx with the decision that a span under parent is sampled
// exactly if parent is.
func FollowParent(ctx context.Context, parent trace.SpanContext) context.Context {
	return contextWithDecision(ctx, parentDecision(parent))
}

// parentDecision returns the parent's decision. Without it, a sampler that is not
// parent-based would decide again in the middle of a workflow.
func parentDecision(parent trace.SpanContext) decision {
	return decision{SamplingDecision: SamplingDecision{Decided: true, Sampled: parent.IsSampled()}}
}
