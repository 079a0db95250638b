package metrics

import (
	"math"
	"strings"
	"sync"
	"time"
)

// Config of a [Set]. The zero value is namespace Throughline, profile Basic,
// twenty event types, no service.
type Config struct {
	Namespace string  // empty: Throughline
	Service   string  // the Service dimension; empty: "unknown"
	Profile   Profile // which metrics are emitted as metrics
	// EventTypesMax is how many event types are told apart before the rest is
	// called "other", and how many hosts; 0 means 20.
	EventTypesMax int
	// Level, where it is not empty, stands in each line as "level" with a
	// "timestamp": Lambda's JSON log format drops lines below ApplicationLogLevel.
	Level string
}

// DefaultNamespace is CloudWatch's namespace of the metrics where no other is given.
const DefaultNamespace = "Throughline"

const (
	defaultEventTypesMax = 20
	other                = "other"

	// maxValues and maxLines bound a Set between two flushes.
	maxValues  = 20_000
	maxBuckets = 2_000
	maxLines   = 1_000
	maxKinds   = 16
	exemplars  = 5

	// maxSpare and maxBuffer bound what is kept from one flush for the next.
	maxSpare  = 8
	maxBuffer = 64 << 10
)

// Observation is one thing measured. Name and Value are required.
type Observation struct {
	At    time.Time
	Name  Name
	Value float64
	// EventType and Host are dimensions where the metric's scope says so.
	EventType, Host string
	// Kind is counted as a property: of a cold start, a repeat, an error code.
	Kind string
	// EventID, RequestID and CorrelationID are exemplars: properties, never dimensions.
	EventID, RequestID, CorrelationID string
}

// Line is a rare event that gets a log line of its own: a repeat, an oversized
// event, a loop, an event out of order.
type Line struct {
	At      time.Time
	Kind    string // of line: "repeat", "oversize", "loop", "out-of-order"
	Message string
	Fields  map[string]any
}

// Set collects observations until the next [Set.Flush]. It is safe for
// concurrent use. A nil Set takes everything and keeps nothing. Memory is
// bounded: what does not fit is counted in TelemetryDropped.
type Set struct {
	config Config

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
	order   []bucketKey
	types   map[string]bool
	hosts   map[string]bool
	values  int
	lines   []Line
	dropped float64

	// What the last flush was done with.
	spare        []*bucket
	spareBuckets map[bucketKey]*bucket
	spareOrder   []bucketKey
	out          []byte
}

type bucketKey struct {
	minute          int64
	eventType, host string
}

type bucket struct {
	at     time.Time // the latest observation
	series []series  // in the order of their first observation
	// exemplars
	largest, slowest     float64
	largestID, slowestID string
	correlations         []string
}

type series struct {
	metric *Metric
	sum    float64
	values []float64
	kinds  []kindCount
}

type kindCount struct {
	kind string
	n    int
}

// of is the series of a metric, nil where there is none and none is made.
func (b *bucket) of(m *Metric, make bool) *series {
	for i := range b.series {
		if b.series[i].metric == m {
			return &b.series[i]
		}
	}
	if !make {
		return nil
	}
	if n := len(b.series); n < cap(b.series) { // one of an earlier flush: its arrays are used again
		b.series = b.series[:n+1]
		v := &b.series[n]
		*v = series{metric: m, values: v.values[:0], kinds: v.kinds[:0]}
		return v
	}
	b.series = append(b.series, series{metric: m})
	return &b.series[len(b.series)-1]
}

// reset empties the bucket and keeps its arrays.
func (b *bucket) reset() {
	*b = bucket{series: b.series[:0], correlations: b.correlations[:0]}
}

// New returns an empty Set.
func New(config Config) *Set {
	if config.Namespace == "" {
		config.Namespace = DefaultNamespace
	}
	if config.EventTypesMax <= 0 {
		config.EventTypesMax = defaultEventTypesMax
	}
	config.Service = dimensionValue(config.Service)
	return &Set{config: config, buckets: map[bucketKey]*bucket{}, types: map[string]bool{}, hosts: map[string]bool{}}
}

// Service is the value of the Service dimension, empty for a nil Set.
func (s *Set) Service() string {
	if s == nil {
		return ""
	}
	return s.config.Service
}

// Record keeps o until the next Flush. An unknown name or a value that is not
// finite is counted in TelemetryDropped and otherwise ignored.
func (s *Set) Record(o Observation) {
	if s == nil || s.config.Profile == Off {
		return
	}
	m := byName[o.Name]
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == nil || math.IsNaN(o.Value) || math.IsInf(o.Value, 0) || math.Abs(o.Value) > 0x1p360 {
		s.dropped++
		return
	}
	key := bucketKey{minute: floorMinute(o.At)}
	switch m.Scope {
	case ByEventType:
		key.eventType = s.capped(s.types, o.EventType)
	case ByHost:
		key.host = s.capped(s.hosts, o.Host)
	case ByService:
	}
	if m.Kind == Counter && m.Scope == ByEventType {
		s.add(bucketKey{minute: key.minute}, m, o)
		if s.config.Profile != Full {
			return
		}
	}
	s.add(key, m, o)
}

func floorMinute(t time.Time) int64 { return t.Unix() - mod(t.Unix(), 60) }

func mod(a, b int64) int64 { return (a%b + b) % b }

func (s *Set) add(key bucketKey, m *Metric, o Observation) {
	b := s.buckets[key]
	if b == nil {
		if len(s.buckets) >= maxBuckets {
			s.dropped++
			return
		}
		b = s.bucket()
		s.buckets[key] = b
		s.order = append(s.order, key)
	}
	if m.Kind == Distribution && s.values >= maxValues {
		s.dropped++
		return
	}
	v := b.of(m, true)
	if o.At.After(b.at) {
		b.at = o.At
	}
	if m.Kind == Distribution {
		v.values = append(v.values, o.Value)
		s.values++
	} else {
		v.sum += o.Value
	}
	v.countKind(o.Kind)
	b.exemplify(m.Name, o)
}

// bucket is an empty bucket.
func (s *Set) bucket() *bucket {
	if n := len(s.spare); n > 0 {
		b := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return b
	}
	return &bucket{}
}

func (v *series) countKind(kind string) {
	if kind == "" {
		return
	}
	for i := range v.kinds {
		if v.kinds[i].kind == kind || i == maxKinds {
			v.kinds[i].n++
			return
		}
	}
	if len(v.kinds) == maxKinds {
		kind = other
	}
	v.kinds = append(v.kinds, kindCount{kind, 1})
}

// exemplify keeps the IDs of o where they are worth it: as copies, because an ID
// may be a part of the detail that it was read from, and would hold all of it.
func (b *bucket) exemplify(name Name, o Observation) {
	switch {
	case name == PayloadSize && o.Value >= b.largest && o.EventID != "":
		b.largest, b.largestID = o.Value, strings.Clone(o.EventID)
	case (name == Duration || name == HandlerDuration) && o.Value >= b.slowest && o.RequestID != "":
		b.slowest, b.slowestID = o.Value, strings.Clone(o.RequestID)
	}
	if o.CorrelationID == "" || len(b.correlations) >= exemplars {
		return
	}
	for _, id := range b.correlations {
		if id == o.CorrelationID {
			return
		}
	}
	b.correlations = append(b.correlations, strings.Clone(o.CorrelationID))
}

// capped is the value, or "other" once EventTypesMax values are known.
func (s *Set) capped(known map[string]bool, value string) string {
	value = dimensionValue(value)
	if known[value] {
		return value
	}
	if len(known) >= s.config.EventTypesMax {
		return other
	}
	known[strings.Clone(value)] = true // it may be a part of something large
	return value
}

// dimensionValue makes a value one that CloudWatch takes: ASCII, at most 1024
// characters, at least one of them not white space.
func dimensionValue(value string) string {
	const longest = 1024
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, value)
	if len(clean) > longest {
		clean = clean[:longest]
	}
	if strings.TrimSpace(clean) == "" {
		return "unknown"
	}
	return clean
}

// Log keeps a line until the next Flush. It is written under every profile.
func (s *Set) Log(l Line) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) >= maxLines {
		s.dropped++
		return
	}
	s.lines = append(s.lines, l)
}

// Dropped counts n things given up elsewhere, in TelemetryDropped.
func (s *Set) Dropped(n int) {
	if s == nil || n <= 0 {
		return
	}
	s.mu.Lock()
	s.dropped += float64(n)
	s.mu.Unlock()
}
