package tracing

import (
	"encoding/json"
	"strings"
	"testing"
)

var jsonSeeds = []string{
	`{}`, `{ }`, "{\n}", `[]`, `[ ]`, `null`, `true`, `-0.5e+10`, `""`, `"\u00e9\ud83d\ude00\ud83d\"\\"`,
	`{"a":1}`, `{"a":{"b":[1,2,{"c":null}]},"d":"x"}`, `{"a":1,}`, `{,}`, `{ ,"a":1}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a" :  1 , "b":2 }`,
	`{"a":1]`, `[1}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, "{\"a\":\"\x01\"}", `{"a":"` + strings.Repeat("x", 40) + `\n` + strings.Repeat("y", 9) + `"}`,
	`{"a":tru}`, `{"a":nulll}`, `{"a":1}{`, ` {"a":1} `, `{"dup":1,"dup":2}`, `{"é":"ü"}`, `{"\u0061":1}`,
	`{"a":"12345678`, `{"a":"1234567\`, `{"a":"1234567\"`, `[[[[[[[[]]]]]]]]`, `[[[[[[[[]]]]]]]`, "\xff", `{"a":"` + "\xff" + `"}`,
}

// FuzzScan holds the scanner to encoding/json: the same texts are well formed,
// and an object's members, strings and numbers read the same.
func FuzzScan(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if depth(data) >= maxDepth {
			t.Skip()
		}
		start := skipSpace(data, 0)
		end := skipValue(data, start)
		valid := end >= 0 && skipSpace(data, end) == len(data)
		if valid != json.Valid(data) {
			t.Fatalf("%q: scanned as well formed: %v", data, valid)
		}
		m := membersOf(data, 0)
		got := map[string]json.RawMessage{}
		for m.next() {
			got[string([]rune(string(m.key)))] = m.value
		}
		whole := m.after > 0 && skipSpace(data, m.after) == len(data)
		if object := valid && data[start] == '{'; whole != object {
			t.Fatalf("%q: walked as a whole object: %v", data, whole)
		}
		if !whole {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: members %q, want %q", data, got, want)
		}
		for key, value := range want {
			if string(got[key]) != string(value) {
				t.Fatalf("%q: member %q is %q, want %q", data, key, got[key], value)
			}
			var s string
			if value[0] == '"' && json.Unmarshal(value, &s) == nil && string([]rune(text(value))) != s {
				t.Fatalf("%q: text %q, want %q", data, text(value), s)
			}
		}
	})
}

// depth is an upper bound of how deep data nests.
func depth(data []byte) int {
	n := 0
	for _, c := range data {
		if c == '{' || c == '[' {
			n++
		}
	}
	return n
}

func TestScanTooDeep(t *testing.T) {
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if end := skipValue(deep(maxDepth), 0); end != 2*maxDepth {
		t.Errorf("as deep as allowed: %d", end)
	}
	if end := skipValue(deep(maxDepth+1), 0); end != -1 {
		t.Errorf("deeper: %d", end)
	}
}

func TestElements(t *testing.T) {
	var got []string
	for e := elementsOf([]byte(` [ 1 , "two",{"three":3} ,[4]] `)); e.next(); {
		got = append(got, string(e.value))
	}
	if want := `1|"two"|{"three":3}|[4]`; strings.Join(got, "|") != want {
		t.Errorf("elements %q, want %s", got, want)
	}
	for _, none := range []string{`[]`, `{}`, ``, `1`, `[,]`} {
		if e := elementsOf([]byte(none)); e.next() {
			t.Errorf("%s has an element %s", none, e.value)
		}
	}
}

func TestPointers(t *testing.T) {
	p := newPointers(Config{EventID: []string{"/data/id", "/a~1b/~0c/1", "id"}, CorrelationID: []string{}})
	for _, c := range []struct{ detail, want string }{
		{`{"data":{"id":"first"},"a/b":{"~c":[0,"second"]}}`, "first"},
		{`{"a/b":{"~c":[0,"second"]},"data":{"id":""}}`, "second"},
		{`{"a/b":{"~c":[0,77]}}`, "77"},
		{`{"data":{"id":{}},"a/b":{"~c":[0,true]},"id":"not pointed at"}`, ""},
		{`{"data":{"id":null},"a/b":{"~c":"text"}}`, ""},
	} {
		var d ids
		for m := membersOf([]byte(c.detail), 0); m.next(); {
			p.offer(&d, m.key, m.value)
		}
		if got := d.text(idEvent); got != c.want {
			t.Errorf("%s: %q, want %q", c.detail, got, c.want)
		}
	}
}

func TestDefaultSpellings(t *testing.T) {
	r := NewReader(Config{})
	for _, detail := range []string{
		`{"event_id":"e","correlation_id":"c","causation_id":"x"}`,
		`{"eventId":"e","correlationId":"c","causationId":"x"}`,
		`{"eventID":"e","correlationID":"c","causationID":"x"}`,
		`{"EventId":"e","CorrelationId":"c","CausationId":"x"}`,
		`{"specversion":"1.0","id":"e","correlationid":"c","causationid":"x"}`,
		`{"metadata":{"event_id":"e","correlation_id":"c","causationId":"x"}}`,
		`{"metadata":{"event_id":"no","correlation_id":"no","causation_id":"no"},"event_id":"e","correlation_id":"c","causation_id":"x"}`,
	} {
		event := r.Read([]byte(`{"id":"env","detail-type":"T","source":"s","detail":` + detail + `}`)).Events[0]
		if event.ID != "e" || event.Lineage.CorrelationID != "c" || event.Lineage.CausationID != "x" {
			t.Errorf("%s: %q %q %q", detail, event.ID, event.Lineage.CorrelationID, event.Lineage.CausationID)
		}
	}
}
