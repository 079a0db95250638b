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

// Config of a [Checker]. The zero value is a window of 10 000 events and one
// hour, and no shared store. An event takes about 122 bytes of memory,
// its identity as 16 of them; with a parent, a correlation ID and the IDs of the
// request and the span that handled it about 325: 3 MB for the whole window.
type Config struct {
	Window int           // events remembered; 0 means 10 000
	Age    time.Duration // how long; 0 means an hour
	Keys   Keys          // business keys, which [Checker.BusinessKey] finds
	// Consumer is the name of the consumer; empty means the function. Functions
	// that replace one another, such as blue and green, share one name.
	Consumer string
	Order    []Rule // which type may not come before which
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
	// correlation ID are no loop yet: a fan-out joins at some.
	maxHopCounts = 3
	// maxSame is how many publications of one event ID in a row are no sign yet
	// that the ID is a constant.
	maxSame = 16
	// maxSaid bounds what is remembered of what was said.
	maxSaid = 32
)

// Checker remembers deliveries. It is safe for concurrent use; Check waits
// only for its own lock. Use [New]. A nil Checker reports every event as new.
type Checker struct {
	config Config
	seeds  seeds

	mu      sync.Mutex
	seen    window[sighting]
	caused  window[int64]    // by the parent's ID: when the first of its children came
	hops    window[uint64]   // by type and correlation ID: the hop counts, a bit each
	types   window[struct{}] // by type and correlation ID, for the rules of order
	groups  window[latest]   // by source and event group: the event that is furthest
	same    key              // the event that was published again and again
	sameRun int
	said    []string

	slow   atomic.Bool  // the store's last answer came too late, or not at all
	asking atomic.Int32 // invocations whose checks are under way

	reserved atomic.Int64 // deliveries of large batches that are checked beside handlers
}

// New returns a Checker that has seen nothing.
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

// memory is what the window says besides a verdict.
type memory struct {
	hit      bool
	conflict bool   // another event of its identity was seen
	failing  bool   // its envelope was handled before, and in vain
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
		if !known.hit || v.Kind != "" { // else it is a call, which has no place in the order
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

// warnOfID says what is wrong with the ID of an event.
func (c *Checker) warnOfID(d *Delivery, constant bool) {
	const withoutID = "an event of type %q from %q has no ID of its own, a string or a number of at most 4096 bytes: the ID of the envelope is used, so an event that is published again counts as new; set THROUGHLINE_EVENT_ID to the JSON pointer of its ID, or THROUGHLINE_DEDUPE_KEYS"
	id := d.id()
	switch {
	case id == "":
		if d.EventType != "" { // without even a type it is a schedule's or a direct call's
			c.say("an event of type %q has no ID, so no repeat of it is told: set THROUGHLINE_EVENT_ID to the JSON pointer of its ID", d.EventType)
		}
	case len(id) > maxKey:
		c.say("an event of type %q has an ID of %d bytes: it is kept as a hash; set THROUGHLINE_EVENT_ID to the JSON pointer of a shorter ID", d.EventType, len(id))
	case constant:
		c.say("event ID %.100q came under %d envelope IDs in a row: either it is published over and over, or THROUGHLINE_EVENT_ID points to what is the same for all events; correct it then", id, maxSame)
	case d.lacksID() && c.markSaid(withoutID): // as all events of some publishers
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

// BusinessKey is the business key of an event of the type, empty where there is
// none: [Keys.Of].
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

// Len is how many events are remembered.
func (c *Checker) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.len()
}

// say warns once of each thing; what differs by its numbers only is one thing.
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

// markSaid reports whether something is said for the first time.
func (c *Checker) markSaid(about string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.said, about) || len(c.said) >= maxSaid {
		return false
	}
	c.said = append(c.said, about)
	return true
}
