package yamltree

import (
	"errors"
	"fmt"
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
		"documents":        "a: 1\n---\nb: 2\n",
		"flow depth":       strings.Repeat("[", 500),
		"more flow depth":  strings.Repeat("[", 200_000),
		"block depth":      strings.Repeat("- ", 500) + "a",
		"tab":              "a:\n\tb: 1\n",
		"an endless alias": "a: &a [*a]",
		"alias depth":      "a: &a " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "\nb: " + strings.Repeat("[", 60) + "*a" + strings.Repeat("]", 60),
		"no anchor":        "a: *b",
		"many values":      "a: &a [" + strings.Repeat("x,", 1000) + "]\nb: &b [" + strings.Repeat("*a,", 1000) + "]",
		"laughs": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
		"merging a text":  "a: &a x\nb: {<<: *a}",
		"a list as key":   "[a]: 1",
		"bytes":           strings.Repeat(" ", maxBytes+1),
		"not UTF-8":       "a: \xff",
		"a tag of others": "%TAG ! tag:example.com,2020:\n---\na: !Ref x",
	} {
		var failed *Error
		if _, err := Parse([]byte(in)); !errors.As(err, &failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := Parse(nil); err != nil || n.Kind != Null {
		t.Errorf("empty: %+v %v", n, err)
	}
}

// show is a tree on one line.
func show(n *Node) string {
	switch n.Kind {
	case Null:
		return "null"
	case List:
		parts := make([]string, len(n.Items))
		for i, item := range n.Items {
			parts[i] = show(item)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case Map:
		parts := make([]string, len(n.Pairs))
		for i, p := range n.Pairs {
			parts[i] = p.Key + "=" + show(p.Value)
		}
		return "{" + strings.Join(parts, " ") + "}"
	case Number:
		return "#" + n.Text
	default:
		return n.Text
	}
}

// TestReadAsAWSDoes: what SAM, CloudFormation and their CLIs read is read, and as
// they read it.
func TestReadAsAWSDoes(t *testing.T) {
	for in, want := range map[string]string{
		"X: &a 1\nY: *a": "{X=#1 Y=#1}",
		"X: &a {A: 1, C: 3}\nY:\n  <<: *a\n  A: 2":                  "{X={A=#1 C=#3} Y={C=#3 A=#2}}",
		"X: &a {A: 1}\nZ: &b {A: 2, B: 2}\nY: {<<: [*a, *b], C: 3}": "{X={A=#1} Z={A=#2 B=#2} Y={A=#1 B=#2 C=#3}}",
		"\ufeffX: 1":       "{X=#1}",
		"X: 1\nX: 2\nY: 3": "{X=#2 Y=#3}",
		"R: {Arn: !GetAtt [Dlq, Arn], B: !Sub 'x'}":          "{R={Arn={Fn::GetAtt=[Dlq Arn]} B={Fn::Sub=x}}}",
		"D: {T: {Fn::GetAtt: [Dlq, Arn]}}":                   "{D={T={Fn::GetAtt=[Dlq Arn]}}}",
		"X: {Fn::Join: [',', [a, b]]}":                       "{X={Fn::Join=[, [a b]]}}",
		"X: !Select [ 0, !GetAZs ]":                          "{X={Fn::Select=[#0 {Fn::GetAZs=}]}}",
		"X: !GetAZs\nY: 1":                                   "{X={Fn::GetAZs=} Y=#1}",
		"X: !GetAtt A.B.C":                                   "{X={Fn::GetAtt=[A B.C]}}",
		"X: |\n  " + strings.Repeat("-", 300):                "{X=" + strings.Repeat("-", 300) + "}",
		"X: |\n  " + strings.Repeat("[", 300):                "{X=" + strings.Repeat("[", 300) + "}",
		"X: 50%":                                             "{X=50%}",
		"%YAML 1.2\n---\nX: 1":                               "{X=#1}",
		"# c\n\n%YAML 1.1\n---\nX: '%YAML 1.2'":              "{X=%YAML 1.2}",
		"---\nX: 1\n...\n---\n":                              "{X=#1}",
		"X: !!str 12\nY: !!int \"5\"":                        "{X=12 Y=#5}",
		"V: 2010-09-09\nN: ~\nE:":                            "{V=2010-09-09 N=null E=null}",
		"X: !Ref 123":                                        "{X={Ref=123}}",
		"X: !If [C, !Ref 'AWS::NoValue', {a: !Condition d}]": "{X={Fn::If=[C {Ref=AWS::NoValue} {a={Condition=d}}]}}",
		"{\n\t\"A\": {\n\t\t\"B\": [1, true]\n\t}\n}":        "{A={B=[#1 true]}}",
		"? A\n: B":         "{A=B}",
		"A: 1\r\nB: 2\r\n": "{A=#1 B=#2}",
	} {
		n, err := Parse([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := show(n); got != want {
			t.Errorf("%q: %s, not %s", in, got, want)
		}
	}
	var chain strings.Builder // of merges, which nests nothing
	chain.WriteString("A0: &a0 {k0: 1}\n")
	for i := 1; i < 300; i++ {
		fmt.Fprintf(&chain, "A%d: &a%d {<<: *a%d, k%d: 1}\n", i, i, i-1, i)
	}
	if n, err := Parse([]byte(chain.String())); err != nil || len(n.Get("A299").Pairs) != 300 {
		t.Errorf("a chain of merges: %v", err)
	}
	n, err := Parse([]byte("A: 1\nB:\n- C: 2\n  D: 3\nA: 4"))
	if err != nil || n.Pairs[0].First != 1 || n.Pairs[0].Line != 5 || n.Get("B").Items[0].Get("D").Line != 4 {
		t.Errorf("lines: %+v, %v", n, err)
	}
	_, err = Parse([]byte("A: 1\nB: 'x"))
	if failed := new(Error); !errors.As(err, &failed) || failed.Line == 0 {
		t.Errorf("an error without its line: %v", err)
	}
	for text, want := range map[string]float64{"0x1F": 31, "017": 15, "1_000": 1000, "1.5": 1.5, "'017'": 17} {
		if n, err := Parse([]byte("A: " + text)); err != nil {
			t.Error(err)
		} else if f, err := n.Get("A").Float(); err != nil || f != want {
			t.Errorf("%s: %v, %v", text, f, err)
		}
	}
	for text, want := range map[string]bool{"yes": true, "True": true, "'true'": true, "no": false, "false": false, "1": false} {
		if n, err := Parse([]byte("A: " + text)); err != nil || n.Get("A").True() != want {
			t.Errorf("%s is not %v: %v", text, want, err)
		}
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
