package dedupe

import (
	"strings"
	"time"
)

// latest is the event of a group with the highest sequence number seen so far.
type latest struct {
	sequence string
	at       int64 // microseconds
}

// maxSequence limits the length of a sequence number, in bytes (EventBridgeV2 API reference).
const maxSequence = 128

// before reports whether sequence number a, in decimal digits, is smaller than b. It
// returns false if one of them is not a number.
func before(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if strings.Trim(a+b, "0123456789") != "" {
		return false
	}
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// grouped flags d if a later event of its group arrived earlier. It ignores events of
// a replay, whose sequence numbers are old, and repeats, because only an event's first
// delivery counts.
func (c *Checker) grouped(v *Verdict, d *subject) {
	if !c.config.Groups || d.Group == "" || d.Sequence == "" || len(d.Sequence) > maxSequence || d.ReplayName != "" || v.Kind != "" {
		return
	}
	k := d.consumer.under(c.seeds.pair(d.Source, d.Group))
	switch last := c.groups.get(k, d.expired); {
	case last == nil || before(last.sequence, d.Sequence):
		c.groups.put(k, d.at, latest{strings.Clone(d.Sequence), d.at})
	case before(d.Sequence, last.sequence) && !v.OutOfOrder:
		v.OutOfOrder, v.Early, v.Behind = true, d.At.Sub(time.UnixMicro(last.at)), last.sequence
	}
}
