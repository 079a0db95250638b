// Package claimcheck keeps the details of large events in a store and sends a
// claim in their place.
//
// A [Checker] puts a detail in a [Store] and returns what is sent: the detail's
// scalar members at the top, of at most 256 bytes each and in order, so that
// rules on them still match, and the claim:
//
//	{"event_id":"…","symbol":"AAPL","_throughline":{"claim":{"bucket":"…","key":"…","size":612345,"sha256":"…"}}}
//
// [Restore] gives details back, whole and verified, wherever a function's
// payload holds them. Package claimcheck/s3 is a Store.
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
	// Put keeps o and returns the name of the bucket that it is in.
	Put(ctx context.Context, o Object) (bucket string, err error)
	// Get returns the object that c claims, or an error: ErrMissing where there is
	// none, ErrAltered where it is not of the size that c says. A claim is what a
	// stranger may have written. So Get reads only its own buckets and keys, and
	// no object of more than [MaxDetail] bytes, whatever the claim says.
	Get(ctx context.Context, c Claim) ([]byte, error)
}

// Object is a detail on its way into a store.
type Object struct {
	Key  string
	Data string
	// Tags are for lifecycle rules and bills: throughline=claim and event-type.
	Tags map[string]string
}

// MaxDetail is how many bytes a detail may have that is put aside or redeemed.
const MaxDetail = 16 << 20

// DefaultPrefix is the prefix of keys where no other is given.
const DefaultPrefix = "throughline/claims"

// Claim says where a detail is and how to tell that it is the same.
type Claim struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Size   int    `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // in hex
}

// The errors that a caller may want to tell apart.
var (
	ErrMissing = errors.New("the claimed detail is not there: it was deleted, or a lifecycle rule is shorter than the retention of queues and archives")
	ErrAltered = errors.New("the claimed detail was altered after its event was published")
)

// Config of a [Checker].
type Config struct {
	Store Store // required
	// ConsumersUnderstand must be true: whoever consumes the events and does not
	// restore claims (handler.WithClaims, or Restore) sees a detail with most of
	// it gone.
	ConsumersUnderstand bool
	// Prefix of keys. Empty means [DefaultPrefix].
	Prefix string
}

// Checker puts details aside. It is safe for concurrent use. Use [New].
type Checker struct{ config Config }

// New returns a Checker, or says why it does not start.
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

// Names of an event stand in the key of its detail. An empty one is "-" there.
type Names struct{ EventType, CorrelationID, EventID string }

// MaxScalar is how long a member's value may be, in bytes as it is written, to
// stay in the detail that is sent.
const MaxScalar = 256

// member is the name of the detail's member that holds a claim.
const member = "_throughline"

// Put keeps detail in the store and returns the one to send in its place. The
// key is the prefix, the names and the detail's digest, so that the same event
// published again is the same object, and another never replaces it.
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

// segment is a name as a part of a key: S3's safe characters stay, the rest is
// percent-encoded, and what is long is cut; the digest tells keys apart.
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

// marshal writes text as it is: events are measured in bytes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
