package distribution

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sizes are those of events, from one byte to 16 MiB, most of them small.
func sizes(seed uint64, n int) []int {
	r := rand.New(rand.NewPCG(seed, 1))
	list := make([]int, n)
	for i := range list {
		list[i] = int(math.Exp(r.Float64() * math.Log(16<<20)))
	}
	return list
}

func of(list []int) *Distribution {
	d := &Distribution{}
	for _, size := range list {
		d.Add(size)
	}
	return d
}

// holds compares d with the sizes themselves.
func holds(t *testing.T, d *Distribution, list []int) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(list))
	sum, chunks := 0, 0
	for _, size := range list {
		sum += size
		chunks += max(1, (size+65535)/65536)
	}
	if d.Count() != int64(len(list)) || d.Sum() != int64(sum) || d.Chunks() != int64(chunks) || d.Max() != sorted[len(sorted)-1] {
		t.Errorf("count %d, sum %d, chunks %d, up to %d", d.Count(), d.Sum(), d.Chunks(), d.Max())
	}
	for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
		want := sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
		if got := d.Quantile(q); math.Abs(float64(got-want)) > Error*float64(want)+0.5 {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

func TestStatedError(t *testing.T) {
	list := sizes(1, 100_000)
	holds(t, of(list), list)
	holds(t, of([]int{0, 0, 7}), []int{0, 0, 7})
}

func TestEmpty(t *testing.T) {
	var d Distribution
	if d.Count() != 0 || d.Quantile(0.5) != 0 || fmt.Sprint(d.Histogram([]int{1})) != "[0 0]" {
		t.Errorf("%+v", d)
	}
	if d.AddMany(5, 0); d.Count() != 0 {
		t.Error("none were added")
	}
	if d.Add(-1); d.Quantile(0) != 0 || d.Count() != 1 {
		t.Error("below zero is zero")
	}
}

func TestHistogram(t *testing.T) {
	d := of([]int{100, 1_000, 5_000, 5_100, 900_000})
	if got := fmt.Sprint(d.Histogram([]int{512, 4_096, 65_536})); got != "[1 1 2 1]" {
		t.Error(got)
	}
}

func TestTypesAreBounded(t *testing.T) {
	var a Types
	for i := range 3 * maxTypes {
		a.Of(fmt.Sprint("T", i)).Add(10)
	}
	if n := len(a.Names()); n != maxTypes+1 || a.Of(other).Count() != 2*maxTypes {
		t.Errorf("%d types, %d others", n, a.Of(other).Count())
	}
}

func BenchmarkAdd(b *testing.B) {
	d := &Distribution{}
	list := sizes(1, 1024)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Add(list[i%len(list)])
	}
}

func ExampleTypes() {
	var types Types
	types.Of("SignalGenerated").AddMany(2_400, 98)
	types.Of("SignalGenerated").AddMany(240_000, 2)
	d := types.Of("SignalGenerated")
	fmt.Println(d.Count(), "events,", d.Chunks(), "chunks, largest", d.Max())
	// Output: 100 events, 106 chunks, largest 240000
}

func ExampleDistribution() {
	var all Distribution
	for size := 1; size <= 1_000; size++ {
		all.Add(size)
	}
	all.Add(900_000)
	fmt.Println(all.Count(), "events of up to", all.Max(), "bytes, the median about", all.Quantile(0.5))
	fmt.Println(all.Histogram([]int{1 << 10, 64 << 10}))
	// Output:
	// 1001 events of up to 900000 bytes, the median about 498
	// [1000 0 1]
}
