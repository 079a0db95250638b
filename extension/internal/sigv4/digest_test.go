package sigv4

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// A body that differs from some place on has the hash that it would have if it
// was hashed whole.
func TestDigest(t *testing.T) {
	for _, size := range []int{0, 1, step - 1, step, step + 1, 3*step - 1, 3 * step, 3*step + 7} {
		body := bytes.Repeat([]byte("ab"), size)[:size]
		d := DigestOf(body)
		if d.Hex() != Hash(body) {
			t.Errorf("%d bytes: %s", size, d.Hex())
		}
		for _, at := range []int{0, 1, step - 1, step, step + 1, 2 * step, 3 * step, size - 1, size} {
			if at < 0 || at > size {
				continue
			}
			other := append(bytes.Clone(body[:at]), "and more"...)
			for range 2 { // the state can be used again
				h, written := d.Before(at)
				if at-written >= step && written < size-step || written > at {
					t.Errorf("%d bytes, before %d: %d are written", size, at, written)
				}
				_, _ = h.Write(other[written:])
				if got := hex.EncodeToString(h.Sum(nil)); got != Hash(other) {
					t.Errorf("%d bytes, changed at %d: %s", size, at, got)
				}
			}
		}
	}
}
