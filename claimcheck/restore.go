package claimcheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Failure is a record of a batch whose claim could not be redeemed.
type Failure struct {
	// ItemIdentifier is the record's identifier in a partial batch response
	// (Lambda Developer Guide, "Implementing partial batch responses").
	ItemIdentifier string
	Err            error
}

// Restore returns payload with every claim replaced by its detail, byte for byte
// as published. The payload is that of a Lambda function: EventBridge's
// envelope, a batch of SQS or SNS records with envelopes or details, a
// destination's record, or a detail. A payload without a claim is returned
// unchanged and costs only the search for a word.
//
// If a detail does not exist, the error is ErrMissing; if its size or digest
// differs, ErrAltered. In an SQS batch the error is a Failure of its record,
// which is omitted from the result. In a batch of a FIFO queue the records after
// it fail too, so that the order is kept. If no record is left, and in any other
// payload, Restore returns the error.
func Restore(ctx context.Context, store Store, payload []byte) (restored []byte, failed []Failure, err error) {
	r := restorer{ctx: ctx, store: store}
	if restored, failed, ok := r.batch(payload); ok {
		if restored == nil {
			return nil, failed, failed[0].Err
		}
		return restored, failed, nil
	}
	restored, err = r.value(payload, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("restore claim: %w", err)
	}
	return restored, nil, nil
}

// Claimed reports whether payload may hold a claim, so that other payloads need
// no Store. It may report true for text that mentions claims.
func Claimed(payload []byte) bool {
	return bytes.Contains(payload, []byte(member)) && bytes.Contains(payload, []byte("claim"))
}

// maxNesting is the maximum nesting of an event inside messages and records.
const maxNesting = 16

// restorer restores what is in one payload.
type restorer struct {
	ctx   context.Context
	store Store
}

// errOrder is the error of a record whose own claim may be valid.
var errOrder = errors.New("a record before it in its FIFO queue failed")

// batch restores each record of an SQS batch; ok reports that payload is one.
// It returns nil if all records fail.
func (r *restorer) batch(payload []byte) (restored []byte, failed []Failure, ok bool) {
	if !Claimed(payload) || !whole(payload) {
		return nil, nil, false
	}
	m := jsonwalk.MembersOf(payload, 0)
	for m.Next() && string(m.Key) != "Records" {
	}
	if string(m.Key) != "Records" {
		return nil, nil, false
	}
	at := m.End - len(m.Value)
	var changes edits
	left := []byte{'['} // the records that did not fail
	for e := jsonwalk.ElementsOf(m.Value, 0); e.Next(); {
		id, queue, ok := message(e.Value)
		if !ok {
			return nil, nil, false
		}
		record, err := e.Value, errOrder
		if len(failed) == 0 || !strings.HasSuffix(queue, ".fifo") {
			record, err = r.value(e.Value, 1)
		}
		if err != nil {
			failed = append(failed, Failure{id, fmt.Errorf("restore claim of message %s: %w", id, err)})
			continue
		}
		changes.add(at+e.End, e.Value, record)
		if len(left) > 1 {
			left = append(left, ',')
		}
		left = append(left, record...)
	}
	if len(failed) > 0 && len(left) == 1 {
		return nil, failed, true
	}
	if len(failed) > 0 {
		changes = edits{{at, len(m.Value), append(left, ']')}}
	}
	return changes.apply(payload), failed, true
}

// whole reports whether data is one JSON value.
func whole(data []byte) bool {
	end := jsonwalk.SkipValue(data, jsonwalk.SkipSpace(data, 0))
	return end >= 0 && jsonwalk.SkipSpace(data, end) == len(data)
}

// message is the ID of an SQS record's message and the ARN of its queue.
func message(record []byte) (id, queue string, ok bool) {
	source := ""
	for m := jsonwalk.MembersOf(record, 0); m.Next(); {
		switch string(m.Key) {
		case "messageId":
			id = jsonwalk.Text(m.Value)
		case "eventSource":
			source = jsonwalk.Text(m.Value)
		case "eventSourceARN":
			queue = jsonwalk.Text(m.Value)
		}
	}
	return id, queue, id != "" && source == "aws:sqs"
}

// value restores an object, an array or a string. It returns data that is not
// JSON unchanged.
func (r *restorer) value(data []byte, depth int) ([]byte, error) {
	if depth > maxNesting || !Claimed(data) || !whole(data) {
		return data, nil
	}
	switch data[jsonwalk.SkipSpace(data, 0)] {
	case '{':
		return r.object(data, depth)
	case '[':
		return r.list(data, depth)
	case '"':
		return r.text(data, depth)
	default:
		return data, nil
	}
}

func (r *restorer) object(data []byte, depth int) ([]byte, error) {
	var claim *Claim
	var e edits
	m := jsonwalk.MembersOf(data, 0)
	for m.Next() {
		switch string(m.Key) {
		case member:
			claim = readClaim(m.Value)
		case "detail", "Records", "body", "Sns", "Message", "requestPayload", "Data": // may hold an event, or a batch of what does
			if err := r.part(&e, m.Value, m.End, depth); err != nil {
				return nil, err
			}
		}
	}
	if claim != nil {
		return r.redeem(*claim)
	}
	return e.apply(data), nil
}

func (r *restorer) list(data []byte, depth int) ([]byte, error) {
	var e edits
	for w := jsonwalk.ElementsOf(data, 0); w.Next(); {
		if err := r.part(&e, w.Value, w.End, depth); err != nil {
			return nil, err
		}
	}
	return e.apply(data), nil
}

// text restores what is in a string, such as a message's body.
func (r *restorer) text(data []byte, depth int) ([]byte, error) {
	inner := jsonwalk.Inner(bytes.TrimSpace(data))
	restored, err := r.value(inner, depth)
	if err != nil || bytes.Equal(restored, inner) {
		return data, err
	}
	return marshal(string(restored))
}

// part restores a part of a value, which ends at end, and adds the change to e.
func (r *restorer) part(e *edits, part []byte, end, depth int) error {
	restored, err := r.value(part, depth+1)
	if err == nil {
		e.add(end, part, restored)
	}
	return err
}

// edits are the places of a text that change.
type edits []edit

type edit struct {
	at, length int
	with       []byte
}

// add puts with in the place of the part that ends at end.
func (e *edits) add(end int, part, with []byte) {
	if !bytes.Equal(part, with) {
		*e = append(*e, edit{end - len(part), len(part), with})
	}
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

// readClaim reads the claim in a detail's member; it returns nil if there is
// none.
func readClaim(value []byte) *Claim {
	var holder struct {
		Claim *Claim `json:"claim"`
	}
	if json.Unmarshal(value, &holder) != nil || holder.Claim == nil || holder.Claim.Key == "" || len(holder.Claim.SHA256) != 2*sha256.Size {
		return nil
	}
	return holder.Claim
}

// redeem is the detail that c claims.
func (r *restorer) redeem(c Claim) ([]byte, error) {
	if c.Size < 0 || c.Size > MaxDetail {
		return nil, fmt.Errorf("get %s from %s: the claim says %d bytes, and %d are the most that are read", c.Key, c.Bucket, c.Size, MaxDetail)
	}
	data, err := r.store.Get(r.ctx, c)
	if err != nil {
		return nil, fmt.Errorf("get %s from %s: %w", c.Key, c.Bucket, err)
	}
	digest := sha256.Sum256(data)
	if len(data) != c.Size || hex.EncodeToString(digest[:]) != c.SHA256 {
		return nil, fmt.Errorf("get %s from %s: %w", c.Key, c.Bucket, ErrAltered)
	}
	return data, nil
}
