// Package distribution records the sizes of events by event type in bounded memory.
// Counts, sums, extremes and billed chunks are exact. Quantiles have a relative error of
// at most [Error].
package distribution

import (
	"maps"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"github.com/throughline/throughline/sizemeter"
)

// Error is the relative error of a quantile: a quantile of 1000 bytes is between 990 and
// 1010 bytes.
const Error = 0.01

// maxBins bounds a sketch's memory to 16 KB. Sizes up to 16 MiB need 830 bins, so no bin
// is merged. With more than 2048 bins the smallest sizes would lose accuracy.
const maxBins = 2048

// Distribution is the distribution of one set of sizes. The zero value is empty and
// ready. It is not safe for concurrent use.
type Distribution struct {
	sketch             *ddsketch.DDSketch
	count, sum, chunks int64
	min, max           int
}

func newSketch() *ddsketch.DDSketch {
	m, err := mapping.NewLogarithmicMapping(Error)
	if err != nil {
		panic(err) // Error is a valid accuracy
	}
	return ddsketch.NewDDSketchFromStoreProvider(m, provider)
}

func provider() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }

// Add adds an event of size bytes. A negative size counts as zero.
func (d *Distribution) Add(size int) { d.AddMany(size, 1) }

// maxSize is larger than any event. Larger sizes share its bin.
const maxSize = 1 << 40

// AddMany adds n events of size bytes each.
func (d *Distribution) AddMany(size int, n int64) {
	if n <= 0 {
		return
	}
	size = min(max(size, 0), maxSize)
	if d.sketch == nil {
		d.sketch = newSketch()
	}
	_ = d.sketch.AddWithCount(float64(size), float64(n)) // fails only for values that an int cannot have
	if d.count == 0 || size < d.min {
		d.min = size
	}
	d.max = max(d.max, size)
	d.count, d.sum, d.chunks = d.count+n, d.sum+n*int64(size), d.chunks+n*int64(sizemeter.Chunks(size))
}

// Count returns the exact number of events.
func (d *Distribution) Count() int64 { return d.count }

// Sum returns the exact number of bytes of all events.
func (d *Distribution) Sum() int64 { return d.sum }

// Chunks returns the exact number of 64 KB chunks that EventBridge bills.
func (d *Distribution) Chunks() int64 { return d.chunks }

// Max returns the exact largest size in bytes, or 0 without events.
func (d *Distribution) Max() int { return d.max }

// Quantile returns the size in bytes that a fraction q of the events, from 0 to 1, does
// not exceed. It is within Error, and never outside the smallest and the largest size. It
// is 0 without events.
func (d *Distribution) Quantile(q float64) int {
	if d.count == 0 {
		return 0
	}
	// The sketch counts ranks from 0 to count-1. This is the nearest rank, plus a
	// little more, for what the division rounds off.
	rank := max(math.Ceil(min(q, 1)*float64(d.count))-1, 0) + 0.25
	value, err := d.sketch.GetValueAtQuantile(min(rank/max(float64(d.count-1), 1), 1))
	if err != nil {
		return 0
	}
	return min(max(int(value+0.5), d.min), d.max)
}

// Histogram counts the events in each range between ascending bounds: below the first,
// between neighbours, and from the last on. Near a bound, the count has the error of a
// quantile.
func (d *Distribution) Histogram(bounds []int) []int64 {
	counts := make([]int64, len(bounds)+1)
	if d.count == 0 {
		return counts
	}
	d.sketch.ForEach(func(value, count float64) bool {
		i, found := slices.BinarySearch(bounds, int(value+0.5))
		if found {
			i++
		}
		counts[i] += int64(count + 0.5)
		return false
	})
	return counts
}

// Types are distributions by event type. The zero value is empty and keeps 1000 types;
// further types count as "other". It is not safe for concurrent use.
type Types struct{ byName map[string]*Distribution }

const (
	maxTypes = 1000
	other    = "other"
)

// Of returns the distribution of an event type, and creates it if needed.
func (t *Types) Of(eventType string) *Distribution {
	if t.byName == nil {
		t.byName = map[string]*Distribution{}
	}
	if d := t.byName[eventType]; d != nil {
		return d
	}
	if len(t.byName) >= maxTypes {
		eventType = other
	}
	if t.byName[eventType] == nil {
		t.byName[eventType] = &Distribution{}
	}
	return t.byName[eventType]
}

// Names returns the event types, sorted.
func (t *Types) Names() []string { return slices.Sorted(maps.Keys(t.byName)) }
