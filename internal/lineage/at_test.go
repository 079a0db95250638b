package lineage

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAt(t *testing.T) {
	for _, tt := range []struct{ pointer, detail, want string }{
		{"/metadata/trade_id", `{"metadata":{"trade_id":"t-7"}}`, "t-7"},
		{"/metadata/trade_id", ` {"metadata" : {"trade_id" : 7 } } `, "7"},
		{"/metadata/trade_id", `{"metadata":{"trade_id":"a\u00e9"}}`, "aé"},
		{"/metadata/trade_id", `{"metadata":{"trade_id":""}}`, ""},
		{"/metadata/trade_id", `{"metadata":{"trade_id":null}}`, ""},
		{"/metadata/trade_id", `{"metadata":{"trade_id":["t-7"]}}`, ""},
		{"/metadata/trade_id", `{"metadata":{"trade_id":"` + strings.Repeat("x", 10<<10) + `"}}`, ""},
		{"/metadata/trade_id", `{"metadata":[]}`, ""},
		{"/metadata/trade_id", `{`, ""},
		{"/metadata/trade_id", ``, ""},
		{"/items/1/a~1b", `{"items":[0,{"a/b":"x"}]}`, "x"},
		{"/items/01", `{"items":[0,1]}`, ""},
		{"/items/1", `{"items":[0]}`, ""},
		{"items", `{"items":1}`, ""},
	} {
		e := Event{Detail: []byte(tt.detail)}
		if got := e.At(tt.pointer); got != tt.want {
			t.Errorf("%s of %.60s: %q, want %q", tt.pointer, tt.detail, got, tt.want)
		}
	}
}

// FuzzAt holds what is found to what encoding/json finds.
func FuzzAt(f *testing.F) {
	f.Add("a", `{"a":["x"]}`)
	f.Add("", `{"":7}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		e := Event{Detail: []byte(text)}
		got := e.At("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		var members map[string]json.RawMessage
		if got == "" || json.Unmarshal([]byte(text), &members) != nil || strings.Count(text, `"`) > 4 {
			return // of two members of one name, the one takes the first and the other the last
		}
		var want any
		if raw, ok := members[name]; !ok || json.Unmarshal(raw, &want) != nil {
			t.Errorf("%q of %q: %q, and there is none", name, text, got)
		} else if s, ok := want.(string); ok && s != got {
			t.Errorf("%q of %q: %q, want %q", name, text, got, s)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	detail := []byte(`{"metadata":{"trade_id":"t-7"},"orders":[` + strings.Repeat(`{"symbol":"AAPL","qty":"1.5"},`, 1000) + `0]}`)
	e := Event{Detail: detail}
	b.SetBytes(int64(len(detail)))
	b.ReportAllocs()
	for b.Loop() {
		if e.At("/metadata/trade_id") != "t-7" {
			b.Fatal("not found")
		}
	}
}
