package publisher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/internal/lineage"
)

// The codes of entries that were not sent. They are in ErrorCode, like
// EventBridge's codes. Only such an entry fails, not its request.
const (
	CodeTooLarge = "EventTooLarge" // larger than WithRefusal allows
	CodeClaim    = "ClaimFailed"   // its detail could not be stored, see WithClaims
	CodeLoop     = "LoopSuspected" // refused by WithLoopRefusal
)

// CodeNoResult is the code of an entry that was sent and for which the
// response has no result: whether it was published is not known.
const CodeNoResult = "NoResult"

// sizePolicies are the policies for events over a size.
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
	maps.Copy(byType, s.byType)
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

// WithRefusal refuses events of more than over bytes, as EventBridge counts
// them, before the stamp: such an entry is not sent, and its code is
// CodeTooLarge. Without eventTypes it applies to all types that have no policy
// of their own. 0 refuses none: WithRefusal(0, "Report") exempts a type. By
// default no event is refused.
func WithRefusal(over int, eventTypes ...string) Option {
	return optionFunc(func(c *core) { c.sizes.set(sizePolicy{over: over}, eventTypes) })
}

// WithClaims stores the details of events of more than over bytes with claims,
// and sends claims instead (see package claimcheck). If a detail cannot be
// stored, its entry is not sent, and its code is CodeClaim. Every consumer of
// these types must understand claims.
func WithClaims(claims *claimcheck.Checker, over int, eventType string, more ...string) Option {
	return optionFunc(func(c *core) { c.sizes.set(sizePolicy{over: over, claims: claims}, append(more, eventType)) })
}

// LoopRule selects the events that are not published because a loop is
// suspected. The zero value refuses events with more hops than WithTracing
// allows.
type LoopRule struct {
	// ErrorTypes are the types of error notifications. An event of such a type is
	// refused, whatever its hops, if it is published while an event of such a
	// type is being handled.
	ErrorTypes []string
}

// WithLoopRefusal refuses events beyond the hop limit of WithTracing, 16 by
// default, and error notifications that an error notification causes. Such an
// entry is not sent, and its code is CodeLoop.
func WithLoopRefusal(rule LoopRule) Option {
	return optionFunc(func(c *core) { c.loops = &rule })
}

// admit returns the entries to send, and sets the results of the others. It
// stores details that need a claim.
func (c *core) admit(ctx context.Context, batch []*lineage.Outgoing) []*lineage.Outgoing {
	if c.loops == nil && c.sizes.rest.over == 0 && c.sizes.byType == nil {
		return batch
	}
	var puts parallel
	for _, o := range batch {
		if c.refuseLoop(o) {
			continue
		}
		switch p := c.sizes.of(o.DetailType); {
		case p.over == 0 || o.Size <= p.over:
		case p.claims != nil && o.Operation == lineage.PutRawEvents: // its data may not be JSON
		case p.claims == nil:
			o.Result = Result{ErrorCode: CodeTooLarge, ErrorMessage: fmt.Sprintf("the event has %d bytes, and %d are allowed for %s", o.Size, p.over, o.DetailType)}
		default:
			puts.do(func() { putAside(ctx, p.claims, o) })
		}
	}
	puts.wait()
	admitted := batch[:0]
	for _, o := range batch {
		if o.Result.ErrorCode == "" {
			admitted = append(admitted, o)
			continue
		}
		c.stamping.Measure(c.stamping.Now(), o, o.Result.ErrorCode)
		trace.SpanFromContext(ctx).AddEvent("event not published", trace.WithAttributes(attribute.String("error.type", o.Result.ErrorCode),
			attribute.String(lineage.AttrEventType, o.DetailType), attribute.String(lineage.AttrEventID, o.EventID),
			attribute.String(lineage.AttrCorrelationID, o.Lineage.CorrelationID), attribute.Int(lineage.AttrEntrySize, o.Size)))
	}
	return admitted
}

// putAside stores the detail of o and replaces it with a claim.
func putAside(ctx context.Context, claims *claimcheck.Checker, o *lineage.Outgoing) {
	detail, err := claims.Put(ctx, o.Detail, claimcheck.Names{EventType: o.DetailType, CorrelationID: o.Lineage.CorrelationID, EventID: o.EventID})
	if err != nil {
		o.Result = Result{ErrorCode: CodeClaim, ErrorMessage: err.Error()}
		return
	}
	o.Size += len(detail) - len(o.Detail)
	o.Detail = detail
}

// claimsAtOnce is the number of details that are stored in parallel.
const claimsAtOnce = 8

// parallel runs functions in parallel. wait panics again with the panic of a
// function, so that the caller can recover it.
type parallel struct {
	group sync.WaitGroup
	slots chan struct{}
	fault atomic.Pointer[any]
}

func (p *parallel) do(f func()) {
	if p.slots == nil {
		p.slots = make(chan struct{}, claimsAtOnce)
	}
	p.slots <- struct{}{}
	p.group.Go(func() {
		defer func() {
			if reason := recover(); reason != nil {
				p.fault.Store(&reason)
			}
			<-p.slots
		}()
		f()
	})
}

func (p *parallel) wait() {
	p.group.Wait()
	if fault := p.fault.Load(); fault != nil {
		panic(*fault)
	}
}

// refuseLoop reports whether o is refused because a loop is suspected, and sets
// its result. It considers only the event that is being handled, and no other
// event of its batch, whose lineage a stranger may have invented.
func (c *core) refuseLoop(o *lineage.Outgoing) bool {
	handled := o.Handled()
	if c.loops == nil || handled == nil {
		return false
	}
	message := ""
	most, errorTypes := c.tracing.HopLimit(), c.loops.ErrorTypes
	switch {
	case o.Lineage.Hops > most:
		message = fmt.Sprintf("the workflow %s has come to %d hops, and %d are the limit: %s is not published", o.Lineage.CorrelationID, o.Lineage.Hops, most, o.DetailType)
	case slices.Contains(errorTypes, o.DetailType) && slices.Contains(errorTypes, handled.Type):
		message = fmt.Sprintf("%s would notify of an error while %s notifies of one: it is not published", o.DetailType, handled.Type)
	default:
		return false
	}
	o.Result = Result{ErrorCode: CodeLoop, ErrorMessage: message}
	return true
}
