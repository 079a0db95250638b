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
	if d.Count() != int64(len(list)) || d.Sum() != int64(sum) || d.Chunks() != int64(chunks) || d.Min() != sorted[0] || d.Max() != sorted[len(sorted)-1] {
		t.Errorf("count %d, sum %d, chunks %d, from %d to %d", d.Count(), d.Sum(), d.Chunks(), d.Min(), d.Max())
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

func TestMergedAcrossEnvironments(t *testing.T) {
	var all []int
	merged := &Distribution{}
	for seed := range uint64(20) {
		list := sizes(seed, 500)
		all = append(all, list...)
		data, err := of(list).MarshalBinary()
		if err != nil || len(data) > 8<<10 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		var read Distribution
		if err := read.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		holds(t, &read, list)
		if err := merged.Merge(&read); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, merged, all)
	if err := merged.Merge(&Distribution{}); err != nil || merged.Count() != int64(len(all)) {
		t.Errorf("with an empty one: %d, %v", merged.Count(), err)
	}
}

func TestEmpty(t *testing.T) {
	var d, read Distribution
	data, err := d.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.UnmarshalBinary(data); err != nil || read.Count() != 0 || read.Quantile(0.5) != 0 || fmt.Sprint(read.Histogram([]int{1})) != "[0 0]" {
		t.Errorf("%+v, %v", read, err)
	}
	if d.AddMany(5, 0); d.Count() != 0 {
		t.Error("none were added")
	}
	if d.Add(-1); d.Min() != 0 || d.Count() != 1 {
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
	var a, b Types
	for i := range 3 * maxTypes {
		a.Of(fmt.Sprint("T", i)).Add(10)
	}
	if n := len(a.Names()); n != maxTypes+1 || a.Of(other).Count() != 2*maxTypes {
		t.Errorf("%d types, %d others", n, a.Of(other).Count())
	}
	b.Of("T1").Add(20)
	if err := b.Merge(&a); err != nil || b.Of("T1").Count() != 2 || b.Of("T1").Max() != 20 || a.Of("T1").Count() != 1 {
		t.Errorf("merged %+v, %v", b.Of("T1"), err)
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, d := range []*Distribution{{}, of([]int{1, 2, 3}), of(sizes(1, 50))} {
		data, err := d.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Distribution
		if d.UnmarshalBinary(data) != nil {
			return
		}
		_, _ = d.Quantile(0.5), d.Histogram([]int{10})
		again, err := d.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var same Distribution
		if err := same.UnmarshalBinary(again); err != nil || same.Count() != d.Count() {
			t.Errorf("%x became %x: %v", data, again, err)
		}
	})
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
	var morning, evening Types
	morning.Of("SignalGenerated").AddMany(2_400, 98)
	evening.Of("SignalGenerated").AddMany(240_000, 2)
	if err := morning.Merge(&evening); err != nil {
		panic(err)
	}
	d := morning.Of("SignalGenerated")
	fmt.Println(d.Count(), "events,", d.Chunks(), "chunks, largest", d.Max())
	// Output: 100 events, 106 chunks, largest 240000
}

// What an environment kept travels as bytes and is merged elsewhere.
func ExampleDistribution() {
	var here, there, all Distribution
	for size := 1; size <= 1_000; size++ {
		here.Add(size)
	}
	here.Add(900_000)
	data, err := here.MarshalBinary()
	if err != nil {
		panic(err)
	}
	if err := there.UnmarshalBinary(data); err != nil {
		panic(err)
	}
	if err := all.Merge(&there); err != nil {
		panic(err)
	}
	fmt.Println(all.Count(), "events of", all.Min(), "to", all.Max(), "bytes, the median about", all.Quantile(0.5))
	fmt.Println(all.Histogram([]int{1 << 10, 64 << 10}))
	// Output:
	// 1001 events of 1 to 900000 bytes, the median about 498
	// [1000 0 1]
}
