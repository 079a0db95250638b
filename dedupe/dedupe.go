package dedupe

import (
	"hash/maphash"
	"sync"
	"time"
)

// Kind is the kind of a repeat. The zero value is none: the event is new.
type Kind string

// The kinds of repeat.
const (
	// Retry is the same delivery again because it did not succeed: the same
	// request ID, an SQS record received more than once, or a first handling
	// that ended in error.
	Retry Kind = "retry"
	// Redelivery is the same envelope ID again after a success.
	Redelivery Kind = "redelivery"
	// Republish is the same event ID under another envelope ID.
	Republish Kind = "republish"
	// Replay is an event that an archive's replay delivers and that was seen before.
	Replay Kind = "replay"
)

// Delivery is one event as it reached a consumer. EventID is required; without
// one nothing can be told.
type Delivery struct {
	Consumer      string // who handles it: a function's name
	EventType     string
	EventID       string
	BusinessKey   string // where a type has one it stands for the event ID, which a publication anew changes
	EnvelopeID    string
	CorrelationID string
	ParentID      string // the event that was being handled when this one was published
	RequestID     string
	ReplayName    string
	ReceiveCount  int // ApproximateReceiveCount of SQS, else 0
	Hops          int
	At            time.Time
	Traceparent   string // of the span that handles it
}

// Verdict is what is known of a delivery. The zero value is a new event in order.
type Verdict struct {
	Kind Kind
	// Count is how often the event was delivered before, as far as is known.
	Count            int
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string
	// OutOfOrder says that an event this one had caused came earlier, by Early.
	OutOfOrder bool
	Early      time.Duration
	// Loop says that the event has more hops than the limit, or that its type
	// was handled under its correlation ID at more than three hop counts.
	Loop bool
}

// Config of a [Checker]. The zero value is a window of 10 000 events and one
// hour, and 16 hops.
type Config struct {
	Window  int           // events remembered; 0 means 10 000
	Age     time.Duration // how long; 0 means an hour
	MaxHops int           // 0 means 16
}

const (
	defaultWindow  = 10_000
	defaultAge     = time.Hour
	defaultMaxHops = 16
	// maxHopCounts is how many different hop counts of one type under one
	// correlation ID are no loop yet: a fan-out joins at some.
	maxHopCounts = 3
)

// Checker remembers what was delivered. It is safe for concurrent use, and
// never waits but for its own lock. Use [New].
type Checker struct {
	config Config
	seed1  maphash.Seed
	seed2  maphash.Seed

	mu     sync.Mutex
	seen   window[sighting]
	caused window[time.Time] // by the parent's ID: when the first of its children came
	hops   window[uint64]    // by type and correlation ID: the hop counts, a bit each
}

// sighting is what is remembered of an event.
type sighting struct {
	at          time.Time
	envelope    key
	request     string
	traceparent string
	count       int
	failed      bool
}

// key is 16 bytes that stand for a consumer and an ID. Two different ones fall
// together once in 2^64 pairs or so.
type key struct{ a, b uint64 }

// New returns a Checker that has seen nothing.
func New(config Config) *Checker {
	if config.Window <= 0 {
		config.Window = defaultWindow
	}
	if config.Age <= 0 {
		config.Age = defaultAge
	}
	if config.MaxHops <= 0 {
		config.MaxHops = defaultMaxHops
	}
	c := &Checker{config: config, seed1: maphash.MakeSeed(), seed2: maphash.MakeSeed()}
	c.seen.limit, c.caused.limit, c.hops.limit = config.Window, config.Window, config.Window
	return c
}

func (c *Checker) key(consumer, id string) key {
	return key{c.hash(c.seed1, consumer, id), c.hash(c.seed2, consumer, id)}
}

func (c *Checker) hash(seed maphash.Seed, consumer, id string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(consumer)
	h.WriteByte(0) // no consumer's name holds one
	h.WriteString(id)
	return h.Sum64()
}

// Check says what is known of d and remembers it. A nil Checker knows nothing.
func (c *Checker) Check(d Delivery) Verdict {
	if c == nil || d.id() == "" {
		return Verdict{}
	}
	k := c.key(d.Consumer, d.id())
	var envelope key
	if d.EnvelopeID != "" {
		envelope = c.key("", d.EnvelopeID)
	}
	expired := d.At.Add(-c.config.Age)

	c.mu.Lock()
	defer c.mu.Unlock()
	v := Verdict{}
	c.repeat(&v, k, envelope, d, expired)
	c.order(&v, d, expired)
	c.loop(&v, d, expired)
	return v
}

func (d Delivery) id() string {
	if d.BusinessKey != "" {
		return d.BusinessKey
	}
	return d.EventID
}

func (c *Checker) repeat(v *Verdict, k, envelope key, d Delivery, expired time.Time) {
	first := c.seen.get(k, expired)
	if first == nil {
		if d.ReceiveCount > 1 { // seen by another environment: the queue says so
			v.Kind, v.Count = Retry, d.ReceiveCount-1
		}
		c.seen.put(k, d.At, sighting{at: d.At, envelope: envelope, request: d.RequestID, traceparent: d.Traceparent, count: 1})
		return
	}
	v.Count, v.FirstAt, v.FirstRequestID, v.FirstTraceparent = first.count, first.at, first.request, first.traceparent
	sameEnvelope := envelope == first.envelope
	switch {
	case d.RequestID != "" && d.RequestID == first.request, sameEnvelope && d.ReceiveCount > 1:
		v.Kind = Retry
	case d.ReplayName != "": // says so itself, whatever became of the first handling
		v.Kind = Replay
	case sameEnvelope && first.failed:
		v.Kind = Retry
	case sameEnvelope:
		v.Kind = Redelivery
	default:
		v.Kind = Republish
	}
	first.count++
}

// order flags d when one of its children came before it.
func (c *Checker) order(v *Verdict, d Delivery, expired time.Time) {
	own := c.key(d.Consumer, d.EventID)
	if child := c.caused.get(own, expired); child != nil && v.Kind == "" {
		v.OutOfOrder, v.Early = true, d.At.Sub(*child)
	}
	if d.ParentID == "" || d.ParentID == d.EventID {
		return
	}
	parent := c.key(d.Consumer, d.ParentID)
	if c.caused.get(parent, expired) == nil {
		c.caused.put(parent, d.At, d.At)
	}
}

func (c *Checker) loop(v *Verdict, d Delivery, expired time.Time) {
	if d.Hops > c.config.MaxHops {
		v.Loop = true
	}
	if d.CorrelationID == "" || d.EventType == "" {
		return
	}
	k := c.key(d.Consumer+"\x00"+d.EventType, d.CorrelationID)
	counts := c.hops.get(k, expired)
	if counts == nil {
		c.hops.put(k, d.At, hopBit(d.Hops))
		return
	}
	*counts |= hopBit(d.Hops)
	if ones(*counts) > maxHopCounts {
		v.Loop = true
	}
}

func hopBit(hops int) uint64 { return 1 << min(max(hops, 0), 63) }

func ones(bits uint64) (n int) {
	for ; bits != 0; bits &= bits - 1 {
		n++
	}
	return n
}

// Done tells how the handling of d ended. After one that failed the next
// delivery is a retry.
func (c *Checker) Done(d Delivery, failed bool) {
	if c == nil || d.id() == "" {
		return
	}
	k := c.key(d.Consumer, d.id())
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.seen.get(k, d.At.Add(-c.config.Age)); s != nil {
		s.failed = failed
	}
}

// Len is how many events are remembered.
func (c *Checker) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen.slots)
}
