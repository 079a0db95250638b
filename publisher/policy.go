package publisher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// The codes of entries that were not sent. They stand where EventBridge's stand,
// and such an entry fails alone.
const (
	CodeTooLarge = "EventTooLarge" // larger than WithRefusal allows
	CodeClaim    = "ClaimFailed"   // its detail could not be put where WithClaims says
	CodeLoop     = "LoopSuspected" // WithLoopRefusal
)

// CodeNoResult is the code of an entry that was sent and of which the answer
// says nothing: whether it was taken is not known.
const CodeNoResult = "NoResult"

// sizePolicies say what happens to an event over a size.
type sizePolicies struct {
	byType map[string]sizePolicy
	rest   sizePolicy
}

type sizePolicy struct {
	over   int // bytes; 0: no policy
	claims *claimcheck.Checker
}

func (s *sizePolicies) set(p sizePolicy, eventTypes []string) {
	if len(eventTypes) == 0 {
		s.rest = p
		return
	}
	byType := map[string]sizePolicy{}
	for name, other := range s.byType {
		byType[name] = other
	}
	for _, name := range eventTypes {
		byType[name] = p
	}
	s.byType = byType
}

func (s *sizePolicies) of(eventType string) sizePolicy {
	if p, ok := s.byType[eventType]; ok {
		return p
	}
	return s.rest
}

// WithRefusal refuses events of more than so many bytes, by EventBridge's count
// and before they are stamped: such an entry is not sent, and its code is
// CodeTooLarge. No event types means those without a policy of their own, and 0
// refuses none: WithRefusal(0, "Report") exempts a type. By default nothing is
// refused.
func WithRefusal(over int, eventTypes ...string) Option {
	return optionFunc(func(c *core) { c.sizes.set(sizePolicy{over: over}, eventTypes) })
}

// WithClaims puts the details of events of more than so many bytes where
// claims says, and sends what is left of them (see claimcheck). An entry whose
// detail could not be put is not sent, and its code is CodeClaim. Every consumer
// of these types must understand claims.
func WithClaims(claims *claimcheck.Checker, over int, eventType string, more ...string) Option {
	return optionFunc(func(c *core) { c.sizes.set(sizePolicy{over: over, claims: claims}, append(more, eventType)) })
}

// LoopRule says which events are not published because they go round in a
// circle. The zero value refuses more hops than WithTracing allows.
type LoopRule struct {
	// ErrorTypes are notifications of errors: one of them that is published while
	// one of them is being handled is refused, whatever its hops.
	ErrorTypes []string
}

// WithLoopRefusal refuses events beyond the hop limit of WithTracing, 16 by
// default, and error notifications that an error notification causes. Such an
// entry is not sent, and its code is CodeLoop.
func WithLoopRefusal(rule LoopRule) Option {
	return optionFunc(func(c *core) { c.loops = &rule })
}

// verdict is why an entry is not sent; the zero value says that it is.
type verdict struct{ code, message string }

// judge takes out of w what is not to be sent, with its result, and puts
// details aside. The caller's entries are left as they are.
func (c *core) judge(ctx context.Context, w *work, results []Result) {
	if c.loops == nil && c.sizes.rest.over == 0 && c.sizes.byType == nil {
		return
	}
	entries, verdicts := slices.Clone(w.entries), make([]verdict, len(w.entries))
	var puts together
	for i := range entries {
		e, out, v := &entries[i], &w.out[i], &verdicts[i]
		if *v = c.looping(ctx, e, out); v.code != "" {
			continue
		}
		switch p, size := c.sizes.of(e.DetailType), stamping.Size(e); {
		case p.over == 0 || size <= p.over:
		case p.claims == nil:
			*v = verdict{CodeTooLarge, fmt.Sprintf("the event has %d bytes, and %d are allowed for %s", size, p.over, e.DetailType)}
		default:
			puts.do(func() { *v = putAside(ctx, p.claims, e, out) })
		}
	}
	puts.wait()
	kept := work{entries: entries[:0], out: w.out[:0], at: w.at[:0]}
	for i, v := range verdicts {
		e, out := entries[i], w.out[i]
		if v.code != "" {
			results[i] = Result{ErrorCode: v.code, ErrorMessage: v.message}
			c.refused(ctx, &e, &out, v.code)
			continue
		}
		kept.entries, kept.out, kept.at = append(kept.entries, e), append(kept.out, out), append(kept.at, i)
	}
	*w = kept
}

// putAside puts the detail of e where claims says, and leaves what is sent of it.
func putAside(ctx context.Context, claims *claimcheck.Checker, e *tracing.Entry, out *tracing.Outgoing) verdict {
	detail, err := claims.Put(ctx, e.Detail, claimcheck.Names{EventType: e.DetailType, CorrelationID: out.Lineage.CorrelationID, EventID: out.EventID})
	if err != nil {
		return verdict{CodeClaim, err.Error()}
	}
	e.Detail = detail
	return verdict{}
}

// claimsAtOnce is how many details are put aside at a time.
const claimsAtOnce = 8

// together does things side by side. What panics panics again in wait, where
// the caller can recover it.
type together struct {
	group sync.WaitGroup
	room  chan struct{}
	fault atomic.Pointer[any]
}

func (t *together) do(thing func()) {
	if t.room == nil {
		t.room = make(chan struct{}, claimsAtOnce)
	}
	t.room <- struct{}{}
	t.group.Go(func() {
		defer func() {
			if reason := recover(); reason != nil {
				t.fault.Store(&reason)
			}
			<-t.room
		}()
		thing()
	})
}

func (t *together) wait() {
	t.group.Wait()
	if fault := t.fault.Load(); fault != nil {
		panic(*fault)
	}
}

func (c *core) looping(ctx context.Context, e *tracing.Entry, out *tracing.Outgoing) verdict {
	if c.loops == nil {
		return verdict{}
	}
	if most := c.tracing.HopLimit(); out.Lineage.Hops > most {
		return verdict{CodeLoop, fmt.Sprintf("the workflow %s has come to %d hops, and %d are the limit: %s is not published", out.Lineage.CorrelationID, out.Lineage.Hops, most, e.DetailType)}
	}
	if !slices.Contains(c.loops.ErrorTypes, e.DetailType) {
		return verdict{}
	}
	if d := tracing.DeliveryFromContext(ctx); d != nil && out.Lineage.ParentID != "" {
		for i := range d.Events {
			if handled := &d.Events[i]; handled.ID == out.Lineage.ParentID && slices.Contains(c.loops.ErrorTypes, handled.Type) {
				return verdict{CodeLoop, fmt.Sprintf("%s would notify of an error while %s notifies of one: it is not published", e.DetailType, handled.Type)}
			}
		}
	}
	return verdict{}
}

// refused records an entry that is not sent.
func (c *core) refused(ctx context.Context, e *tracing.Entry, out *tracing.Outgoing, code string) {
	size := stamping.Size(e)
	record := func(name metrics.Name, value float64, kind string) {
		c.stamping.Metrics.Record(metrics.Observation{At: c.stamping.Now(), Name: name, Value: value, Kind: kind,
			EventType: e.DetailType, EventID: out.EventID, CorrelationID: out.Lineage.CorrelationID})
	}
	record(metrics.PayloadSize, float64(size), "")
	record(metrics.PayloadLimitUtilization, sizemeter.Utilization(size, c.stamping.Limit), "")
	record(metrics.EventsFailed, 1, code)
	if c.stamping.Oversized(e.DetailType, size) {
		record(metrics.OversizedEvents, 1, "")
	}
	trace.SpanFromContext(ctx).AddEvent("event not published", trace.WithAttributes(attribute.String("error.type", code),
		attribute.String(tracing.AttrEventType, e.DetailType), attribute.String(tracing.AttrEventID, out.EventID),
		attribute.String(tracing.AttrCorrelationID, out.Lineage.CorrelationID), attribute.Int(tracing.AttrEntrySize, size)))
}
