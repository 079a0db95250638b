package dedupe

import (
	"math/rand/v2"
	"testing"
)

// TestWindowIsAsAMap holds the window to a map and a list, with keys that crowd.
func TestWindowIsAsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 6))
	for _, limit := range []int{1, 2, 31, 32, 33, 500} {
		w := window[int]{limit: limit}
		values, order := map[key]int{}, []key{}
		for i := range 20_000 {
			k := key{uint64(random.IntN(2*limit+3)) * uint64(1+random.IntN(2)) << 3, uint64(random.IntN(2))}
			if random.IntN(2) == 0 {
				got, want := w.get(k, 0), values[k]
				if (got != nil) != (want != 0) || got != nil && *got != want {
					t.Fatalf("limit %d, step %d: got %v, want %d", limit, i, got, want)
				}
				continue
			}
			if values[k] == 0 {
				if len(order) == limit {
					delete(values, order[0])
					order = order[1:]
				}
				order = append(order, k)
			}
			values[k] = i + 1
			w.put(k, int64(i), i+1)
			if w.len() != len(values) {
				t.Fatalf("limit %d, step %d: %d remembered, want %d", limit, i, w.len(), len(values))
			}
		}
	}
}
