package metrics

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Config of a [Set]. The zero value means the namespace Throughline, the profile
// Basic, twenty event types, and no service.
type Config struct {
	Namespace string  // empty: Throughline
	Service   string  // the Service dimension; empty: "unknown"
	Profile   Profile // which metrics are emitted as metrics
	// EventTypesMax is the maximum number of EventType values, the most
	// frequent in the recent past, and likewise of hosts and targets. All
	// others are "other". 0 means 20.
	EventTypesMax int
	// Level, if it is not empty, is written as "level" into each line, with a
	// "timestamp": Lambda's JSON log format drops lines below ApplicationLogLevel.
	Level string
}

// DefaultNamespace is the default CloudWatch namespace of the metrics.
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

	// maxKind and maxExemplar limit the length of texts in bytes, so that a line
	// does not exceed CloudWatch's limit.
	maxKind     = 64
	maxExemplar = 256

	// maxSpare and maxBuffer bound the buffers that are kept for the next
	// flush.
	maxSpare  = 8
	maxBuffer = 64 << 10
)

// Observation is one measured value. Name and Value are required.
type Observation struct {
	At    time.Time
	Name  Name
	Value float64
	// EventType, Host and Target are dimensions if the metric has that scope.
	EventType, Host, Target string
	// Kind is counted as a property: of a cold start, a repeat, an error code.
	Kind string
	// EventID, RequestID and CorrelationID are exemplars: properties, never dimensions.
	EventID, RequestID, CorrelationID string
}

// Line is a rare event that gets its own log line: a repeat, an oversized
// event, a loop, an event out of order.
type Line struct {
	At      time.Time
	Kind    string // of line: "repeat", "oversize", "loop", "out-of-order"
	Message string
	Fields  map[string]any
}

// Set collects observations until the next [Set.Flush]. It is safe for
// concurrent use. A nil Set discards all observations. Memory is bounded:
// TelemetryDropped counts observations that do not fit.
type Set struct {
	config Config

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
	order   []bucketKey
	types   ranking
	hosts   ranking
	targets ranking
	values  int
	lines   []Line
	dropped float64

	// The buffers of the last flush, which the next one reuses.
	spare        []*bucket
	spareBuckets map[bucketKey]*bucket
	spareOrder   []bucketKey
	out          []byte
}

type bucketKey struct {
	minute                  int64
	eventType, host, target string
}

// alone reports whether the bucket has only the service dimension.
func (k bucketKey) alone() bool { return k.eventType == "" && k.host == "" && k.target == "" }

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

// find returns the series of a metric, nil if there is none.
func (b *bucket) find(m *Metric) *series {
	for i := range b.series {
		if b.series[i].metric == m {
			return &b.series[i]
		}
	}
	return nil
}

// get returns the series of a metric, and adds it if there is none.
func (b *bucket) get(m *Metric) *series {
	if v := b.find(m); v != nil {
		return v
	}
	if n := len(b.series); n < cap(b.series) { // a series of an earlier flush: its arrays are reused
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
	if config.EventTypesMax <= 0 {
		config.EventTypesMax = defaultEventTypesMax
	}
	config.Service = dimensionValue(config.Service)
	config.Namespace = namespace(config.Namespace)
	return &Set{config: config, buckets: map[bucketKey]*bucket{}, types: newRanking(config.EventTypesMax), hosts: newRanking(config.EventTypesMax), targets: newRanking(config.EventTypesMax)}
}

// Service returns the value of the Service dimension, "" for a nil Set.
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
	m := byName()[o.Name]
	o.Kind, o.EventID, o.RequestID, o.CorrelationID = cut(o.Kind, maxKind), cut(o.EventID, maxExemplar), cut(o.RequestID, maxExemplar), cut(o.CorrelationID, maxExemplar)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == nil || math.IsNaN(o.Value) || math.IsInf(o.Value, 0) || math.Abs(o.Value) > 0x1p360 {
		s.dropped++
		return
	}
	key := bucketKey{minute: floorMinute(o.At)}
	switch m.Scope {
	case ByEventType:
		key.eventType = s.types.value(dimensionValue(o.EventType))
	case ByHost:
		key.host = s.hosts.value(dimensionValue(o.Host))
	case ByTarget:
		key.target = s.targets.value(dimensionValue(o.Target))
	case ByService:
	}
	if m.Kind == Counter && (m.Scope == ByEventType || m.Scope == ByTarget) {
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
	v := b.get(m)
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

// bucket returns an empty bucket.
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

// exemplify keeps the IDs of o if they are useful. It copies them, because an ID
// may be a substring of a detail and would keep the whole detail in memory.
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
	if slices.Contains(b.correlations, o.CorrelationID) {
		return
	}
	b.correlations = append(b.correlations, strings.Clone(o.CorrelationID))
}

// cut returns the beginning of s, at most n bytes and only whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// dimensionValue converts a value to one that CloudWatch accepts: ASCII, at most
// 1024 characters, at least one of them not white space.
func dimensionValue(value string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, value)
	if len(clean) > maxDimensionValue {
		clean = clean[:maxDimensionValue]
	}
	if strings.TrimSpace(clean) == "" {
		return "unknown"
	}
	return clean
}

// namespace converts a name to one that CloudWatch accepts (API reference,
// PutMetricData).
func namespace(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_/#: ", r) {
			return r
		}
		return '_'
	}, strings.TrimLeft(strings.TrimSpace(name), ":"))
	if clean == "" {
		return DefaultNamespace
	}
	return clean[:min(len(clean), maxNamespace)]
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

// Dropped adds n to TelemetryDropped, for things that other code dropped.
func (s *Set) Dropped(n int) {
	if s == nil || n <= 0 {
		return
	}
	s.mu.Lock()
	s.dropped += float64(n)
	s.mu.Unlock()
}
