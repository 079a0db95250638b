package claimcheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Restore returns payload with every claimed detail in its place, byte for byte
// as it was published. The payload is what a Lambda function is handed:
// EventBridge's envelope, a batch of SQS or SNS records that hold envelopes or
// details, a destination's record, or a detail by itself. One without a claim is
// returned as it is and costs a search for a word.
//
// A detail that is not there is ErrMissing, one whose size or digest differs is
// ErrAltered; the payload is then not restored at all.
func Restore(ctx context.Context, store Store, payload []byte) ([]byte, error) {
	restored, err := restore(ctx, store, payload, 0)
	if err != nil {
		return nil, fmt.Errorf("restore claim: %w", err)
	}
	return restored, nil
}

// Claimed says whether payload may hold a claim, so that a Store need not be at
// hand for those which do not. It may be wrong about text that speaks of claims.
func Claimed(payload []byte) bool {
	return bytes.Contains(payload, []byte(member)) && bytes.Contains(payload, []byte("claim"))
}

// maxNesting bounds how deep an event may stand inside messages and records.
const maxNesting = 16

// holds are the members that may hold an event, or a batch of what does.
var holds = map[string]bool{"detail": true, "Records": true, "body": true, "Sns": true, "Message": true, "requestPayload": true}

// restore is Restore for the value data, an object, an array or a string.
func restore(ctx context.Context, store Store, data []byte, depth int) ([]byte, error) {
	if depth > maxNesting || !Claimed(data) {
		return data, nil
	}
	switch data = bytes.TrimSpace(data); data[0] {
	case '{':
		return restoreObject(ctx, store, data, depth)
	case '[':
		return restoreList(ctx, store, data, depth)
	case '"':
		return restoreText(ctx, store, data, depth)
	default:
		return data, nil
	}
}

func restoreObject(ctx context.Context, store Store, data []byte, depth int) ([]byte, error) {
	var claim *Claim
	var edits edits
	err := eachMember(data, func(name string, value []byte, at int) error {
		if name == member {
			claim = readClaim(value)
			return nil
		}
		if !holds[name] {
			return nil
		}
		return edits.add(ctx, store, value, at, depth)
	})
	switch {
	case claim != nil && err == nil:
		return fetch(ctx, store, *claim)
	case err != nil && !isOurs(err):
		return data, nil // not JSON: not ours to judge
	case err != nil:
		return nil, err
	}
	return edits.apply(data), nil
}

func restoreList(ctx context.Context, store Store, data []byte, depth int) ([]byte, error) {
	var edits edits
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return data, nil
	}
	for decoder.More() {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return data, nil
		}
		if err := edits.add(ctx, store, value, int(decoder.InputOffset())-len(value), depth); err != nil {
			return nil, err
		}
	}
	return edits.apply(data), nil
}

// restoreText restores what stands in a string, such as a message's body.
func restoreText(ctx context.Context, store Store, data []byte, depth int) ([]byte, error) {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return data, nil
	}
	inner := []byte(text)
	restored, err := restore(ctx, store, inner, depth)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(restored, inner) {
		return data, nil
	}
	return marshal(string(restored))
}

// edits are the places of a payload that change.
type edits []edit

type edit struct {
	at, length int
	with       []byte
}

func (e *edits) add(ctx context.Context, store Store, value []byte, at, depth int) error {
	restored, err := restore(ctx, store, value, depth+1)
	if err != nil {
		return &claimError{err}
	}
	if !bytes.Equal(restored, value) {
		*e = append(*e, edit{at, len(value), restored})
	}
	return nil
}

func (e edits) apply(data []byte) []byte {
	if len(e) == 0 {
		return data
	}
	var out []byte
	from := 0
	for _, change := range e {
		out = append(append(out, data[from:change.at]...), change.with...)
		from = change.at + change.length
	}
	return append(out, data[from:]...)
}

// claimError tells a claim's error from that of reading the payload.
type claimError struct{ error }

func (e *claimError) Unwrap() error { return e.error }

func isOurs(err error) bool {
	_, ours := err.(*claimError) //nolint:errorlint // made above and never wrapped
	return ours
}

// readClaim reads the claim in a detail's member, nil where it holds none.
func readClaim(value []byte) *Claim {
	var holder struct {
		Claim *Claim `json:"claim"`
	}
	if json.Unmarshal(value, &holder) != nil || holder.Claim == nil || holder.Claim.Key == "" || len(holder.Claim.SHA256) != 2*sha256.Size {
		return nil
	}
	return holder.Claim
}

func fetch(ctx context.Context, store Store, c Claim) ([]byte, error) {
	data, err := store.Get(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("get %s from %s: %w", c.Key, c.Bucket, err)
	}
	digest := sha256.Sum256(data)
	if len(data) != c.Size || hex.EncodeToString(digest[:]) != c.SHA256 {
		return nil, fmt.Errorf("get %s from %s: %w", c.Key, c.Bucket, ErrAltered)
	}
	return data, nil
}
