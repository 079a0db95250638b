// Package sdkcalls stamps the PutEvents requests of SDK calls, and counts each
// call once, by the outcome of its last attempt.
//
// Attempts belong to one call if they have the same amz-sdk-invocation-id. If
// an SDK sends no such ID, an attempt belongs to the call with the same body
// and key whose last attempt failed in a way that SDKs retry. An open call
// closes when its outcome is final, at the end of its invocation, or after a
// timeout.
package sdkcalls

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
)

const (
	// OpenFor is how long a call may wait for its outcome or its next attempt
	// where no invocation ends.
	OpenFor = 30 * time.Second
	// maxOpen and maxKept bound the calls that are open: their number, and the
	// bytes that they keep.
	maxOpen = 256
	maxKept = 2 << 20
	// maxReported is how many IDs are remembered whose outcome came before their question.
	maxReported = 256
	// MaxID is the longest ID of a call that is told apart, in bytes.
	MaxID = 128
)

// Calls are the SDK calls that are under way. It is safe for concurrent use.
type Calls struct {
	stamping stamping.Stamping
	metrics  *metrics.Set
	now      func() time.Time

	mu       sync.Mutex
	open     []*call // oldest first
	kept     int
	round    int // invocations that have ended
	reported []string
}

// New returns Calls without a call. All fields of s but WarnTypes are required.
func New(s stamping.Stamping) *Calls {
	return &Calls{stamping: s, metrics: s.Metrics, now: s.Now}
}

// Attempt is an attempt at a call that is about to be sent. Body is required.
type Attempt struct {
	ID         string // by which its outcome will be reported; empty where Question is asked in process
	Invocation string // amz-sdk-invocation-id; empty where the SDK sends none
	Key        string // the access key ID that the request is signed with
	Number     int    // in its call, from 1, and how many there may be; 0 where that is not known
	Max        int
	Whole      bool // the outcome will be that of the call, and not of one attempt
	Body       []byte
	CBOR       bool // the body is CBOR: the request is one to a new custom bus
	// Hash is the SHA-256 of Body; where it is zero it is computed.
	Hash [sha256.Size]byte
	// Raw is why the body will be sent as it is; empty where it is to be stamped.
	Raw string
	// Context is the one that is published in, and Delivery the events that are
	// being handled; nil for none.
	Context  context.Context
	Delivery *lineage.Delivery
}

// call is one SDK call. Its outcome is the last one that was told of it.
type call struct {
	ids        []string // of its attempts
	invocation string
	key        string
	body       [sha256.Size]byte
	whole      bool
	number     int
	max        int
	request    *stamping.Request // nil where no attempt was asked about
	kept       int
	raw        string // why the last attempt went as it came
	waiting    bool   // for the outcome of an attempt
	outcome    Outcome
	start      time.Time
	touched    time.Time
	round      int
}

// Reasons of [Calls.Ask] for a body that goes as it is.
const (
	ReasonBody    = "body"    // it is no PutEvents request
	ReasonEntries = "entries" // it has none, or too many
	ReasonLate    = "late"    // the attempt, or its outcome, is known already
	// ReasonUnasked is Attempt.Raw of a body that nobody waits for an answer about.
	ReasonUnasked = "unreachable"
)

// hash is the SHA-256 of the body.
func (a *Attempt) hash() [sha256.Size]byte {
	if a.Hash == [sha256.Size]byte{} {
		a.Hash = sha256.Sum256(a.Body)
	}
	return a.Hash
}

// Ask takes an attempt and returns what stamps its body. Where nothing is to be
// changed, reason says why, or is empty where the body is as it should be.
func (c *Calls) Ask(a Attempt) (changes []putevents.Change, reason string) {
	read := putevents.Read
	if a.CBOR {
		read = putevents.ReadCBOR
	}
	events, err := read(a.Body)
	entries := events.Entries()
	switch {
	case errors.Is(err, putevents.ErrTooMany), err == nil && len(entries) == 0:
		return nil, ReasonEntries
	case err != nil:
		return nil, ReasonBody
	}
	now := c.now()
	sum := a.hash()
	known, late := c.join(&a, sum, now)
	switch {
	case late:
		return nil, ReasonLate
	case known != nil && known.request != nil:
		if a.Raw != "" {
			return nil, a.Raw
		}
		return changesOf(&events, known.request.Again(entries))
	}
	out := make([]*lineage.Outgoing, len(entries))
	for i := range entries {
		o := c.stamping.Resolve(a.Context, entries[i], a.Delivery)
		out[i] = &o
	}
	request := c.stamping.Start(a.Context, out)
	if reason = a.Raw; reason == "" {
		changes, reason = changesOf(&events, request.Sent())
	}
	for i := range entries {
		entries[i].Detail, entries[i].Resources = "", nil // the request holds on to them
	}
	added := &call{
		ids: []string{a.ID}, invocation: a.Invocation, key: a.Key, body: sum, whole: a.Whole, number: a.Number, max: a.Max,
		request: request, kept: request.Detach(), raw: reason, waiting: true, start: now, touched: now,
	}
	c.add(added)
	return changes, reason
}

func changesOf(events *putevents.Body, sent []lineage.Entry) ([]putevents.Change, string) {
	changes, err := events.With(sent)
	if err != nil {
		return nil, ReasonBody
	}
	return changes, ""
}

// join finds the open call that a belongs to, nil where it begins one. late says
// that its outcome came before it, or that it came before.
func (c *Calls) join(a *Attempt, body [sha256.Size]byte, now time.Time) (known *call, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.ID != "" && slices.Contains(c.reported, a.ID) {
		return nil, true
	}
	for _, o := range slices.Backward(c.open) {
		if a.ID != "" && slices.Contains(o.ids, a.ID) && (a.Raw == ReasonUnasked || o.raw == ReasonUnasked) {
			return nil, true
		}
		if o.body != body || o.key != a.Key || o.invocation != a.Invocation || o.request == nil {
			continue
		}
		if a.Invocation == "" && (o.waiting || o.outcome.Kind == Answered && !o.outcome.retried()) {
			continue
		}
		if a.ID != "" && !slices.Contains(o.ids, a.ID) && len(o.ids) < maxOpen {
			o.ids = append(o.ids, a.ID)
		}
		o.raw, o.waiting, o.number, o.max, o.touched, o.round = a.Raw, true, a.Number, a.Max, now, c.round
		return o, false
	}
	return nil, false
}

// add opens a call, and closes the oldest ones where there is no room for it.
func (c *Calls) add(o *call) {
	c.mu.Lock()
	if slices.Contains(c.reported, o.ids[0]) && o.ids[0] != "" { // in the meantime
		c.mu.Unlock()
		o.request.Abandon(nil)
		return
	}
	o.round = c.round
	c.open = append(c.open, o)
	c.kept += o.kept
	var closed []*call
	for len(c.open) > 1 && (len(c.open) > maxOpen || c.kept > maxKept) {
		closed = append(closed, c.take(0))
	}
	c.mu.Unlock()
	c.count(closed)
}

// take removes the open call i. The mutex is held.
func (c *Calls) take(i int) *call {
	o := c.open[i]
	c.open = slices.Delete(c.open, i, i+1)
	c.kept -= o.kept
	return o
}

// Report takes the outcome of the attempt, or of the call, with an ID.
func (c *Calls) Report(id string, outcome Outcome) {
	outcome.bound()
	c.mu.Lock()
	i := c.find(id, outcome.Invocation)
	if i < 0 {
		if slices.Contains(c.reported, id) {
			c.mu.Unlock()
			return
		}
		now := c.now()
		c.open = append(c.open, &call{ids: []string{id}, invocation: outcome.Invocation, start: now, whole: outcome.Attempts > 0, round: c.round})
		i = len(c.open) - 1
	}
	if c.reported = append(c.reported, id); len(c.reported) > maxReported {
		c.reported = slices.Delete(c.reported, 0, 1)
	}
	closed := c.settle(i, outcome)
	for len(c.open) > maxOpen {
		closed = append(closed, c.take(0))
	}
	c.mu.Unlock()
	c.count(closed)
}

// Answered takes the outcome of an attempt that was asked about in process: that
// of the open call with its body.
func (c *Calls) Answered(a *Attempt, outcome Outcome) {
	outcome.bound()
	sum := a.hash()
	c.mu.Lock()
	var closed []*call
	for i, o := range slices.Backward(c.open) {
		if o.waiting && o.body == sum && o.key == a.Key && o.invocation == a.Invocation {
			closed = c.settle(i, outcome)
			break
		}
	}
	c.mu.Unlock()
	c.count(closed)
}

// find is the index of the open call with an attempt of that ID, or of that SDK
// invocation; below 0 where there is none. The mutex is held.
func (c *Calls) find(id, invocation string) int {
	byInvocation := -1
	for i, o := range slices.Backward(c.open) {
		if slices.Contains(o.ids, id) {
			return i
		}
		if byInvocation < 0 && invocation != "" && o.invocation == invocation {
			byInvocation = i
		}
	}
	return byInvocation
}

// settle notes an outcome, and takes the call out where that is final. The mutex
// is held.
func (c *Calls) settle(i int, outcome Outcome) (closed []*call) {
	o := c.open[i]
	if o.outcome.Start.IsZero() { // the call began with its first attempt
		o.outcome.Start = outcome.Start
	}
	outcome.Start = o.outcome.Start
	o.outcome, o.waiting, o.touched = outcome, false, c.now()
	if o.raw = ""; !outcome.Stamped {
		o.raw = outcome.Reason
	}
	last := o.number > 0 && o.max > 0 && o.number >= o.max
	if o.whole || last || !outcome.retried() {
		return []*call{c.take(i)}
	}
	return nil
}

// InvocationEnded closes the calls whose next attempt has not come by the end of
// the invocation, and those of earlier ones whose outcome has not.
func (c *Calls) InvocationEnded() {
	c.mu.Lock()
	round := c.round
	c.round++
	closed := c.takeAll(func(o *call) bool { return !o.waiting || o.round < round })
	c.mu.Unlock()
	c.count(closed)
}

// Expire closes the calls that nothing was heard of for OpenFor.
func (c *Calls) Expire() {
	c.mu.Lock()
	now := c.now()
	closed := c.takeAll(func(o *call) bool { return now.Sub(o.touched) >= OpenFor })
	c.mu.Unlock()
	c.count(closed)
}

// Close closes every call.
func (c *Calls) Close() {
	c.mu.Lock()
	closed := c.takeAll(func(*call) bool { return true })
	c.mu.Unlock()
	c.count(closed)
}

// takeAll removes the open calls that are to be closed. The mutex is held.
func (c *Calls) takeAll(closes func(*call) bool) (closed []*call) {
	for i := 0; i < len(c.open); {
		if closes(c.open[i]) {
			closed = append(closed, c.take(i))
		} else {
			i++
		}
	}
	return closed
}
