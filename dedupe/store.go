package dedupe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Store is a table that all processes of a consumer share. Its methods are safe
// for concurrent use and return when their context ends. [Memory] is a Store
// within one process; package dynamo has a Store in DynamoDB.
type Store interface {
	// Claim writes r under key and reports true, with the previous record. If
	// the existing record holds at now against r (see [Record.Holds]), Claim
	// changes nothing and reports false with the existing record.
	Claim(ctx context.Context, key string, r Record, now time.Time) (Record, bool, error)
	// Repeat writes h as the latest delivery of the record under key, increments
	// its count, and returns the previous record. If there is no record with
	// that digest, it returns the zero Record and writes nothing.
	Repeat(ctx context.Context, key string, h Handling, digest string, now time.Time) (Record, error)
	// Settle writes how a handling ended. If there is no record, or if the
	// claim is no longer o's, it returns [ErrLost].
	Settle(ctx context.Context, key string, o Outcome) error
}

// ErrLost means that another process holds the claim, or that its record does not
// exist.
var ErrLost = errors.New("the claim is no longer held")

// State is the state of a record. The zero value means no record.
type State string

// The states of a record.
const (
	// Expected is an event that was not seen, although an event that has to
	// follow it was seen.
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

// Record is the value that a store keeps under a key. The zero value means no
// record.
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
	Kept        bool      // Result is that of the first handling
	Result      []byte
}

// Holds reports whether r is valid at now, so that next may not replace it.
// Any record except an expected event replaces an expected event. A record
// with another digest never replaces an event. A claim replaces an event that
// was only seen. A claim replaces another claim if that lease has ended, or if
// it has the same request: Lambda repeats a request only after the previous
// one has ended.
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
	First, Latest bool // which handlings of the record it is
	Failed        bool

	// Claimed means that the record is a claim, and these are the request that
	// holds it and its lease. A failure releases the claim, a success completes
	// it.
	Claimed   bool
	RequestID string
	Lease     time.Time
	Kept      bool
	Result    []byte
}

// Memory is a [Store] in this process's memory, for one process that handles
// events concurrently without a table, and for tests. The zero value is ready
// to use. It removes expired records, and the oldest beyond a million
// records.
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

// forget removes the oldest records that have expired or exceed the limit.
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
