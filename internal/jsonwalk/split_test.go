package jsonwalk

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// cut is what a Splitter hands on of data, which comes in pieces of size bytes.
func cut(data []byte, size, most int) (parts []string, complete bool) {
	s := &Splitter{List: "L", Most: func([]byte, bool) int { return most }}
	s.Element = func(list []byte) { parts = append(parts, "element "+string(list)) }
	s.Member = func(key, value []byte) { parts = append(parts, fmt.Sprintf("%q %s", key, value)) }
	for len(data) > 0 {
		n := min(size, len(data))
		s.Write(bytes.Clone(data[:n]))
		data = data[n:]
	}
	return parts, s.Close()
}

func TestSplitter(t *testing.T) {
	const all = `"a" 1|"L" |element [2]|element [{"b":"]\"}"}]|element [[3 , 4]]|"c" "d\\"|"e" null`
	text := ` { "a" : 1 , "L" : [ 2 , {"b":"]\"}"},[3 , 4]] , "c":"d\\","e":null} `
	for size := 1; size <= len(text); size++ {
		parts, complete := cut([]byte(text), size, 100)
		if got := join(parts); got != all || !complete {
			t.Fatalf("in pieces of %d: %s, complete: %v", size, got, complete)
		}
	}
	if parts, complete := cut([]byte(text), 7, 6); join(parts) != `"a" 1|"L" |element [2]|element |element |"c" "d\\"|"e" null` || !complete {
		t.Errorf("where 6 bytes are held: %s", join(parts))
	}
}

func join(parts []string) string {
	var b bytes.Buffer
	for n, part := range parts {
		if n > 0 {
			b.WriteByte('|')
		}
		b.WriteString(part)
	}
	return b.String()
}

// FuzzSplitter holds what a Splitter hands on to what a walk over the whole text
// finds.
func FuzzSplitter(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed), uint16(3))
	}
	for _, seed := range []string{`{"L":[1,{"a":[]}," "]}`, `{"L":1,"L":[]}`, `[1,[2],{"L":[3]}]`, `[1,tru]`, `[1}`, `{"\u004c":[1]}`, `{"L":[1]} x`} {
		f.Add([]byte(seed), uint16(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		if depth(data) >= MaxDepth-1 || len(data) > 1000 {
			t.Skip("nested too deep for the limit, or too long to be cut everywhere")
		}
		got, complete := cut(data, max(1, int(size)), 1<<20)
		var want []string
		whole := false
		if start := SkipSpace(data, 0); start < len(data) && data[start] == '[' {
			e := ElementsOf(data, start)
			for e.Next() {
				want = append(want, "element ["+string(e.Value)+"]")
			}
			whole = e.After > 0 && SkipSpace(data, e.After) == len(data)
		} else {
			m := MembersOf(data, 0)
			for m.Next() {
				if string(m.Key) != "L" || m.Value[0] != '[' {
					want = append(want, fmt.Sprintf("%q %s", m.Key, m.Value))
					continue
				}
				want = append(want, fmt.Sprintf("%q ", m.Key))
				for e := ElementsOf(m.Value, 0); e.Next(); {
					want = append(want, "element ["+string(e.Value)+"]")
				}
			}
			whole = m.After > 0 && SkipSpace(data, m.After) == len(data)
		}
		if complete != whole {
			t.Fatalf("%q in pieces of %d: complete: %v, want %v", data, size, complete, whole)
		}
		// Of an array that is malformed further on its first elements are handed on.
		if !slices.Equal(got, want) && (whole || !slices.Equal(got[:min(len(want), len(got))], want)) {
			t.Fatalf("%q in pieces of %d:\n got %q\nwant %q", data, size, got, want)
		}
	})
}
