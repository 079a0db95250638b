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
	// OpenFor is how long a call may wait for its outcome or its next attempt if no
	// invocation ends.
	OpenFor = 30 * time.Second
	// maxOpen bounds the number of open calls, and maxKept the bytes that they hold.
	maxOpen = 256
	maxKept = 2 << 20
	// maxReported is how many IDs with a reported outcome are remembered.
	maxReported = 256
	// MaxID is the longest amz-sdk-invocation-id that is used, in bytes.
	MaxID = 128
)

// Calls is the set of SDK calls in progress. It is safe for concurrent use.
type Calls struct {
	stamping stamping.Stamping
	metrics  *metrics.Set
	now      func() time.Time

	mu       sync.Mutex
	open     []*call // oldest first
	kept     int
	round    int // the number of invocations that have ended
	reported []string
}

// New returns an empty Calls. All fields of s but WarnTypes are required.
func New(s stamping.Stamping) *Calls {
	return &Calls{stamping: s, metrics: s.Metrics, now: s.Now}
}

// Attempt is an attempt at a call that is about to be sent. Body is required.
type Attempt struct {
	ID         string // the ID that its outcome is reported under; empty if Answered is called instead of Report
	Invocation string // amz-sdk-invocation-id; empty if the SDK sends none
	Key        string // the access key ID that the request is signed with
	Number     int    // the number of the attempt, from 1, and the maximum number of attempts; 0 if unknown
	Max        int
	Whole      bool // the reported outcome is that of the call, and not of one attempt
	Body       []byte
	CBOR       bool // the body is CBOR: the request is for a new custom bus
	// Hash is the SHA-256 of Body; if it is zero, it is computed.
	Hash [sha256.Size]byte
	// Raw is why the body is sent unchanged; empty if it is to be stamped.
	Raw string
	// Context is the context of the call, and Delivery the events that are being
	// handled; nil if there are none.
	Context  context.Context
	Delivery *lineage.Delivery
}

// call is one SDK call. Its outcome is the one that was reported last.
type call struct {
	ids        []string // of its attempts
	invocation string
	key        string
	body       [sha256.Size]byte
	whole      bool
	number     int
	max        int
	request    *stamping.Request // nil if Ask was called for no attempt
	kept       int
	raw        string // why the last attempt was sent unchanged
	waiting    bool   // for the outcome of an attempt
	outcome    Outcome
	start      time.Time
	touched    time.Time
	round      int
}

// The reasons of [Calls.Ask] for a body that is sent unchanged.
const (
	ReasonBody    = "body"    // it is not a PutEvents request
	ReasonEntries = "entries" // it has no entries, or too many
	ReasonLate    = "late"    // the attempt, or its outcome, is already known
	// ReasonUnasked is Attempt.Raw of a body that the shim sends without an answer.
	ReasonUnasked = "unreachable"
)

// hash returns the SHA-256 of the body.
func (a *Attempt) hash() [sha256.Size]byte {
	if a.Hash == [sha256.Size]byte{} {
		a.Hash = sha256.Sum256(a.Body)
	}
	return a.Hash
}

// Ask records an attempt and returns the changes that stamp its body. If the body must
// not be stamped, reason says why. If both are empty, the body needs no change.
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
		entries[i].Detail, entries[i].Resources = "", nil // the request references them
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

// join returns the open call that a belongs to, nil if a begins a call. late reports
// that the outcome of a, or a itself, was already recorded.
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

// add adds an open call, and closes the oldest ones if the bounds are exceeded.
func (c *Calls) add(o *call) {
	c.mu.Lock()
	if slices.Contains(c.reported, o.ids[0]) && o.ids[0] != "" { // since join
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

// take removes the open call i. The caller holds the mutex.
func (c *Calls) take(i int) *call {
	o := c.open[i]
	c.open = slices.Delete(c.open, i, i+1)
	c.kept -= o.kept
	return o
}

// Report records the outcome of the attempt, or of the call, with an ID. It ignores
// a second outcome of a call that is closed.
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

// Answered records the outcome of an attempt without an ID. Its call is the open call
// with the same body, key and amz-sdk-invocation-id.
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

// find returns the index of the open call with an attempt of that ID, or with that
// amz-sdk-invocation-id; -1 if there is none. The caller holds the mutex.
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

// settle records an outcome, and removes the call if the outcome is final. The caller
// holds the mutex.
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

// InvocationEnded closes the calls that wait for a retry at the end of an invocation,
// and the calls of earlier invocations that wait for an outcome.
func (c *Calls) InvocationEnded() {
	c.mu.Lock()
	round := c.round
	c.round++
	closed := c.takeAll(func(o *call) bool { return !o.waiting || o.round < round })
	c.mu.Unlock()
	c.count(closed)
}

// Expire closes the calls without an attempt or an outcome for OpenFor.
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

// takeAll removes the open calls for which closes returns true. The caller holds the
// mutex.
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
