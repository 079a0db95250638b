package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Digest is the SHA-256 of a body, with intermediate states of the hash. A body that
// differs only after some offset can be hashed from the state before that offset.
type Digest struct {
	Sum [sha256.Size]byte

	states []hash.Hash // after each step bytes
}

// step is the distance between two states, in bytes.
const step = 16 << 10

// DigestOf hashes a body.
func DigestOf(body []byte) Digest {
	var d Digest
	h := sha256.New()
	for len(body) > step {
		_, _ = h.Write(body[:step]) // a hash returns no error
		body = body[step:]
		d.states = append(d.states, clone(h))
	}
	_, _ = h.Write(body)
	h.Sum(d.Sum[:0])
	return d
}

func clone(h hash.Hash) hash.Hash {
	cloner, ok := h.(hash.Cloner)
	if !ok {
		return nil
	}
	c, err := cloner.Clone()
	if err != nil {
		return nil
	}
	return c
}

// Before returns the last state of the hash that covers at most the first n bytes of
// the body, and the number of bytes that it covers. The caller may write to h.
func (d *Digest) Before(n int) (h hash.Hash, written int) {
	for i := min(n/step, len(d.states)) - 1; i >= 0; i-- {
		if h := clone(d.states[i]); h != nil {
			return h, (i + 1) * step
		}
	}
	return sha256.New(), 0
}

// Hex returns the sum in hexadecimal, as a signature contains it.
func (d *Digest) Hex() string { return hex.EncodeToString(d.Sum[:]) }
