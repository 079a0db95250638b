package node

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	n, err := Parse([]byte("a: 1\nb:\n  - !Ref X\n  - !GetAtt Q.Arn\n  - !Sub \"${X}-y\"\nc: {d: true, e: \"12\", f: 30s}\ng: |\n  two\n  lines\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n.Kind != Map || len(n.Pairs) != 4 || n.Pairs[1].Line != 2 {
		t.Fatalf("%+v", n)
	}
	items := n.Get("b").List()
	if got := items[0].Get("Ref"); got.Value() != "X" || items[0].Line != 3 {
		t.Errorf("!Ref: %+v", items[0])
	}
	if got := items[1].Get("Fn::GetAtt").List(); len(got) != 2 || got[1].Text != "Arn" {
		t.Errorf("!GetAtt: %+v", items[1])
	}
	if got := items[2].Get("Fn::Sub"); got.Value() != "${X}-y" {
		t.Errorf("!Sub: %+v", items[2])
	}
	if e := n.At("c", "e"); e.Kind != String || e.Text != "12" {
		t.Errorf("a quoted number: %+v", e)
	}
	if g := n.Get("g"); g.Text != "two\nlines\n" {
		t.Errorf("a literal: %q", g.Text)
	}
	if f, err := n.Get("a").Float(); err != nil || f != 1 {
		t.Errorf("a number: %v %v", f, err)
	}
	if n.At("c", "nothing", "deeper") != nil {
		t.Error("a missing member is not nil")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"anchors":   "a: &x 1\nb: *x\n",
		"documents": "a: 1\n---\nb: 2\n",
		"depth":     strings.Repeat("[", 500),
		"tab":       "a:\n\tb: 1\n",
		"duplicate": "a: 1\na: 2\n",
	} {
		if _, err := Parse([]byte(in)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n, err := Parse(nil); err != nil || n.Kind != Null {
		t.Errorf("empty: %+v %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "- !Ref x", "{a: [1, {b: c}]}", "a: |\n  x\n", "!!str 5", "? a\n: b", "&a b", "<<: *a", "%YAML 1.2\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse(data)
		if (n == nil) == (err == nil) {
			t.Fatalf("node %v, error %v", n, err)
		}
	})
}
