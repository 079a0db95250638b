package dedupe

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Digest returns the [Delivery.Digest] of an event's detail: 22 characters. It
// ignores whitespace between tokens, and the top-level members named in except,
// such as the stamp, which differ between two publications of one event. Data
// that is not JSON is digested unchanged.
func Digest(detail []byte, except ...string) string {
	h := sha256.New()
	m := jsonwalk.MembersOf(detail, 0)
	for m.Next() {
		if !contains(except, m.Key) {
			h.Write(m.Key)
			h.Write([]byte{0})
			writeCompact(h, m.Value)
			h.Write([]byte{0})
		}
	}
	if m.After == 0 {
		h.Reset()
		h.Write([]byte{1}) // no member's name begins with this byte
		writeCompact(h, detail)
	}
	const size = 16 // half of SHA-256: a collision is expected only among 2^64 events
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:size])
}

func contains(names []string, name []byte) bool {
	for _, n := range names {
		if n == string(name) {
			return true
		}
	}
	return false
}

// writeCompact writes JSON without white space between its tokens.
func writeCompact(h hash.Hash, b []byte) {
	start := 0
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			if end := jsonwalk.SkipValue(b, i); end > 0 {
				i = end
			} else {
				i = len(b)
			}
		case ' ', '\n', '\r', '\t':
			h.Write(b[start:i])
			i = jsonwalk.SkipSpace(b, i)
			start = i
		default:
			i++
		}
	}
	h.Write(b[start:])
}
