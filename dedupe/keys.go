package dedupe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keys are business keys: for an event type, the JSON pointer (RFC 6901) to
// the member of the detail that replaces the event ID. The zero value has
// none. It is safe for concurrent use if it is not changed.
type Keys map[string]string

// ParseKeys reads a setting: TYPE=/pointer, comma separated, as in
// TradeExecuted=/metadata/trade_id. An empty text has no keys. The error names
// the item and what it should look like.
func ParseKeys(text string) (Keys, error) {
	keys := Keys{}
	for _, item := range items(text) {
		eventType, pointer, ok := strings.Cut(item, "=")
		eventType, pointer = strings.TrimSpace(eventType), strings.TrimSpace(pointer)
		if !ok || eventType == "" || !strings.HasPrefix(pointer, "/") {
			return nil, fmt.Errorf("business key %q: write an event type and a JSON pointer, such as TradeExecuted=/metadata/trade_id", item)
		}
		keys[eventType] = pointer
	}
	return keys, nil
}

// Of returns the business key of an event, or "" if its type has none. at
// returns the value at a JSON pointer of the detail, or "" if it cannot be an
// ID. The error is the reason why an event has no key although its type has
// one; the event's own ID is then used.
func (k Keys) Of(eventType string, at func(pointer string) string) (string, error) {
	pointer, ok := k[eventType]
	if !ok {
		return "", nil
	}
	id := at(pointer)
	if id == "" {
		return "", fmt.Errorf("no business key at %s of %s, a string or a number of at most 4096 bytes: its event ID is used instead; correct the pointer", pointer, eventType)
	}
	return id, nil
}

// Rule means that, under one correlation ID, no event of type Then may arrive
// before one of type First.
type Rule struct{ Then, First string }

// ParseOrder reads THROUGHLINE_ORDER: THEN:FIRST, comma separated, as in
// TradeExecuted:RebalancePlanned. An empty text has no rules. The error names
// the item and what it should look like.
func ParseOrder(text string) ([]Rule, error) {
	var rules []Rule
	for _, item := range items(text) {
		then, first, ok := strings.Cut(item, ":")
		r := Rule{strings.TrimSpace(then), strings.TrimSpace(first)}
		if !ok || r.Then == "" || r.First == "" || r.Then == r.First {
			return nil, fmt.Errorf("order %q: write the later type and the earlier one, such as TradeExecuted:RebalancePlanned", item)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func items(text string) (list []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// maxKey limits the length of a store's key; DynamoDB accepts 2 048 bytes.
const maxKey = 1024

// storeKey returns a key of a consumer in a store. The key is readable, unless it is
// too long, is not UTF-8, or would be ambiguous because of the consumer's name.
func storeKey(consumer, mark, id string) string {
	if k := consumer + mark + id; len(k) <= maxKey && utf8.ValidString(k) && !strings.ContainsAny(consumer, marks) {
		return k
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d%s%s%s", len(consumer), mark, consumer, id))
	return mark + hex.EncodeToString(sum[:])
}

// The mark between a consumer's name and the rest of a key is the kind of the key.
const (
	markEvent    = "#" // an event's identity
	markContent  = "!" // an identity and a digest
	markBusiness = "=" // a business key
	markOrder    = "<" // an event that another one names as its parent
	markType     = ">" // the first event of a type under a correlation ID
	marks        = markEvent + markContent + markBusiness + markOrder + markType
)

// storeKey returns the key of the event's record.
func (d *Delivery) storeKey() string {
	mark := markEvent
	if d.BusinessKey != "" {
		mark = markBusiness
	}
	return storeKey(d.Consumer, mark, joined(d.Source, d.EventType, d.id()))
}

// contentKey returns the key of the event's record if the key of its identity
// belongs to an event of different content.
func (d *Delivery) contentKey() string {
	return storeKey(d.Consumer, markContent, joined(d.Source, d.EventType, d.content(), d.id()))
}

// orderKey returns the key that records whether an event arrived before its
// children. They have its ID as parent, and the same correlation ID.
func (d *Delivery) orderKey(eventID string) string {
	return storeKey(d.Consumer, markOrder, joined(d.CorrelationID, eventID))
}

// typeKey returns the key of the first event of a type under the correlation ID.
func (d *Delivery) typeKey(eventType string) string {
	return storeKey(d.Consumer, markType, joined(eventType, d.CorrelationID))
}

// joined concatenates texts, each except the last one with its length, so that
// different lists with the same number of texts give different results.
func joined(texts ...string) string {
	var b strings.Builder
	for i, text := range texts {
		if i < len(texts)-1 {
			b.WriteString(strconv.Itoa(len(text)))
			b.WriteByte(':')
		}
		b.WriteString(text)
		if i < len(texts)-1 {
			b.WriteByte(':')
		}
	}
	return b.String()
}
