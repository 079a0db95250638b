package phrase

import (
	"testing"
	"time"
)

func TestPhrases(t *testing.T) {
	for want, got := range map[string]string{
		"1 event": Count(1, "event"), "0 events": Count(0, "event"), "2 policies": Count(2, "policy"), "3 days": Count(3, "day"),
		"once": Times(1), "12 times": Times(12),
		"a, b": Some([]string{"a", "b"}), "a, b, c, d and 2 more": Some([]string{"a", "b", "c", "d", "e", "f"}),
		"a": And([]string{"a"}), "a and b": And([]string{"a", "b"}), "a, b, c and d": And([]string{"a", "b", "c", "d"}), "a, b, c, d and 1 more": And([]string{"a", "b", "c", "d", "e"}),
		"1h": Duration(time.Hour), "1m": Duration(time.Minute), "1h10m": Duration(70 * time.Minute), "20s": Duration(20 * time.Second), "250ms": Duration(250 * time.Millisecond),
		"999 B": Bytes(999), "1.0 KB": Bytes(1000), "262.1 KB": Bytes(262_144),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
