package sizemeter

import (
	"fmt"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		name  string
		entry Entry
		want  int
	}{
		{"Empty", Entry{}, 0},
		{"Fields", Entry{Source: "ab", DetailType: "cde", Detail: `{"a":1}`}, 12},
		{"Time", Entry{HasTime: true}, 14},
		{"Resources", Entry{Resources: []string{"correlation:x", ""}}, 13},
		{"UTF8CountsInBytes", Entry{Detail: `{"ü":"✓"}`}, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.entry.Size(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestChunks(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, ChunkBytes: 1, ChunkBytes + 1: 2, LimitMiB: 16} {
		if got := Chunks(size); got != want {
			t.Errorf("%d bytes are %d chunks, want %d", size, got, want)
		}
	}
}

func TestKilobytes(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, 1024: 1, 1025: 2, LimitMiB: 1024} {
		if got := Kilobytes(size); got != want {
			t.Errorf("%d bytes are %d KB, want %d", size, got, want)
		}
	}
}

func TestUtilization(t *testing.T) {
	if got := Utilization(Limit256KiB/2, Limit256KiB); got != 50 {
		t.Errorf("got %v", got)
	}
	if got := Utilization(1, 0); got != 0 {
		t.Errorf("without a limit got %v", got)
	}
}

var entry = Entry{Source: "alchemiser.execution", DetailType: "TradeExecuted", Detail: strings.Repeat("x", 1044), Resources: []string{"correlation:a", "causation:b", "hops:1"}}

func TestSizeDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = entry.Size() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSize(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = entry.Size()
	}
}

func ExampleEntry_Size() {
	e := Entry{Source: "alchemiser.strategy", DetailType: "SignalGenerated", Detail: `{"signal_count":3}`}
	fmt.Println(e.Size(), "bytes,", Chunks(e.Size()), "chunk")
	// Output: 52 bytes, 1 chunk
}

// A limit is a value: today's, the one before, or a bus's own.
func ExampleUtilization() {
	const size = 200_000
	fmt.Printf("%.1f %% of 1 MiB, %.1f %% of 256 KiB, %d chunks\n", Utilization(size, LimitMiB), Utilization(size, Limit256KiB), Chunks(size))
	// Output: 19.1 % of 1 MiB, 76.3 % of 256 KiB, 4 chunks
}
