package dedupe

import (
	"hash/maphash"
	"math/bits"
	"time"
)

// key is a hash of 16 bytes of a consumer and an ID. The probability that two different
// pairs have the same key is about 2^-64.
type key struct{ a, b uint64 }

type seeds [2]maphash.Seed

func newSeeds() seeds { return seeds{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s *seeds) hash(text string) key {
	return key{maphash.String(s[0], text), maphash.String(s[1], text)}
}

// short returns a short hash of a text that is only compared with a few others, 0 for "".
func (s *seeds) short(text string) uint64 {
	if text == "" {
		return 0
	}
	return maphash.String(s[0], text)
}

// pair returns the key of two texts.
func (s *seeds) pair(x, y string) key {
	a, b := maphash.String(s[0], x), maphash.String(s[1], y)
	return key{a*odd ^ b, b*odd ^ a}
}

// odd is a factor that keeps the halves of a key different if both texts are the same.
const odd = 0x9e3779b97f4a7c15

// under returns the key of id for the consumer k.
func (k key) under(id key) key {
	return key{k.a*odd ^ id.a, k.b*odd ^ id.b}
}

// sighting is what is remembered of an event. It has hashes of IDs that are only
// compared, 0 for none.
type sighting struct {
	at            int64 // microseconds
	digest        uint64
	request       string
	traceparent   string
	envelope      uint64
	latest        uint64 // envelope of the latest delivery
	latestRequest uint64
	count         int32
	failed        bool
	latestFailed  bool
}

// subject is a delivery with its hashes.
type subject struct {
	*Delivery
	consumer, key             key
	envelope, request, digest uint64
	at, expired               int64
	conflict                  bool // key is that of the identity and the digest
}

func (c *Checker) subject(d *Delivery) subject {
	s := subject{
		Delivery: d, consumer: c.seeds.hash(d.Consumer),
		envelope: c.seeds.short(d.EnvelopeID), request: c.seeds.short(d.RequestID), digest: c.seeds.short(d.content()),
		at: d.At.UnixMicro(),
	}
	s.expired = s.at - c.config.Age.Microseconds()
	s.key = s.consumer.under(c.seeds.pair(d.Source, d.EventType)).under(c.seeds.hash(d.id()))
	if d.BusinessKey != "" { // it must differ from an equal event ID
		s.key = s.key.under(s.key)
	}
	return s
}

// sighting returns what memory has of the event, or nil. If memory has an event of
// different content under the identity, sighting changes d's key to include the content.
func (c *Checker) sighting(d *subject) *sighting {
	s := c.seen.get(d.key, d.expired)
	if s != nil && s.digest == d.digest {
		return s
	}
	content := d.key.under(key{d.digest, d.digest * odd})
	other := c.seen.get(content, d.expired)
	if s != nil || other != nil {
		d.key, d.conflict = content, true
	}
	return other
}

func (s *sighting) likeness(d *subject) likeness {
	l := likeness{
		request:  d.RequestID != "" && (d.RequestID == s.request || d.request == s.latestRequest),
		envelope: d.envelope == s.latest || d.envelope == s.envelope,
		failed:   s.failed,
	}
	if d.envelope == s.latest {
		l.failed = s.latestFailed
	}
	return l
}

// repeat remembers the delivery. It returns whether memory already had the event,
// and whether the handling of its envelope failed.
func (c *Checker) repeat(v *Verdict, d *subject) (hit, failing bool) {
	s := c.sighting(d)
	if s == nil {
		switch {
		case d.ReceiveCount > 1: // the queue counts deliveries to other environments too
			v.Kind, v.Count = Retry, d.ReceiveCount-1
		case d.conflict:
			v.Kind = Conflict
		}
		c.seen.put(d.key, d.at, sighting{
			at: d.at, digest: d.digest, request: d.RequestID, traceparent: d.Traceparent,
			envelope: d.envelope, latest: d.envelope, latestRequest: d.request, count: 1,
		})
		return false, false
	}
	l := s.likeness(d)
	if d.isCall(d.kind(l), time.UnixMicro(s.at)) {
		return true, false
	}
	v.Kind, v.Count = d.kind(l), int(s.count)
	v.FirstAt, v.FirstRequestID, v.FirstTraceparent = time.UnixMicro(s.at).UTC(), s.request, s.traceparent
	// The last known result of the envelope remains until this handling ends.
	s.latest, s.latestRequest, s.latestFailed = d.envelope, d.request, l.envelope && l.failed
	s.count++
	return true, s.latestFailed
}

// order flags d if one of its children arrived before it.
func (c *Checker) order(v *Verdict, d *subject) {
	if d.EventID != "" {
		if child := c.caused.get(d.consumer.under(c.seeds.pair(d.CorrelationID, d.EventID)), d.expired); child != nil {
			v.setEarly(d.Delivery, time.UnixMicro(*child))
		}
	}
	if d.ParentID == "" || d.ParentID == d.EventID {
		return
	}
	parent := d.consumer.under(c.seeds.pair(d.CorrelationID, d.ParentID))
	if c.caused.get(parent, d.expired) == nil {
		c.caused.put(parent, d.at, d.at)
	}
}

// rules applies the configured rules of order. It returns a type that d has to follow
// and that was not seen.
func (c *Checker) rules(d *subject) (awaited string) {
	if d.CorrelationID == "" || len(c.config.Order) == 0 {
		return ""
	}
	for _, r := range c.config.Order {
		if r.First != d.EventType && (r.Then != d.EventType || awaited != "") {
			continue
		}
		first := d.consumer.under(c.seeds.pair(r.First, d.CorrelationID))
		if r.First == d.EventType {
			c.types.put(first, d.at, struct{}{})
		} else if c.types.get(first, d.expired) == nil {
			awaited = r.First
		}
	}
	return awaited
}

func (c *Checker) loop(v *Verdict, d *subject) {
	if d.CorrelationID == "" || d.EventType == "" {
		return
	}
	k := d.consumer.under(c.seeds.pair(d.EventType, d.CorrelationID))
	counts := c.hops.get(k, d.expired)
	if counts == nil {
		c.hops.put(k, d.at, hopBit(d.Hops))
		return
	}
	*counts |= hopBit(d.Hops)
	if bits.OnesCount64(*counts) > maxHopCounts {
		v.Loop = true
	}
}

func hopBit(hops int) uint64 { return 1 << min(max(hops, 0), 63) }

// setOutcome records how a handling ended.
func (s *sighting) setOutcome(d *subject, failed bool) {
	if d.envelope == s.envelope {
		s.failed = failed
	}
	if d.envelope == s.latest {
		s.latestFailed = failed
	}
}
