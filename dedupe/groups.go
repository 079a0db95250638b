package dedupe

import (
	"strings"
	"time"
)

// latest is the event of a group that is furthest in it, of those that were seen.
type latest struct {
	sequence string
	at       int64 // microseconds
}

// maxSequence bounds a sequence number, in bytes (EventBridgeV2 API reference).
const maxSequence = 128

// before says that sequence number a, decimal digits, is smaller than b. What is
// no number is before nothing.
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

// grouped flags d when an event of its group that comes after it came before. Those
// of a replay go back in the sequence, and a repeat's place is its first delivery's.
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
