package dedupe

import (
	"context"
	"errors"
	"testing"
	"time"
)

// identities are pairs of deliveries, the second of which is or is not the first again.
var identities = []struct {
	name          string
	first, second func(*Delivery)
	want          Kind
}{
	{"SameSourceTypeAndID", nil, nil, Republish},
	{"AnotherSource", nil, func(d *Delivery) { d.Source = "payments" }, ""},
	{"AnotherType", nil, func(d *Delivery) { d.EventType = "OrderPaid" }, ""},
	{"SourceAndTypeThatReadTheSame", func(d *Delivery) { d.Source, d.EventType = "a", "b:c" }, func(d *Delivery) { d.Source, d.EventType = "a:b", "c" }, ""},
	{"OtherContent", nil, func(d *Delivery) { d.Digest = "other" }, Conflict},
	{"OtherContentInTheSameEnvelope", nil, func(d *Delivery) { d.Digest, d.EnvelopeID = "other", "env-1" }, Conflict},
	{"OfAWSWithTheSameCode", ofAWS, ofAWS, ""},
	{"OfAWSInTheSameEnvelope", ofAWS, func(d *Delivery) { ofAWS(d); d.EnvelopeID = "env-1" }, Redelivery},
	{"OfAWSReplayed", ofAWS, func(d *Delivery) { ofAWS(d); d.EnvelopeID, d.ReplayName = "env-1", "monday" }, Replay},
	{"BusinessKey", business, business, Republish},
	{"BusinessKeyAndOtherContent", business, func(d *Delivery) { business(d); d.EventID, d.Digest = "2", "other" }, Republish},
	{"BusinessKeyThatReadsAsAnID", func(d *Delivery) { d.BusinessKey = "1" }, nil, ""},
	{"DirectInvocation", direct, direct, ""},
	{"DirectInvocationAfterADelivery", nil, direct, ""},
}

func ofAWS(d *Delivery)    { d.Source, d.EventType = "aws.rds", "RDS DB Instance Event" }
func business(d *Delivery) { d.BusinessKey = "trade-1" }
func direct(d *Delivery)   { d.Direct, d.EnvelopeID = true, "env-1" }

func pairOf(first, second func(*Delivery)) (a, b Delivery) {
	a = Delivery{Consumer: "billing", Source: "orders", EventType: "OrderPlaced", EventID: "1", EnvelopeID: "env-1", CorrelationID: "w-1", RequestID: "r-1", Digest: "content", At: at}
	b = a
	b.EnvelopeID, b.CorrelationID, b.RequestID, b.At = "env-2", "w-2", "r-2", at.Add(time.Second)
	if first != nil {
		first(&a)
	}
	if second != nil {
		second(&b)
	}
	return a, b
}

func TestIdentity(t *testing.T) {
	for _, tt := range identities {
		first, second := pairOf(tt.first, tt.second)
		t.Run("Memory/"+tt.name, func(t *testing.T) {
			c := New(Config{Warn: func(m string) { t.Error(m) }})
			if v := deliver(t, c, first, false); v.Kind != "" {
				t.Errorf("the first: %+v", v)
			}
			if v := deliver(t, c, second, false); v.Kind != tt.want {
				t.Errorf("the second: %+v, want %q", v, tt.want)
			}
		})
		t.Run("Store/"+tt.name, func(t *testing.T) {
			store := new(Memory)
			deliver(t, shared(t, store, Config{}), first, false)
			if v := deliver(t, shared(t, store, Config{}), second, false); v.Kind != tt.want || v.Unknown {
				t.Errorf("the second: %+v, want %q", v, tt.want)
			}
		})
		t.Run("Once/"+tt.name, func(t *testing.T) {
			store, handled := new(Memory), 0
			handle := func(context.Context) ([]byte, error) { handled++; return []byte("first"), nil }
			for _, d := range []Delivery{first, second} {
				if _, err := shared(t, store, Config{}).Once(t.Context(), d, time.Time{}, handle); err != nil {
					t.Error(err)
				}
			}
			suppressed := tt.want != "" && tt.want != Conflict
			if suppressed != (handled == 1) {
				t.Errorf("handled %d times", handled)
			}
		})
	}
}

// An event that conflicts with another is known by itself from then on.
func TestRepeatsOfAConflict(t *testing.T) {
	store := new(Memory)
	a, b := shared(t, store, Config{}), shared(t, store, Config{})
	first, other := pairOf(nil, func(d *Delivery) { d.Digest = "other" })
	deliver(t, a, first, false)
	deliver(t, b, other, true)
	for i, tt := range []struct {
		c      *Checker
		d      Delivery
		failed bool
		want   Kind
		count  int
	}{
		{a, other, false, Retry, 1}, {b, other, false, Redelivery, 2}, {b, first, false, Redelivery, 1}, {a, first, false, Redelivery, 2}, {shared(t, store, Config{}), other, false, Redelivery, 3},
	} {
		tt.d.RequestID = "r-again-" + string(rune('a'+i))
		if v := deliver(t, tt.c, tt.d, tt.failed); v.Kind != tt.want || v.Count != tt.count {
			t.Errorf("%d: %+v, want %q after %d", i, v, tt.want, tt.count)
		}
	}
	results := map[string]int{}
	for range 3 {
		for _, d := range []Delivery{first, other} {
			d.Consumer = "once"
			result, err := shared(t, store, Config{}).Once(t.Context(), d, time.Time{}, func(context.Context) ([]byte, error) {
				results["handled "+d.Digest]++
				return []byte(d.Digest), nil
			})
			if string(result) != d.Digest || err != nil {
				t.Errorf("%s is answered with %s, %v", d.Digest, result, err)
			}
		}
	}
	if len(results) != 2 || results["handled content"] != 1 || results["handled other"] != 1 {
		t.Errorf("handled %v", results)
	}
}

// A claim that failed or whose lease ended passes to the same event alone.
func TestAClaimPassesToTheSameContent(t *testing.T) {
	first, other := pairOf(nil, func(d *Delivery) { d.Digest = "other" })
	store := new(Memory)
	fail := errors.New("no")
	if _, err := shared(t, store, Config{}).Once(t.Context(), first, time.Time{}, func(context.Context) ([]byte, error) { return nil, fail }); !errors.Is(err, fail) {
		t.Fatal(err)
	}
	for _, d := range []Delivery{other, first} {
		result, err := shared(t, store, Config{}).Once(t.Context(), d, time.Time{}, func(context.Context) ([]byte, error) { return []byte(d.Digest), nil })
		if err != nil || string(result) != d.Digest {
			t.Errorf("%s is answered with %s, %v", d.Digest, result, err)
		}
	}
}

// The order of events is told by what a workflow's events say of one another: an
// event of another source that has the parent's ID is not the parent.
func TestOrderIsOfOneWorkflow(t *testing.T) {
	for _, store := range []Store{nil, new(Memory)} {
		a := shared(t, store, Config{ShareOrder: true})
		b := a
		if store != nil {
			b = shared(t, store, Config{ShareOrder: true})
		}
		child := Delivery{Consumer: "billing", Source: "orders", EventType: "Paid", EventID: "2", EnvelopeID: "env-2", CorrelationID: "w-1", ParentID: "1", RequestID: "r-1", At: at}
		deliver(t, a, child, false)
		stranger, parent := pairOf(func(d *Delivery) { d.Source, d.CorrelationID = "payments", "w-2" }, func(d *Delivery) { d.CorrelationID = "w-1" })
		if v := deliver(t, b, stranger, false); v.OutOfOrder {
			t.Errorf("store %v: an event of the parent's ID: %+v", store != nil, v)
		}
		if v := deliver(t, b, parent, false); !v.OutOfOrder || v.Early != time.Second {
			t.Errorf("store %v: the parent: %+v", store != nil, v)
		}
	}
}

func TestDigest(t *testing.T) {
	of := func(detail string) string { return Digest([]byte(detail), "_throughline") }
	same := []string{`{"a":1,"b":[true, "x y\" "]}`, "{ \"a\" : 1 ,\n\t\"b\":[true,\"x y\\\" \"] }", `{"a":1,"b":[true,"x y\" "],"_throughline":{"traceparent":"00-1"}}`, `{"_throughline":{},"a":1,"b":[true,"x y\" "]}`}
	for _, detail := range same {
		if of(detail) != of(same[0]) {
			t.Errorf("%s has another digest", detail)
		}
	}
	seen := map[string]string{}
	for _, detail := range []string{same[0], `{"a":1,"b":[true,"x  y\" "]}`, `{"a":11,"b":[true,"x y\" "]}`, `{"a":1}`, `{}`, `{"a":{"_throughline":1}}`, `{"a":{"_throughline":2}}`, `{"a":"1"}`, `[1]`, `[11]`, `[1,1]`, `1 1`, ``, `{"a":`, `{"a":"`, `{"ab":1}`, `{"a":"b:1"}`} {
		if other, ok := seen[of(detail)]; ok {
			t.Errorf("%s and %s have one digest", detail, other)
		}
		seen[of(detail)] = detail
	}
	if n := len(of(`{}`)); n != 22 {
		t.Errorf("%d characters", n)
	}
}

func FuzzDigest(f *testing.F) {
	f.Add([]byte(`{"a":[1, 2],"_throughline":{}}`))
	f.Add([]byte(`{"a":"`))
	f.Fuzz(func(t *testing.T, detail []byte) {
		if len(Digest(detail, "_throughline")) != 22 {
			t.Error("no digest")
		}
	})
}
