package recent_test

import (
	"fmt"
	"testing"

	"github.com/throughline/throughline/local/internal/recent"
)

func TestAppend(t *testing.T) {
	for _, keep := range []int{0, 1, 3} {
		var list []int
		gone := 0
		for n := range 100 {
			var dropped int
			list, dropped = recent.Append(list, keep, n)
			gone += dropped
			if list[len(list)-1] != n || list[0] != gone || gone+len(list) != n+1 || keep > 0 && (len(list) >= 2*keep || len(list) < min(n+1, keep)) {
				t.Fatalf("keep %d, after %d: %v, %d gone", keep, n, list, gone)
			}
		}
	}
}

func ExampleAppend() {
	list, dropped := recent.Append([]string{"a", "b", "c"}, 2, "d")
	fmt.Println(list, dropped)
	// Output: [c d] 2
}
