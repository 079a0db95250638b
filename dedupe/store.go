package dedupe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Store is a table that all processes of a consumer share. Its methods are safe
// for concurrent use and end with their context. [Memory] is one within a
// process; package dynamo has one in DynamoDB.
type Store interface {
	// Claim writes r under key and reports true, with what stood there before,
	// unless what stands there holds at now and against r: see [Record.Holds].
	// Then it changes nothing and reports false with what stands there.
	Claim(ctx context.Context, key string, r Record, now time.Time) (Record, bool, error)
	// Repeat writes h as the latest delivery of the record under key, one more
	// than before, and returns the record as it was. Where there is none of that
	// digest it returns the zero Record and writes nothing.
	Repeat(ctx context.Context, key string, h Handling, digest string, now time.Time) (Record, error)
	// Settle writes how a handling ended. Where there is no record to write to,
	// or a claim that is no longer o's, it returns [ErrLost].
	Settle(ctx context.Context, key string, o Outcome) error
}

// ErrLost says that a claim passed to another process, or that its record is gone.
var ErrLost = errors.New("the claim is no longer held")

// State says what a record is. The zero value is that of no record.
type State string

// The states of a record.
const (
	// Expected marks an event that was not seen, but another one that has to
	// follow it was.
	Expected State = "expected"
	// Seen is an event that was delivered.
	Seen State = "seen"
	// Claimed is an event that is being handled, until its lease ends.
	Claimed State = "claimed"
	// Completed is an event whose handling succeeded and is not to be repeated.
	Completed State = "completed"
)

// Handling is one delivery and how its handling ended.
type Handling struct {
	EnvelopeID string
	RequestID  string
	Failed     bool
}

// Record is what a store keeps under a key. The zero value is none.
type Record struct {
	State       State
	At          time.Time // of the first delivery; stores may keep milliseconds
	Digest      string    // of the event's content
	First       Handling
	Latest      Handling
	Traceparent string    // of the span that handled the first delivery
	Count       int       // of deliveries
	Expires     time.Time // stores may keep seconds
	Lease       time.Time // of a claim
	Kept        bool      // Result is the first handling's
	Result      []byte
}

// Holds reports whether r is in force at now and next may not take its place.
// An expected event gives way to what is not. An event gives way to nothing of
// another digest. One that was only seen gives way to a claim, and a claim to
// the next when its lease has ended or when the same request comes again:
// Lambda delivers one again only after the one before ended.
func (r *Record) Holds(next *Record, now time.Time) bool {
	switch {
	case r.State == "" || r.Expires.Before(now):
		return false
	case next.State == Expected:
		return true
	case r.State == Expected:
		return false
	case r.Digest != next.Digest:
		return true
	case r.State == Seen && next.State == Claimed:
		return false
	case r.State == Claimed:
		return !r.Lease.Before(now) && (r.First.RequestID == "" || r.First.RequestID != next.First.RequestID)
	}
	return true
}

// Outcome is how a handling ended.
type Outcome struct {
	First, Latest bool // which of the record's handlings it was
	Failed        bool

	// Of a claim, which Claimed says it is: the request that holds it, by the
	// lease it took. A failed one lets go of it, one that succeeded completes it.
	Claimed   bool
	RequestID string
	Lease     time.Time
	Kept      bool
	Result    []byte
}

// Memory is a [Store] in this process's memory: for one process that handles
// events at once and has no table, and for tests. Use its zero value. It
// forgets what has expired, or the oldest beyond a million records.
type Memory struct {
	mu      sync.Mutex
	records map[string]*Record
	order   []string // of keys, the oldest first
	most    int      // records; 0 means maxMemory
}

const maxMemory = 1_000_000

// Claim implements [Store].
func (m *Memory) Claim(_ context.Context, key string, r Record, now time.Time) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.records[key]
	if before != nil && before.Holds(&r, now) {
		return *before, false, nil
	}
	if m.records == nil {
		m.records = map[string]*Record{}
	}
	m.records[key] = &r
	if before == nil {
		m.order = append(m.order, key)
		m.forget(now)
		return Record{}, true, nil
	}
	if before.Expires.Before(now) {
		return Record{}, true, nil
	}
	return *before, true, nil
}

// forget drops the oldest records that expired or are too many.
func (m *Memory) forget(now time.Time) {
	for len(m.order) > 0 {
		if len(m.order) <= or(m.most, maxMemory) && !m.records[m.order[0]].Expires.Before(now) {
			return
		}
		delete(m.records, m.order[0])
		m.order = m.order[1:]
	}
}

// Repeat implements [Store].
func (m *Memory) Repeat(_ context.Context, key string, h Handling, digest string, now time.Time) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil || r.Expires.Before(now) || r.State == Expected || r.Digest != digest {
		return Record{}, nil
	}
	before := *r
	r.Latest, r.Count = h, r.Count+1
	return before, nil
}

// Settle implements [Store].
func (m *Memory) Settle(_ context.Context, key string, o Outcome) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil {
		return ErrLost
	}
	if o.Claimed {
		if r.State != Claimed || r.First.RequestID != o.RequestID || !r.Lease.Equal(o.Lease) {
			return ErrLost
		}
		if o.Failed {
			r.Lease = time.Time{}
		} else {
			r.State, r.Kept, r.Result = Completed, o.Kept, o.Result
		}
	}
	if o.First {
		r.First.Failed = o.Failed
	}
	if o.Latest {
		r.Latest.Failed = o.Failed
	}
	return nil
}
