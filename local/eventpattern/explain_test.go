package eventpattern

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// pair is a line of testdata/misses.txt.
type pair struct{ member, kind, pattern, event string }

// rows are the lines of a file of testdata, in columns.
func rows(t *testing.T, name string, columns int) [][]string {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list [][]string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(line, "\t")
		if len(row) != columns {
			t.Fatalf("%q has %d columns", line, len(row))
		}
		list = append(list, row)
	}
	return list
}

func pairs(t *testing.T) []pair {
	t.Helper()
	var list []pair
	for _, row := range rows(t, "misses.txt", 4) {
		list = append(list, pair{row[0], row[1], row[2], row[3]})
	}
	return list
}

func TestMatches(t *testing.T) {
	for _, row := range rows(t, "matches.txt", 2) {
		p, err := Compile([]byte(row[0]))
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		e, err := Read([]byte(row[1]))
		if err != nil {
			t.Fatal(err)
		}
		if misses := p.Explain(e); !p.Matches(e) || misses != nil {
			t.Errorf("%s\n  %s\n  %v", row[0], row[1], misses)
		}
	}
}

// TestExplain holds that each near miss names the member that differs, and in what.
func TestExplain(t *testing.T) {
	list := pairs(t)
	if len(list) < 200 {
		t.Errorf("%d pairs", len(list))
	}
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.pattern+c.event] {
			t.Errorf("twice: %s %s", c.pattern, c.event)
		}
		seen[c.pattern+c.event] = true
		p, err := Compile([]byte(c.pattern))
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		e, err := Read([]byte(c.event))
		if err != nil {
			t.Errorf("%s: %v", c.event, err)
			continue
		}
		misses := p.Explain(e)
		if p.Matches(e) || len(misses) != 1 || misses[0].Path != c.member || string(misses[0].Kind) != c.kind {
			t.Errorf("%s\n  %s\n  want %s %s, matches %v:", c.pattern, c.event, c.member, c.kind, p.Matches(e))
			for _, m := range misses {
				t.Errorf("    %s  %s", m.Kind, m)
			}
		}
	}
}

// TestKinds holds that the pairs show every kind.
func TestKinds(t *testing.T) {
	seen := map[Kind]bool{}
	for _, c := range pairs(t) {
		seen[Kind(c.kind)] = true
	}
	for _, k := range []Kind{Capital, Type, Space, Punctuation, Spelling, KeyCapital, KeySpelling, Elsewhere, Index, JSONText, Array, Object, Scalar, Split,
		Null, Empty, Missing, Present, Excluded, Range, Value} {
		if !seen[k] {
			t.Errorf("no pair is %s", k)
		}
	}
}

func TestMissSays(t *testing.T) {
	for _, c := range []struct{ pattern, event, want string }{
		{`{"detail":{"status":["shipped"]}}`, `{"detail":{"status":"Shipped"}}`, `detail.status: the rule wants "shipped", the event has "Shipped": they differ in capitals`},
		{`{"detail":{"n":[1,2]}}`, `{"detail":{"n":"2"}}`, `detail.n: the rule wants [1,2], the event has "2": they differ in type`},
		{`{"detail":{"order_id":[{"prefix":"o"}]}}`, `{"detail":{"orderId":"o1"}}`, `detail.order_id: the rule wants {"prefix":"o"}, the event has "o1": the event calls it orderId`},
		{`{"status":["paid"]}`, `{"detail":{"status":"paid"}}`, `status: the rule wants "paid", the event has "paid": the event has it at detail.status`},
		{`{"$or":[{"a":[1]},{"b":[2]}]}`, `{"a":2}`, `a: the rule wants 1, the event has 2 (the nearest of 2 in $or)`},
		{`{"detail":{"status":["x"]}}`, `{"source":"a"}`, `detail: the rule wants {"status":["x"]}: the event has no such member`},
	} {
		p, err := Compile([]byte(c.pattern))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Read([]byte(c.event))
		if err != nil {
			t.Fatal(err)
		}
		if misses := p.Explain(e); len(misses) != 1 || misses[0].String() != c.want {
			t.Errorf("got %v", misses)
		}
	}
}

func TestMembers(t *testing.T) {
	p, err := Compile([]byte(`{"source":["a"],"detail.x":[1],"$or":[{"region":["r"]},{"detail":{"y":[2]},"id":["i"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Members(), " "); got != "detail id region source" {
		t.Errorf("%s", got)
	}
}

// TestDistance holds the order of rules that an event misses.
func TestDistance(t *testing.T) {
	e, err := Read([]byte(`{"source":"shop","detail-type":"Placed","detail":{"status":"Paid","n":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, pattern := range []string{
		`{"source":["shop"]}`,
		`{"source":["shop"],"detail":{"status":["paid"]}}`,
		`{"source":["shop"],"detail":{"status":["paid"],"n":["1"]}}`,
		`{"source":["shop"],"detail":{"status":["open"]}}`,
		`{"source":["shop"],"detail":{"status":["open"],"n":[2]}}`,
		`{"source":["bank"]}`,
		`{"source":["bank"],"detail-type":["Sent"]}`,
	} {
		p, err := Compile([]byte(pattern))
		if err != nil {
			t.Fatal(err)
		}
		d := Distance(p.Explain(e))
		if (d == 0) != p.Matches(e) || d < last || d == last && d > 0 {
			t.Errorf("%s: %d after %d", pattern, d, last)
		}
		last = d
	}
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		alike bool
	}{{"OrderPlaced", "order.placed", true}, {"OrderPlaced", "OrderPlaecd", true}, {"OrderPlaced", "OrderCancelled", false}, {"Buy", "Bye", false}, {"", "x", false},
		{"TradeExecuted", "TradeExecute", true}, {"order-1001", "order-1002", false}, {"grey", "gray", true}, {"a", "a", true}} {
		if Alike(c.a, c.b) != c.alike {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}

// FuzzExplain holds that a pattern matches exactly the events that it explains no miss of.
func FuzzExplain(f *testing.F) {
	f.Add(`{"detail":{"s":[{"wildcard":"H*o"},{"anything-but":{"prefix":"x"}}]}}`, matched)
	f.Add(`{"$or":[{"a":[{"exists":false}]},{"b":[{"numeric":["<",1]}]}]}`, `{"a":[],"b":{"c":1}}`)
	f.Add(`{"a.b":{"0":[1]}}`, `{"a":{"b":[{"c":1},[2]]}}`)
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := Compile([]byte(pattern))
		if err != nil {
			return
		}
		e, err := Read([]byte(event))
		if err != nil {
			if p.Match([]byte(event)) {
				t.Error("what is no event matches")
			}
			return
		}
		misses := p.Explain(e)
		if p.Matches(e) != (len(misses) == 0) {
			t.Errorf("%s\n%s\nmatches %v, %v", pattern, event, p.Matches(e), misses)
		}
		for _, m := range misses {
			if m.Path == "" && m.Kind == "" || m.String() == "" || !json.Valid([]byte(`"`+string(m.Kind)+`"`)) {
				t.Errorf("%+v", m)
			}
		}
	})
}
