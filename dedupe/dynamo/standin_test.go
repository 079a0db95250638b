package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// standIn is what DynamoDB does with the writes of a [Table]: conditional
// PutItem and UpdateItem of one item, atomically, by its documented expressions
// (Developer Guide, "Expressions"). TestStandInIsAsMoto holds it to moto. It is
// the transport of a client or, where many calls are made, takes them itself.
// Use its zero value. It forgets what it is told to forget.
type standIn struct {
	mu         sync.Mutex
	items      map[string]attributes
	conditions map[string][]string // in words
}

// RoundTrip implements [http.RoundTripper].
func (s *standIn) RoundTrip(r *http.Request) (*http.Response, error) {
	var in request
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	a := s.write(operation, &in)
	status := http.StatusOK
	if a.failed {
		status = http.StatusBadRequest
	}
	body, err := json.Marshal(a)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// call is a table's, without HTTP.
func (s *standIn) call(_ context.Context, operation string, in *request) (*answer, error) {
	return s.write(operation, in), nil
}

// forget drops what had expired at now, as DynamoDB's time to live does.
func (s *standIn) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, item := range s.items {
		if item.number("expiry") < now.Unix() {
			delete(s.items, key)
		}
	}
}

// split is a condition in words.
func (s *standIn) split(condition string) []string {
	words, ok := s.conditions[condition]
	if !ok {
		words = strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ", ",", " , ").Replace(condition))
		s.conditions[condition] = words
	}
	return words
}

func (s *standIn) write(operation string, in *request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items, s.conditions = map[string]attributes{}, map[string][]string{}
	}
	key := in.Item.text("pk") + in.Key.text("pk") // a request has one of them
	old := s.items[key]
	a := &answer{}
	e := expression{words: s.split(in.Condition), in: in, item: old}
	if !e.any() {
		a.Type, a.failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", true
		if in.OnFailure == "ALL_OLD" {
			a.Item = old
		}
		return a
	}
	if len(e.words) > 0 {
		panic(fmt.Sprint("the condition goes on: ", e.words))
	}
	if in.ReturnValues == "ALL_OLD" {
		a.Attributes = old
	}
	if operation == "PutItem" {
		s.items[key] = in.Item
		return a
	}
	item := maps.Clone(old)
	if item == nil {
		item = attributes{"pk": text(key)}
	}
	set, add, _ := strings.Cut(strings.TrimPrefix(in.Update, "SET "), " ADD ")
	for assignment := range strings.SplitSeq(set, ", ") {
		name, value, _ := strings.Cut(assignment, " = ")
		item[in.Names[name]] = in.Values[value]
	}
	if name, value, ok := strings.Cut(add, " "); ok {
		delta := attributes{"n": in.Values[value]}
		item[in.Names[name]] = number(item.number(in.Names[name]) + delta.number("n"))
	}
	s.items[key] = item
	return a
}

// expression evaluates a condition: comparisons of an attribute with a value,
// attribute_exists, attribute_not_exists, AND before OR, parentheses.
type expression struct {
	words []string // still to be read
	in    *request
	item  attributes
}

func (e *expression) next() string {
	word := e.words[0]
	e.words = e.words[1:]
	return word
}

func (e *expression) take(word string) bool {
	if len(e.words) == 0 || e.words[0] != word {
		return false
	}
	e.next()
	return true
}

func (e *expression) any() bool {
	result := e.all()
	for e.take("OR") {
		result = e.all() || result
	}
	return result
}

func (e *expression) all() bool {
	result := e.one()
	for e.take("AND") {
		result = e.one() && result
	}
	return result
}

func (e *expression) one() bool {
	switch word := e.next(); word {
	case "(":
		result := e.any()
		e.next() // the closing one
		return result
	case "attribute_exists", "attribute_not_exists":
		e.next()
		_, ok := e.item[e.next()]
		e.next()
		return ok == (word == "attribute_exists")
	default:
		operator, value := e.next(), e.in.Values[e.next()]
		found, ok := e.item[e.in.Names[word]]
		return compare(found, ok, operator, value)
	}
}

// compare compares values of one type: of two types, or of an attribute that is
// not there, only <> is true.
func compare(found attribute, ok bool, operator string, value attribute) bool {
	order := 0
	switch {
	case !ok || (found.S == nil) != (value.S == nil) || (found.N == nil) != (value.N == nil):
		return operator == "<>"
	case found.S != nil:
		order = strings.Compare(*found.S, *value.S)
	case found.N != nil:
		a, _ := strconv.ParseInt(*found.N, 10, 64)
		b, _ := strconv.ParseInt(*value.N, 10, 64)
		order = int(max(-1, min(1, a-b)))
	}
	switch operator {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case ">=":
		return order >= 0
	}
	panic("an operator that is not known: " + operator)
}
