package eventsv2local

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// TransformerType is the kind of transformation of a subscriber's events.
type TransformerType string

// The transformers.
const (
	Raw          TransformerType = "RAW" // only Data; also the zero value
	WithMetadata TransformerType = "WITH_METADATA"
	JSONata      TransformerType = "JSONATA"
)

// Transformer defines what a target receives of an event. Expression is in JSONata,
// between {% and %}. It supports strings, numbers and null, objects, lists, paths from
// $events, [0] and [$ = "x"], & and =, $contains, $substringAfter, $string and $exists.
type Transformer struct {
	Type       TransformerType
	Expression string
}

// Invoke defines how a subscriber invokes its target.
type Invoke struct {
	TargetARN string // required: one of [Service.Target], or a bus's ARN
	// Sync waits for a function's response (REQUEST_RESPONSE).
	Sync bool
	// Attributes are the message attributes of a queue or a topic, each a constant or
	// an expression of the event.
	Attributes map[string]string
	// TraceHeader is the AWSTraceHeader of a queue's messages, a constant or an expression.
	TraceHeader string
	// Metadata, Group and DeduplicationID apply to an event on another bus; the last
	// two also to a message in a FIFO queue or topic.
	Metadata               map[string]string
	Group, DeduplicationID string
	ByContent              bool
}

// Spec is a subscriber. Name and Invoke.TargetARN are required; zero values are the
// API's defaults.
type Spec struct {
	Name        string
	Description string
	Invoke      Invoke
	Filters     []Filter
	Transformer Transformer
	FIFO        bool
	// MaxBatch is how many events a target receives at once; 0 means 10. With 1 a
	// function receives one object, otherwise an array.
	MaxBatch int
	Window   time.Duration // how long a batch waits to be full
	// MaxRetries after the first attempt; nil means 5. MaxAge is for how long delivery
	// is attempted; 0 means 300 s.
	MaxRetries *int
	MaxAge     time.Duration
	// DeadLetters is an ARN of [Service.DeadLetters]; empty drops failed events.
	DeadLetters string
	// From starts delivery with events from a point in time, Horizon with the oldest
	// event that is kept; neither means new events only. Until, if set, ends delivery.
	From, Until time.Time
	Horizon     bool
	Stopped     bool
}

const (
	defaultBatch   = 10
	defaultRetries = 5
	defaultAge     = 300 * time.Second
	maxBatch       = 500
)

// Subscriber is a subscriber of a bus. Use [Bus.Subscribe].
type Subscriber struct {
	ARN, Name string
	Created   time.Time

	bus      *Bus
	plan     *plan // immutable; an update replaces it
	stopped  bool
	removed  bool
	next     int // index in the bus's log of the first event not filtered yet
	queue    []*item
	lanes    map[string]bool // groups that are being delivered, if FIFO
	inFlight int
}

// plan is a validated specification with its compiled expressions.
type plan struct {
	Spec
	sub        *Subscriber
	transform  expression // of JSONATA
	attributes map[string]expression
}

// item is an event in delivery to a target.
type item struct {
	event    *Event
	delivery string
	since    time.Time // when it became deliverable
}

// Subscribe adds a subscriber. It returns an error if spec is invalid.
func (b *Bus) Subscribe(spec Spec) (*Subscriber, error) {
	s := b.service
	sub := &Subscriber{Name: spec.Name, bus: b, stopped: spec.Stopped, lanes: map[string]bool{}}
	var err error
	if sub.plan, err = sub.planOf(spec); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case b.active() != nil:
		return nil, b.active()
	case now.Before(b.creating):
		return nil, &Error{409, "ConcurrentModificationException", "another subscriber of the bus is being created"}
	case slices.ContainsFunc(b.subscribers, func(other *Subscriber) bool { return other.Name == spec.Name }):
		return nil, &Error{409, "ResourceAlreadyExistsException", "there is a subscriber of the name " + spec.Name}
	case s.targets[spec.Invoke.TargetARN] == nil && s.buses[spec.Invoke.TargetARN] == nil:
		return nil, invalid("the target %s is not known: name it with Service.Target", spec.Invoke.TargetARN)
	case spec.DeadLetters != "" && s.letters[spec.DeadLetters] == nil:
		return nil, invalid("the dead-letter queue %s is not known: name it with Service.DeadLetters", spec.DeadLetters)
	}
	b.creating = now.Add(s.options.Provisioning)
	sub.ARN = fmt.Sprintf("arn:aws:events:%s:%s:subscriber/%s/%s", s.options.Region, s.options.Account, spec.Name, generatedID())
	sub.Created = now
	sub.next = len(b.log)
	if spec.Horizon || !spec.From.IsZero() {
		sub.next = b.horizonLocked()
		for sub.next < len(b.log) && b.log[sub.next].Taken.Before(spec.From) {
			sub.next++
		}
	}
	b.subscribers = append(b.subscribers, sub)
	sub.fillLocked()
	s.running.Add(1)
	go sub.run()
	s.wakeLocked()
	return sub, nil
}

// planOf validates a specification and compiles its expressions.
func (sub *Subscriber) planOf(given Spec) (*plan, error) {
	p := &plan{Spec: given, sub: sub, attributes: map[string]expression{}}
	p.Filters = slices.Clone(given.Filters)
	spec := &p.Spec
	spec.MaxBatch, spec.MaxAge = cmp.Or(spec.MaxBatch, defaultBatch), cmp.Or(spec.MaxAge, defaultAge)
	if spec.MaxRetries == nil {
		retries := defaultRetries
		spec.MaxRetries = &retries
	}
	spec.Transformer.Type = cmp.Or(spec.Transformer.Type, Raw)
	switch {
	case !busName.MatchString(spec.Name):
		return nil, invalid("the name %q is not 1 to 256 letters, digits, dots, hyphens and underscores", spec.Name)
	case spec.MaxBatch < 1 || spec.MaxBatch > maxBatch:
		return nil, invalid("a batch has 1 to %d events, not %d", maxBatch, spec.MaxBatch)
	case spec.Window < 0 || spec.Window > 300*time.Second:
		return nil, invalid("a batch waits for up to 300 seconds")
	case *spec.MaxRetries < 0 || *spec.MaxRetries > 185:
		return nil, invalid("there are 0 to 185 retries, not %d", *spec.MaxRetries)
	case spec.MaxAge < time.Minute || spec.MaxAge > 24*time.Hour:
		return nil, invalid("an event is tried for 60 to 86400 seconds")
	case spec.Horizon && !spec.From.IsZero():
		return nil, invalid("a subscriber begins at the horizon or at a time, not at both")
	}
	for i := range spec.Filters {
		if err := spec.Filters[i].compile(); err != nil {
			return nil, invalid("filter %d: %v", i+1, err)
		}
	}
	switch spec.Transformer.Type {
	case Raw, WithMetadata:
	case JSONata:
		var err error
		if p.transform, err = compileExpression(spec.Transformer.Expression); err != nil {
			return nil, invalid("the transformer: %v", err)
		}
	default:
		return nil, invalid("the transformer %q is not RAW, WITH_METADATA or JSONATA", spec.Transformer.Type)
	}
	for name, text := range p.parameters() {
		if _, ok := isExpression(text); !ok {
			continue
		}
		e, err := compileExpression(text)
		if err != nil {
			return nil, invalid("the parameter %s: %v", name, err)
		}
		p.attributes[name] = e
	}
	return p, nil
}

// parameters returns all parameters of an Invoke that may be expressions, by name.
func (p *plan) parameters() map[string]string {
	all := map[string]string{"TraceHeader": p.Invoke.TraceHeader, "EventGroupId": p.Invoke.Group, "DeduplicationId": p.Invoke.DeduplicationID}
	for name, text := range p.Invoke.Attributes {
		all["attribute "+name] = text
	}
	for name, text := range p.Invoke.Metadata {
		all["metadata "+name] = text
	}
	return all
}

// Stop pauses the subscriber: new events wait on the bus.
func (sub *Subscriber) Stop() {
	sub.bus.service.mu.Lock()
	defer sub.bus.service.mu.Unlock()
	sub.stopped = true
	sub.bus.service.wakeLocked()
}

// Resume restarts a stopped subscriber: where it stopped, as far as the bus still keeps
// the events, or with latest with new events only.
func (sub *Subscriber) Resume(latest bool) {
	sub.bus.service.mu.Lock()
	defer sub.bus.service.mu.Unlock()
	if !sub.stopped {
		return
	}
	sub.stopped = false
	if latest {
		sub.queue, sub.next = nil, len(sub.bus.log)
	}
	oldest := sub.bus.service.now().AddDate(0, 0, -sub.bus.RetentionDays)
	sub.queue = slices.DeleteFunc(sub.queue, func(i *item) bool { return i.event.Taken.Before(oldest) })
	sub.next = max(sub.next, sub.bus.horizonLocked())
	sub.fillLocked()
	sub.bus.service.wakeLocked()
}

// Delete removes the subscriber and its undelivered events.
func (sub *Subscriber) Delete() {
	s := sub.bus.service
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.removed, sub.queue = true, nil
	sub.bus.subscribers = slices.DeleteFunc(sub.bus.subscribers, func(other *Subscriber) bool { return other == sub })
	s.wakeLocked()
}

// fillLocked queues new events that match.
func (sub *Subscriber) fillLocked() {
	if sub.stopped || sub.removed {
		return
	}
	now := sub.bus.service.now()
	for ; sub.next < len(sub.bus.log); sub.next++ {
		e := sub.bus.log[sub.next]
		if !sub.plan.Until.IsZero() && !e.Taken.Before(sub.plan.Until) {
			continue
		}
		delivery := live
		if e.Taken.Before(sub.Created) || e.Replay != "" {
			delivery = replayed
		}
		sub.countLocked("FilterEvaluated", 1)
		if slices.ContainsFunc(sub.plan.Filters, func(f Filter) bool { return !f.match(e, delivery) }) {
			continue
		}
		sub.countLocked("FilterMatched", 1)
		sub.queue = append(sub.queue, &item{event: e, delivery: delivery, since: now})
	}
}

// busyLocked reports whether there is an event left to deliver.
func (sub *Subscriber) busyLocked() bool {
	return sub.inFlight > 0 || !sub.stopped && !sub.removed && len(sub.queue) > 0
}
