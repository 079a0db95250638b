package dedupe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keys are business keys: by event type, the JSON pointer (RFC 6901) into the
// detail whose value stands for the event ID. The zero value has none. A Keys
// is not changed once made, and safe for concurrent use.
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

// Of is the business key of an event, empty where its type has none: at says
// what stands at a JSON pointer of its detail, empty for nothing that could be
// an ID. The error says why a type that should have one has none: the event's
// own ID then stands.
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

// Rule says that under one correlation ID no event of type Then may come before
// one of type First.
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

// maxKey bounds a store's key; DynamoDB takes 2 048 bytes.
const maxKey = 1024

// storeKey is a key of a consumer in a store: readable, unless it is long, is no
// text or the consumer's name makes it ambiguous.
func storeKey(consumer, mark, id string) string {
	if k := consumer + mark + id; len(k) <= maxKey && utf8.ValidString(k) && !strings.ContainsAny(consumer, marks) {
		return k
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d%s%s%s", len(consumer), mark, consumer, id))
	return mark + hex.EncodeToString(sum[:])
}

const (
	markEvent    = "#"
	markBusiness = "="
	markType     = ">"
	marks        = markEvent + markBusiness + markType
)

// storeKey is where the record of the event is.
func (d *Delivery) storeKey() string {
	if d.BusinessKey != "" {
		return storeKey(d.Consumer, markBusiness, ofType(d.EventType, d.BusinessKey))
	}
	return d.eventKey(d.EventID)
}

// eventKey is where the record of an event without a business key is, or will be.
func (d *Delivery) eventKey(id string) string { return storeKey(d.Consumer, markEvent, id) }

// typeKey is where the first event of a type under the correlation ID is.
func (d *Delivery) typeKey(eventType string) string {
	return storeKey(d.Consumer, markType, ofType(eventType, d.CorrelationID))
}

func ofType(eventType, id string) string {
	return strconv.Itoa(len(eventType)) + ":" + eventType + ":" + id
}
