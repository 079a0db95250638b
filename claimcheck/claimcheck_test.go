package claimcheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shelf is a store in memory.
type shelf struct {
	objects map[string]string
	put     Object
	gets    int
	fail    error
}

func (s *shelf) Put(_ context.Context, o Object) (string, error) {
	s.put = o
	if s.fail == nil {
		s.objects[o.Key] = o.Data
	}
	return "shelf", s.fail
}

func (s *shelf) Get(_ context.Context, c Claim) ([]byte, error) {
	s.gets++
	if data, ok := s.objects[c.Key]; ok {
		return []byte(data), nil
	}
	return nil, ErrMissing
}

func newChecker(t testing.TB) (*Checker, *shelf) {
	t.Helper()
	store := &shelf{objects: map[string]string{}}
	c, err := New(Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, store
}

func TestItStartsOnlyWhenToldThatConsumersUnderstand(t *testing.T) {
	if _, err := New(Config{Store: &shelf{}}); err == nil || !strings.Contains(err.Error(), "set ConsumersUnderstand once every consumer") {
		t.Errorf("error %v", err)
	}
	if _, err := New(Config{ConsumersUnderstand: true}); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("error %v", err)
	}
}

var names = Names{EventType: "Data Lake/Updated", CorrelationID: "workflow-1", EventID: "ü.1"}

func TestScalarsStayInOrder(t *testing.T) {
	c, store := newChecker(t)
	long, fits := strings.Repeat("x", 255), strings.Repeat("x", 254)
	detail := fmt.Sprintf(`{ "b" : 1.50, "list":[1], "a":"ü\u2713<", "object":{"c":1}, "null":null, "true":true, "fits":%q, "long":%q, "_throughline":"mine", "b":2}`, fits, long)
	sent, err := c.Put(t.Context(), detail, names)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"b":1.50,"a":"ü\u2713<","null":null,"true":true,"fits":%q,"b":2,"_throughline":{"claim":{"bucket":"shelf","key":"throughline/claims/Data%%20Lake%%2FUpdated/workflow-1/%%C3%%BC.1/`, fits)
	if !strings.HasPrefix(sent, want) || !json.Valid([]byte(sent)) {
		t.Errorf("got  %s\nwant %s…", sent, want)
	}
	if store.put.Data != detail || store.put.Tags["throughline"] != "claim" || store.put.Tags["event-type"] != "Data Lake/Updated" {
		t.Errorf("put %+v", store.put)
	}
	if again, err := c.Put(t.Context(), detail, names); err != nil || again != sent || len(store.objects) != 1 {
		t.Errorf("the same event again: %v, %d objects", err, len(store.objects))
	}
	if _, err := c.Put(t.Context(), `{"other":1}`, names); err != nil || len(store.objects) != 2 {
		t.Errorf("another detail of that name: %v, %d objects", err, len(store.objects))
	}
	if sent, err := c.Put(t.Context(), `{"only":{}}`, Names{}); err != nil || !strings.HasPrefix(sent, `{"_throughline":{"claim":{"bucket":"shelf","key":"throughline/claims/-/-/-/`) {
		t.Errorf("without scalars and names: %s, %v", sent, err)
	}
}

func TestPutFails(t *testing.T) {
	c, store := newChecker(t)
	for _, detail := range []string{"", "[]", `{"a":`, `{} x`, `{"a":1 "b":2}`} {
		if sent, err := c.Put(t.Context(), detail, names); err == nil || sent != "" || len(store.objects) != 0 {
			t.Errorf("%q: %q, %v", detail, sent, err)
		}
	}
	store.fail = errors.New("no bucket")
	if sent, err := c.Put(t.Context(), `{}`, names); !errors.Is(err, store.fail) || sent != "" {
		t.Errorf("%q, %v", sent, err)
	}
}

const detail = `{"event_id": "e-1",  "big": 12345678901234567890, "rows": ["ü", "\u2713", "a\"b"]}`

func quoted(s string) string { text, _ := json.Marshal(s); return string(text) }

// shapes are the payloads of tracing.Reader, with a detail for each %s.
func shapes(detail string) map[string]string {
	envelope := `{"version":"0","id":"i-1","detail-type":"T","source":"s","resources":["correlation:x"],"detail":` + detail + `}`
	notification := `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":` + quoted(envelope) + `}`
	return map[string]string{
		"NewBusBatch":      `[{"Data":{"detail-type":"T","detail":` + detail + `},"Metadata":{},"SystemMetadata":{"aws:DeliveryType":"LIVE"}}]`,
		"EventBridge":      envelope,
		"Detail":           detail,
		"DetailAsText":     `{"detail-type":"T","source":"s","detail":` + quoted(detail) + `}`,
		"SQS":              `{"Records":[{"eventSource":"aws:sqs","body":` + quoted(envelope) + `},{"eventSource":"aws:sqs","body":"plain text about a _throughline claim"},{"eventSource":"aws:sqs","body":` + quoted(detail) + `}]}`,
		"SNS":              `{"Records":[{"EventSource":"aws:sns","Sns":{"Message":` + quoted(envelope) + `}}]}`,
		"SNSInSQS":         `{"Records":[{"eventSource":"aws:sqs","body":` + quoted(notification) + `}]}`,
		"Destination":      `{"requestContext":{"requestId":"r"},"requestPayload":` + envelope + `}`,
		"DestinationOnBus": `{"id":"i","source":"lambda","detail-type":"Lambda Function Invocation Result - Failure","detail":{"requestPayload":` + envelope + `}}`,
	}
}

func TestRestoreInEveryShape(t *testing.T) {
	c, store := newChecker(t)
	sent, err := c.Put(t.Context(), detail, names)
	if err != nil {
		t.Fatal(err)
	}
	want := shapes(detail)
	for name, payload := range shapes(sent) {
		t.Run(name, func(t *testing.T) {
			got, _, err := Restore(t.Context(), store, []byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			if !equal(string(got), want[name]) {
				t.Errorf("got  %s\nwant %s", got, want[name])
			}
		})
	}
}

// equal compares what strings in strings say, however their quotes are escaped.
func equal(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func TestTheDetailIsWholeByteForByte(t *testing.T) {
	c, store := newChecker(t)
	sent, err := c.Put(t.Context(), detail, names)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Restore(t.Context(), store, []byte(`{ "detail" : `+sent+` , "detail-type":"T"}`))
	if want := `{ "detail" : ` + detail + ` , "detail-type":"T"}`; err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestWithoutAClaimThePayloadIsItself(t *testing.T) {
	_, store := newChecker(t)
	for _, payload := range []string{
		"", "x", `{"detail":{"a":1}}`, `{"detail":{"_throughline":{"correlation":"claim"}}}`, `{"detail":{"_throughline":{"claim":{"bucket":"b"}}}}`,
		`{"detail":{"_throughline":"claim"`, `{"other":{"_throughline":{"claim":{"bucket":"b","key":"k","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}}}}`,
		`[{"_throughline":"claim"},`, strings.Repeat(`{"detail":`, 40) + `"_throughline claim"` + strings.Repeat(`}`, 40),
	} {
		got, _, err := Restore(t.Context(), store, []byte(payload))
		if err != nil || string(got) != payload || store.gets != 0 {
			t.Errorf("%s: %s, %v", payload, got, err)
		}
	}
}

func TestMissingAndAltered(t *testing.T) {
	c, store := newChecker(t)
	sent, err := c.Put(t.Context(), detail, names)
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(shapes(sent)["SNS"])
	for key := range store.objects {
		store.objects[key] = strings.Replace(detail, "e-1", "e-2", 1)
		if got, _, err := Restore(t.Context(), store, payload); !errors.Is(err, ErrAltered) || got != nil || !strings.Contains(err.Error(), key) {
			t.Errorf("altered: %s, %v", got, err)
		}
		delete(store.objects, key)
	}
	if got, _, err := Restore(t.Context(), store, payload); !errors.Is(err, ErrMissing) || got != nil {
		t.Errorf("missing: %s, %v", got, err)
	}
}

func FuzzRestore(f *testing.F) {
	c, store := newChecker(f)
	sent, err := c.Put(f.Context(), detail, names)
	if err != nil {
		f.Fatal(err)
	}
	for _, payload := range shapes(sent) {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		got, _, err := Restore(t.Context(), store, payload)
		if !bytes.Equal(payload, before) {
			t.Error("the payload was changed")
		}
		if err == nil && json.Valid(payload) && !json.Valid(got) {
			t.Errorf("%s is no JSON any more: %s", payload, got)
		}
	})
}

// FuzzPut: whatever is put comes back.
func FuzzPut(f *testing.F) {
	f.Add(detail, "T", "w", "e")
	f.Add(`{"a":{"_throughline":{"claim":1}},"":"\u0000"}`, "..", "/", "\xff")
	f.Fuzz(func(t *testing.T, detail, eventType, correlation, event string) {
		c, store := newChecker(t)
		sent, err := c.Put(t.Context(), detail, Names{eventType, correlation, event})
		if err != nil {
			return
		}
		got, _, err := Restore(t.Context(), store, []byte(`{"detail":`+sent+`}`))
		if err != nil || string(got) != `{"detail":`+detail+`}` {
			t.Errorf("%q became %q, then %q, %v", detail, sent, got, err)
		}
		if len(store.put.Key) > 1024 || strings.Contains(store.put.Key, "//") {
			t.Errorf("key %q", store.put.Key)
		}
	})
}

func ExampleRestore() {
	store := &shelf{objects: map[string]string{}}
	claims, err := New(Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		panic(err)
	}
	sent, err := claims.Put(context.Background(), `{"event_id":"e-1","rows":[1,2,3]}`, Names{"Loaded", "w-1", "e-1"})
	fmt.Println(sent[:35], err)
	payload, _, err := Restore(context.Background(), store, []byte(`{"detail-type":"Loaded","detail":`+sent+`}`))
	fmt.Println(string(payload), err)
	// Output:
	// {"event_id":"e-1","_throughline":{" <nil>
	// {"detail-type":"Loaded","detail":{"event_id":"e-1","rows":[1,2,3]}} <nil>
}

// sqs is a batch of messages, m-0 and so on, with these bodies.
func sqs(queue string, bodies ...string) string {
	var records []string
	for i, body := range bodies {
		records = append(records, fmt.Sprintf(`{"messageId":"m-%d","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:%s","body":%s}`, i, queue, quoted(body)))
	}
	return `{ "Records" : [` + strings.Join(records, ", ") + ` ] }`
}

// A claim that cannot be redeemed fails its own record: the others are handed on.
func TestABadClaimFailsItsOwnRecord(t *testing.T) {
	c, store := newChecker(t)
	sent, err := c.Put(t.Context(), detail, names)
	if err != nil {
		t.Fatal(err)
	}
	gone := strings.Replace(sent, "/e-1", "/gone", 1)
	gone = strings.Replace(gone, "%C3%BC.1", "gone", 1)
	altered := strings.Replace(sent, `"size":`, `"size":1`, 1)
	for _, tt := range []struct {
		name         string
		queue        string
		bodies, left []string
		failed       []string
		is           error
	}{
		{"Middle", "q", []string{sent, "plain _throughline claim", gone, "{}", sent}, []string{detail, "plain _throughline claim", "{}", detail}, []string{"m-2"}, ErrMissing},
		{"Last", "q", []string{sent, gone}, []string{detail}, []string{"m-1"}, ErrMissing},
		{"Altered", "q", []string{altered, sent}, []string{detail}, []string{"m-0"}, ErrAltered},
		{"All", "q", []string{gone, gone}, nil, []string{"m-0", "m-1"}, ErrMissing},
		{"FIFO", "q.fifo", []string{sent, gone, sent, "{}"}, []string{detail}, []string{"m-1", "m-2", "m-3"}, ErrMissing},
		{"None", "q", []string{sent, "{}"}, []string{detail, "{}"}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, failed, err := Restore(t.Context(), store, []byte(sqs(tt.queue, tt.bodies...)))
			if (err != nil) != (tt.left == nil) {
				t.Fatal(err)
			}
			var batch struct {
				Records []struct{ MessageID, Body string }
			}
			if err := json.Unmarshal(got, &batch); err != nil && tt.left != nil {
				t.Fatalf("%s: %v", got, err)
			}
			var left, ids []string
			for _, record := range batch.Records {
				left = append(left, record.Body)
			}
			for _, f := range failed {
				ids = append(ids, f.ItemIdentifier)
			}
			if !slices.Equal(left, tt.left) || !slices.Equal(ids, tt.failed) {
				t.Errorf("left %q, failed %q", left, ids)
			}
			if len(failed) > 0 && (!errors.Is(failed[0].Err, tt.is) || !strings.Contains(failed[0].Err.Error(), ids[0])) {
				t.Errorf("failed for %v", failed[0].Err)
			}
		})
	}
}

// What a claim says of a size is not believed.
func TestAClaimOfTooManyBytes(t *testing.T) {
	c, store := newChecker(t)
	if _, err := c.Put(t.Context(), `{"rows":"`+strings.Repeat("x", MaxDetail)+`"}`, names); err == nil || len(store.objects) != 0 {
		t.Errorf("put: %v", err)
	}
	for _, size := range []string{"300000000", "-1"} {
		payload := `{"detail":{"_throughline":{"claim":{"bucket":"shelf","key":"k","size":` + size + `,"sha256":"` + strings.Repeat("0", 64) + `"}}}}`
		if got, _, err := Restore(t.Context(), store, []byte(payload)); err == nil || got != nil || store.gets != 0 {
			t.Errorf("%s bytes: %s, %v, read %d times", size, got, err, store.gets)
		}
	}
}
