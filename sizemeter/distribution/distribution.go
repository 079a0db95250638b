// Package distribution keeps how the sizes of events are distributed, per event
// type, in bounded memory: counts, sums, extremes and billed chunks are exact,
// quantiles have a relative error of at most [Error]. What several environments
// kept is merged without losing any of that.
package distribution

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"github.com/throughline/throughline/sizemeter"
)

// Error is the relative error of a quantile: one said to be 1000 bytes is
// between 990 and 1010.
const Error = 0.01

// maxBins bounds a sketch's memory to 16 KB. Sizes up to 16 MiB take 830 bins, so
// none is ever merged away; beyond 2048 the smallest sizes would lose their error.
const maxBins = 2048

// Distribution is that of one set of sizes. The zero value is empty. It is not
// safe for concurrent use.
type Distribution struct {
	sketch             *ddsketch.DDSketch
	count, sum, chunks int64
	min, max           int
}

func newSketch() *ddsketch.DDSketch {
	m, err := mapping.NewLogarithmicMapping(Error)
	if err != nil {
		panic(err) // Error is a constant that it takes
	}
	return ddsketch.NewDDSketchFromStoreProvider(m, provider)
}

func provider() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }

// Add adds an event of size bytes. One below zero counts as zero.
func (d *Distribution) Add(size int) { d.AddMany(size, 1) }

// maxSize is larger than any event and has a bin of its own.
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
	_ = d.sketch.AddWithCount(float64(size), float64(n)) // refuses only what no int is
	if d.count == 0 || size < d.min {
		d.min = size
	}
	d.max = max(d.max, size)
	d.count, d.sum, d.chunks = d.count+n, d.sum+n*int64(size), d.chunks+n*int64(sizemeter.Chunks(size))
}

// Merge adds what other holds, which is left as it is.
func (d *Distribution) Merge(other *Distribution) error {
	if other == nil || other.count == 0 {
		return nil
	}
	if d.sketch == nil {
		d.sketch = newSketch()
	}
	if err := d.sketch.MergeWith(other.sketch); err != nil {
		return fmt.Errorf("merge distributions: %w", err)
	}
	if d.count == 0 || other.min < d.min {
		d.min = other.min
	}
	d.max = max(d.max, other.max)
	d.count, d.sum, d.chunks = d.count+other.count, d.sum+other.sum, d.chunks+other.chunks
	return nil
}

// Count is how many events there are, Sum their bytes and Chunks the events of
// 64 KB that EventBridge bills for them. All are exact.
func (d *Distribution) Count() int64 { return d.count }

// Sum is the bytes of all events, exact.
func (d *Distribution) Sum() int64 { return d.sum }

// Chunks is how many events of 64 KB EventBridge bills, exact.
func (d *Distribution) Chunks() int64 { return d.chunks }

// Min is the smallest size in bytes, exact; 0 for none.
func (d *Distribution) Min() int { return d.min }

// Max is the largest size in bytes, exact; 0 for none.
func (d *Distribution) Max() int { return d.max }

// Quantile is the size in bytes that a share q of the events, from 0 to 1, does
// not exceed, within Error and never outside Min and Max; 0 for none.
func (d *Distribution) Quantile(q float64) int {
	if d.count == 0 {
		return 0
	}
	// The sketch counts ranks from 0 to count-1. Ours is the nearest rank, and a
	// little more, for what the division rounds off.
	rank := max(math.Ceil(min(q, 1)*float64(d.count))-1, 0) + 0.25
	value, err := d.sketch.GetValueAtQuantile(min(rank/max(float64(d.count-1), 1), 1))
	if err != nil {
		return 0
	}
	return min(max(int(value+0.5), d.min), d.max)
}

// Histogram counts the events in each range between bounds, which ascend: below
// the first, from each to the next, and from the last on. Near a bound the count
// has the error of a quantile.
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

const version = 1

// errBinary says that bytes are not a Distribution's.
var errBinary = errors.New("not a distribution of version 1")

// MarshalBinary implements encoding.BinaryMarshaler, for another environment to merge.
func (d *Distribution) MarshalBinary() ([]byte, error) {
	b := []byte{version}
	for _, v := range []int64{d.count, d.sum, d.chunks, int64(d.min), int64(d.max)} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	if d.sketch == nil {
		return b, nil
	}
	b = binary.AppendUvarint(b, uint64(d.sketch.GetZeroCount()))
	d.sketch.GetPositiveValueStore().ForEach(func(index int, count float64) bool {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(index)), uint64(count))
		return false
	})
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *Distribution) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != version {
		return errBinary
	}
	b = b[1:]
	var header [5]int64
	for i := range header {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<62 {
			return errBinary
		}
		header[i], b = int64(v), b[n:]
	}
	read := Distribution{count: header[0], sum: header[1], chunks: header[2], min: int(header[3]), max: int(header[4])}
	if read.count > 0 {
		var err error
		if read.sketch, err = readBins(b, read.count); err != nil {
			return err
		}
	}
	*d = read
	return nil
}

// readBins reads a sketch of count sizes. The library's own decoder panics on
// bytes that it did not write.
func readBins(b []byte, count int64) (*ddsketch.DDSketch, error) {
	next := func() (int64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<52 {
			return 0, false
		}
		b = b[n:]
		return int64(v), true
	}
	sketch := newSketch()
	zeros, ok := next()
	if !ok || zeros > 0 && sketch.AddWithCount(0, float64(zeros)) != nil {
		return nil, errBinary
	}
	count -= zeros
	for count > 0 {
		index, ok := next()
		n, found := next()
		if !ok || !found || index >= maxBins || n <= 0 {
			return nil, errBinary
		}
		sketch.GetPositiveValueStore().AddWithCount(int(index), float64(n))
		count -= n
	}
	if count != 0 || len(b) > 0 {
		return nil, errBinary
	}
	return sketch, nil
}

// Types are distributions by event type. The zero value is empty and keeps 1000
// types; what comes after is kept as "other". It is not safe for concurrent use.
type Types struct{ byName map[string]*Distribution }

const (
	maxTypes = 1000
	other    = "other"
)

// Of is the distribution of an event type, a new one where there is none.
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

// Names are the event types, sorted.
func (t *Types) Names() []string { return slices.Sorted(maps.Keys(t.byName)) }

// Merge adds what others hold, which is left as it is.
func (t *Types) Merge(others *Types) error {
	for _, name := range others.Names() {
		if err := t.Of(name).Merge(others.byName[name]); err != nil {
			return err
		}
	}
	return nil
}
