// Package claimcheck stores the details of large events and sends a claim instead.
//
// A [Checker] puts a detail into a [Store] and returns the detail to send: the scalar members at the top level,
// up to 256 bytes each and in order, so that rules on them still match, and the claim:
//
//	{"event_id":"…","symbol":"AAPL","_throughline":{"claim":{"bucket":"…","key":"…","size":612345,"sha256":"…"}}}
//
// [Restore] replaces the claims in a function's payload with the stored details and verifies them. Package
// claimcheck/s3 is a Store.
package claimcheck

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Store keeps objects. It must be safe for concurrent use.
type Store interface {
	// Put stores o and returns the name of its bucket.
	Put(ctx context.Context, o Object) (bucket string, err error)
	// Get returns the object of c, or an error: ErrMissing if it does not exist,
	// ErrAltered if its size differs from that of c. A stranger may have written
	// the claim. So Get reads only its own buckets and keys, and no object of more
	// than [MaxDetail] bytes.
	Get(ctx context.Context, c Claim) ([]byte, error)
}

// Object is a detail to store.
type Object struct {
	Key  string
	Data string
	// Tags are for lifecycle rules and cost allocation: throughline=claim and
	// event-type.
	Tags map[string]string
}

// MaxDetail is the maximum size in bytes of a detail that is stored or
// restored.
const MaxDetail = 16 << 20

// DefaultPrefix is the default prefix of keys.
const DefaultPrefix = "throughline/claims"

// Claim is the place of a stored detail, with its size and its checksum.
type Claim struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Size   int    `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // in hex
}

// The errors that a caller may want to distinguish.
var (
	ErrMissing = errors.New("the claimed detail is not there: it was deleted, or a lifecycle rule is shorter than the retention of queues and archives")
	ErrAltered = errors.New("the claimed detail was altered after its event was published")
)

// Config of a [Checker].
type Config struct {
	Store Store // required
	// ConsumersUnderstand must be true. It confirms that every consumer of the
	// events restores claims (handler.WithClaims, or Restore); other consumers
	// see only a part of the detail.
	ConsumersUnderstand bool
	// Prefix of keys. Empty means [DefaultPrefix].
	Prefix string
}

// Checker replaces large details with claims. It is safe for concurrent use.
// Use [New].
type Checker struct{ config Config }

// New returns a Checker, or an error if the configuration is not complete.
func New(config Config) (*Checker, error) {
	switch {
	case config.Store == nil:
		return nil, errors.New("claim check: no store: see package claimcheck/s3")
	case !config.ConsumersUnderstand:
		return nil, errors.New("claim check: set ConsumersUnderstand once every consumer of these event types restores claims (handler.WithClaims)")
	}
	config.Prefix = cmp.Or(config.Prefix, DefaultPrefix)
	return &Checker{config}, nil
}

// Names are the parts of the key of a detail. An empty name is "-" in the key.
type Names struct{ EventType, CorrelationID, EventID string }

// MaxScalar is the maximum length in bytes of the JSON value of a member that
// stays in the detail.
const MaxScalar = 256

// member is the name of the detail's member that holds a claim.
const member = "_throughline"

// Put stores detail and returns the detail to send instead. The key consists
// of the prefix, the names and the detail's digest, so that an event that is
// published again has the same object, and no other event replaces it.
func (c *Checker) Put(ctx context.Context, detail string, names Names) (string, error) {
	if len(detail) > MaxDetail {
		return "", fmt.Errorf("claim check: the detail has %d bytes, and %d are the most that consumers redeem", len(detail), MaxDetail)
	}
	digest := sha256.Sum256([]byte(detail))
	claim := Claim{Size: len(detail), SHA256: hex.EncodeToString(digest[:])}
	const distinct = 16 // hex digits of the digest
	claim.Key = strings.Join([]string{strings.Trim(c.config.Prefix, "/"), segment(names.EventType), segment(names.CorrelationID), segment(names.EventID), claim.SHA256[:distinct] + ".json"}, "/")
	kept, ok := scalars(detail)
	if !ok {
		return "", errors.New("claim check: read detail: not a JSON object")
	}
	var err error
	claim.Bucket, err = c.config.Store.Put(ctx, Object{Key: claim.Key, Data: detail, Tags: map[string]string{"throughline": "claim", "event-type": names.EventType}})
	if err != nil {
		return "", fmt.Errorf("claim check: put detail: %w", err)
	}
	text, err := marshal(claim)
	if err != nil {
		return "", fmt.Errorf("claim check: write claim: %w", err)
	}
	if len(kept) > 1 {
		kept = append(kept, ',')
	}
	return string(kept) + `"` + member + `":{"claim":` + string(text) + `}}`, nil
}

// segment is a name as a part of a key: S3's safe characters stay, others are
// percent-encoded, and a long name is truncated. The digest keeps keys
// distinct.
func segment(name string) string {
	const longest = 128
	var b strings.Builder
	for i := 0; i < len(name) && b.Len() < longest; i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && b.Len() > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

// scalars is the object of detail's short scalar members, its brace not closed.
func scalars(detail string) (kept []byte, ok bool) {
	kept = []byte{'{'}
	data := []byte(detail)
	m := jsonwalk.MembersOf(data, 0)
	for m.Next() {
		if m.Value[0] == '{' || m.Value[0] == '[' || len(m.Value) > MaxScalar || string(m.Key) == member {
			continue
		}
		key, err := marshal(string(m.Key))
		if err != nil {
			return nil, false
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(append(append(kept, key...), ':'), m.Value...)
	}
	return kept, m.After > 0 && jsonwalk.SkipSpace(data, m.After) == len(data)
}

// marshal does not escape text, because events are measured in bytes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
