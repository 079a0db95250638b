package dynamo

import (
	"strconv"
	"time"

	"github.com/throughline/throughline/dedupe"
)

// request is a PutItem or an UpdateItem.
type request struct {
	Table        string            `json:"TableName"`
	Item         attributes        `json:",omitempty"`
	Key          attributes        `json:",omitempty"`
	Condition    string            `json:"ConditionExpression"`
	Update       string            `json:"UpdateExpression,omitempty"`
	Names        map[string]string `json:"ExpressionAttributeNames,omitempty"`
	Values       attributes        `json:"ExpressionAttributeValues,omitempty"`
	ReturnValues string            `json:",omitempty"`
	OnFailure    string            `json:"ReturnValuesOnConditionCheckFailure,omitempty"`
}

// attribute is one value in DynamoDB's JSON.
type attribute struct {
	S    *string `json:",omitempty"`
	N    *string `json:",omitempty"`
	BOOL *bool   `json:",omitempty"`
	B    *[]byte `json:",omitempty"`
}

type attributes map[string]attribute

func names(pairs ...string) map[string]string {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func text(s string) attribute { return attribute{S: &s} }

func number(n int64) attribute {
	s := strconv.FormatInt(n, 10)
	return attribute{N: &s}
}

func flag(b bool) attribute { return attribute{BOOL: &b} }

func binary(b []byte) attribute {
	if b == nil {
		b = []byte{}
	}
	return attribute{B: &b}
}

func millis(t time.Time) attribute  { return number(t.UnixMilli()) }
func seconds(t time.Time) attribute { return number(t.Unix()) }

// item returns the item of a record. It omits empty values.
func item(key string, r dedupe.Record) attributes {
	a := attributes{
		"pk": text(key), "state": text(string(r.State)), "at": millis(r.At),
		"expiry": seconds(r.Expires), "count": number(int64(r.Count)),
	}
	for name, value := range map[string]string{
		"envelope": r.First.EnvelopeID, "request": r.First.RequestID, "traceparent": r.Traceparent,
		"latest_envelope": r.Latest.EnvelopeID, "latest_request": r.Latest.RequestID,
	} {
		if value != "" {
			a[name] = text(value)
		}
	}
	if r.State != dedupe.Expected { // conditions compare it, so it is present even if empty
		a["digest"] = text(r.Digest)
	}
	if r.State == dedupe.Claimed { // conditions compare the owner, so it is present even if empty
		a["request"], a["lease"] = text(r.First.RequestID), millis(r.Lease)
	}
	if r.First.Failed {
		a["failed"] = flag(true)
	}
	if r.Latest.Failed {
		a["latest_failed"] = flag(true)
	}
	return a
}

// record returns the record of an item. Attributes that are missing or of another
// type are zero.
func (a attributes) record() dedupe.Record {
	if len(a) == 0 {
		return dedupe.Record{}
	}
	r := dedupe.Record{
		State: dedupe.State(a.text("state")), At: time.UnixMilli(a.number("at")).UTC(), Digest: a.text("digest"),
		First:       dedupe.Handling{EnvelopeID: a.text("envelope"), RequestID: a.text("request"), Failed: a.flag("failed")},
		Latest:      dedupe.Handling{EnvelopeID: a.text("latest_envelope"), RequestID: a.text("latest_request"), Failed: a.flag("latest_failed")},
		Traceparent: a.text("traceparent"), Count: int(a.number("count")),
		Expires: time.Unix(a.number("expiry"), 0).UTC(),
	}
	if r.State == "" { // an item of other software: it exists, and matches no event
		r.State = dedupe.Seen
	}
	if lease := a.number("lease"); lease != 0 {
		r.Lease = time.UnixMilli(lease).UTC()
	}
	if b := a["result"].B; b != nil {
		r.Kept, r.Result = true, *b
	}
	return r
}

func (a attributes) text(name string) string {
	if s := a[name].S; s != nil {
		return *s
	}
	return ""
}

func (a attributes) number(name string) int64 {
	s := a[name].N
	if s == nil {
		return 0
	}
	n, err := strconv.ParseInt(*s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (a attributes) flag(name string) bool {
	b := a[name].BOOL
	return b != nil && *b
}
