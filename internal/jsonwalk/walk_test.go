package jsonwalk

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
	`{"` + strings.Repeat("k", 32), `{"a":"` + strings.Repeat("x", 64), `{"a":"` + strings.Repeat("x", 40),
}

// FuzzScan holds the scanner to encoding/json: the same texts are well formed,
// and an object's members, strings and numbers read the same.
func FuzzScan(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if depth(data) >= MaxDepth {
			t.Skip("nested deeper than is read")
		}
		start := SkipSpace(data, 0)
		end := SkipValue(data, start)
		valid := end >= 0 && SkipSpace(data, end) == len(data)
		if valid != json.Valid(data) {
			t.Fatalf("%q: scanned as well formed: %v", data, valid)
		}
		m := MembersOf(data, 0)
		got := map[string]json.RawMessage{}
		for m.Next() {
			got[string([]rune(string(m.Key)))] = m.Value
		}
		whole := m.After > 0 && SkipSpace(data, m.After) == len(data)
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
			if value[0] == '"' && json.Unmarshal(value, &s) == nil && string([]rune(Text(value))) != s {
				t.Fatalf("%q: text %q, want %q", data, Text(value), s)
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
	if end := SkipValue(deep(MaxDepth), 0); end != 2*MaxDepth {
		t.Errorf("as deep as allowed: %d", end)
	}
	if end := SkipValue(deep(MaxDepth+1), 0); end != -1 {
		t.Errorf("deeper: %d", end)
	}
}

func TestElements(t *testing.T) {
	var got []string
	for e := ElementsOf([]byte(` [ 1 , "two",{"three":3} ,[4]] `), 0); e.Next(); {
		got = append(got, string(e.Value))
	}
	if want := `1|"two"|{"three":3}|[4]`; strings.Join(got, "|") != want {
		t.Errorf("elements %q, want %s", got, want)
	}
	for _, none := range []string{`[]`, `{}`, ``, `1`, `[,]`} {
		if e := ElementsOf([]byte(none), 0); e.Next() {
			t.Errorf("%s has an element %s", none, e.Value)
		}
	}
}

// TestSkipPlain puts each byte that ends a plain run at each place of the blocks
// of 8 and 32 bytes that are tried at once, with bytes before it that differ from
// it by one bit.
func TestSkipPlain(t *testing.T) {
	for _, special := range []byte{'"', '\\', 0, 0x1f} {
		for _, plain := range []byte{'x', ' ', '!', '#', '[', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
			for at := range 100 {
				text := []byte(strings.Repeat(string([]byte{plain}), 120))
				text[at] = special
				if got := SkipPlain(text, 0); got != at {
					t.Fatalf("%q at %d among %q is found at %d", special, at, plain, got)
				}
				for _, also := range []int{at + 1, at + 8, at + 17} { // a later one is never the first
					text[also] = '"'
				}
				if got := SkipPlain(text, at/2); got != at {
					t.Fatalf("%q at %d among %q, and quotes after it, is found at %d", special, at, plain, got)
				}
			}
		}
	}
	for n := range 80 {
		if got := SkipPlain([]byte(strings.Repeat("é", n)), 0); got != 2*n {
			t.Errorf("%d plain bytes end at %d", 2*n, got)
		}
	}
}
