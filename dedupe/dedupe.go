package dedupe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a [Checker]. The zero value means a window of 10 000 events and one
// hour, and no shared store. An event uses about 122 bytes of memory, 16 of them
// for its identity. With a parent, a correlation ID and the IDs of the request and
// the span that handled it, it uses about 325: 3 MB for the whole window.
type Config struct {
	Window int           // events remembered; 0 means 10 000
	Age    time.Duration // how long; 0 means an hour
	Keys   Keys          // business keys, which [Checker.BusinessKey] finds
	// Consumer is the name of the consumer; empty means the function. Functions
	// that replace one another, such as blue and green, share one name.
	Consumer string
	Order    []Rule // which event types may not arrive before which others
	// Groups checks the order of sequence numbers in an event group of a new custom
	// bus, within one process.
	Groups bool

	// Store, if it is set, is shared by all processes of a consumer.
	Store Store
	// Keep is how long a store keeps an event; 0 means a week.
	Keep time.Duration
	// Wait is the maximum time that [Pending.Verdicts] waits for the store after
	// the handler has returned; 0 means 100 ms, which is enough for a new
	// connection. After a check that took longer, Verdicts does not wait until
	// the store is fast again.
	Wait time.Duration
	// Patience is the timeout of a call to the store; 0 means two seconds.
	// Only [Checker.Once] and [Checker.Claim] wait that long.
	Patience time.Duration
	// ShareOrder also keeps the order of events in the store. It costs one more
	// write for each event, and another for an event with a parent. Without it,
	// order is checked within one process.
	ShareOrder bool
	// KeepResult is the maximum size in bytes of a result that [Checker.Once]
	// keeps for repeats; a longer result is not kept. 0 means 4096; a negative
	// value keeps no result.
	KeepResult int
	// ReplaysPass makes [Checker.Once] handle replayed events again.
	ReplaysPass bool

	// Warn is called once for each problem with events or with the store, with
	// what to do. It may be called from any goroutine. Nil discards warnings.
	Warn func(message string)
}

const (
	defaultWindow   = 10_000
	defaultAge      = time.Hour
	defaultKeep     = 7 * 24 * time.Hour
	defaultWait     = 100 * time.Millisecond
	defaultPatience = 2 * time.Second
	defaultResult   = 4096

	// maxHopCounts is how many different hop counts of one type under one
	// correlation ID are not yet a loop: the branches of a fan-out differ in length.
	maxHopCounts = 3
	// maxSame is how many publications of one event ID in a row do not yet indicate
	// that the ID is a constant.
	maxSame = 16
	// maxSaid limits how many warnings are remembered.
	maxSaid = 32
)

// Checker remembers deliveries. It is safe for concurrent use; Check waits
// only for its own lock. Use [New]. A nil Checker reports every event as new.
type Checker struct {
	config Config
	seeds  seeds

	mu      sync.Mutex
	seen    window[sighting]
	caused  window[int64]    // by the parent's ID: when its first child arrived
	hops    window[uint64]   // by type and correlation ID: the hop counts, one bit each
	types   window[struct{}] // by type and correlation ID, for the rules of order
	groups  window[latest]   // by source and event group: the event with the highest sequence number
	same    key              // the event that was published repeatedly
	sameRun int
	said    []string

	slow   atomic.Bool  // the store's last response was late or missing
	asking atomic.Int32 // invocations whose checks are in progress

	reserved atomic.Int64 // deliveries of large batches that are checked in parallel with handlers
}

// New returns a Checker that has seen no event.
func New(config Config) *Checker {
	config.Window = or(config.Window, defaultWindow)
	config.Age = or(config.Age, defaultAge)
	config.Keep = or(config.Keep, defaultKeep)
	config.Wait = or(config.Wait, defaultWait)
	config.Patience = or(config.Patience, defaultPatience)
	config.KeepResult = cmp.Or(config.KeepResult, defaultResult)
	c := &Checker{config: config, seeds: newSeeds()}
	c.seen.limit, c.caused.limit, c.hops.limit, c.types.limit, c.groups.limit = config.Window, config.Window, config.Window, config.Window, config.Window
	return c
}

func or[N int | time.Duration](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Warm opens the store's connection, so that the first event does not wait for
// it. It returns when the connection is open or ctx ends: call it in a
// goroutine while the process starts.
func (c *Checker) Warm(ctx context.Context) {
	if c == nil {
		return
	}
	if store, ok := c.config.Store.(interface{ Warm(context.Context) }); ok {
		store.Warm(ctx)
	}
}

// Check returns what this process knows of d, and remembers d.
func (c *Checker) Check(d Delivery) Verdict {
	if c == nil {
		return Verdict{}
	}
	v, known := c.check(&d)
	v.setAwaited(known.awaited)
	return v
}

// memory is what the window knows in addition to a verdict.
type memory struct {
	hit      bool
	conflict bool   // another event of its identity was seen
	failing  bool   // an earlier handling of its envelope failed
	awaited  string // the type that d has to follow and this process has not seen
}

func (c *Checker) check(d *Delivery) (v Verdict, known memory) {
	if d.Direct {
		return v, known
	}
	constant := false
	s := c.subject(d)
	c.mu.Lock()
	if d.id() != "" {
		known.hit, known.failing = c.repeat(&v, &s)
		known.conflict = s.conflict
		if !known.hit || v.Kind != "" { // else it is a call, and calls have no order
			c.order(&v, &s)
			c.grouped(&v, &s)
		}
		constant = c.countSameID(&s, v.Kind)
	}
	if known.awaited = c.rules(&s); known.hit && v.Kind == "" {
		known.awaited = ""
	}
	c.loop(&v, &s)
	c.mu.Unlock()
	if c.config.Warn != nil {
		c.warnOfID(d, constant)
	}
	return v, known
}

// warnOfID warns about an unsuitable ID of an event.
func (c *Checker) warnOfID(d *Delivery, constant bool) {
	const withoutID = "an event of type %q from %q has no ID of its own, so it counts as new if it is published again: set THROUGHLINE_EVENT_ID to the JSON pointer of its ID, or THROUGHLINE_DEDUPE_KEYS. Without a pointer, an ID is a string or a number, of at most 4096 bytes, in event_id, eventId or a like spelling, at the top of the detail or in its metadata. The ID of the envelope is used"
	id := d.id()
	switch {
	case id == "":
		if d.EventType != "" { // without a type, it is from a schedule or a direct call
			c.say("an event of type %q has no ID, so no repeat of it is told: set THROUGHLINE_EVENT_ID to the JSON pointer of its ID", d.EventType)
		}
	case len(id) > maxKey:
		c.say("an event of type %q has an ID of %d bytes: it is kept as a hash; set THROUGHLINE_EVENT_ID to the JSON pointer of a shorter ID", d.EventType, len(id))
	case constant:
		c.say("event ID %.100q came under %d envelope IDs in a row: either it is published over and over, or THROUGHLINE_EVENT_ID points to what is the same for all events; correct it then", id, maxSame)
	case d.lacksID() && c.markSaid(withoutID): // for some publishers, this is true for all events
		c.config.Warn(fmt.Sprintf(withoutID, d.EventType, d.Source))
	}
}

// countSameID counts deliveries of one ID in a row, and reports, once for each
// such run, that the ID seems to be the same for all events.
func (c *Checker) countSameID(d *subject, kind Kind) bool {
	id := c.seeds.hash(d.id())
	switch {
	case kind != Republish && kind != Conflict:
		c.sameRun = 0
	case c.same == id:
		c.sameRun++
	default:
		c.same, c.sameRun = id, 1
	}
	return c.sameRun == maxSame
}

// BusinessKey returns the business key of an event of the type, "" if there is
// none: see [Keys.Of].
func (c *Checker) BusinessKey(eventType string, at func(pointer string) string) string {
	if c == nil || len(c.config.Keys) == 0 {
		return ""
	}
	id, err := c.config.Keys.Of(eventType, at)
	if err != nil {
		c.say("%s", err.Error())
	}
	return id
}

// Consumer returns the name of the consumer: the configured name, or else the
// function.
func (c *Checker) Consumer(function string) string {
	if c == nil || c.config.Consumer == "" {
		return function
	}
	return c.config.Consumer
}

// Done records how the handling of d ended. After a failure the next delivery
// is a retry.
func (c *Checker) Done(d Delivery, failed bool) {
	if c == nil || d.id() == "" {
		return
	}
	k := c.subject(&d)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sighting(&k); s != nil {
		s.setOutcome(&k, failed)
	}
}

// Len returns how many events are remembered.
func (c *Checker) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.len()
}

// say issues each warning once. Warnings that differ only in numbers are the same.
func (c *Checker) say(format string, args ...any) {
	if c.config.Warn == nil {
		return
	}
	about := format
	if format == "%s" {
		about = fmt.Sprint(args...)
	}
	if c.markSaid(about) {
		c.config.Warn(fmt.Sprintf(format, args...))
	}
}

// markSaid reports whether a warning is issued for the first time.
func (c *Checker) markSaid(about string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.said, about) || len(c.said) >= maxSaid {
		return false
	}
	c.said = append(c.said, about)
	return true
}
