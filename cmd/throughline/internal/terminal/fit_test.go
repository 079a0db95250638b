package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func fit(t *testing.T, columns, hang int, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	w.SetColumns(columns)
	if err := Fit(w, hang, func(w io.Writer) error {
		for i := range len(text) { // also cut within a line and a character
			if _, err := io.WriteString(w, text[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFit(t *testing.T) {
	const id = "workflow-6513270e-269e-4d37-b2a7-4de452e6b438"
	for name, tt := range map[string]struct {
		columns, hang int
		text, want    string
	}{
		"NoTerminal": {0, 2, id + " " + strings.Repeat("word ", 40) + "\n", id + " " + strings.Repeat("word ", 40) + "\n"},
		"Short":      {40, 2, "é is 1\n\n", "é is 1\n\n"},
		"AtASpace":   {40, 2, "one two three four five six seven eight nine ten\n", "one two three four five six seven eight\n  nine ten\n"},
		"Exactly":    {40, 2, strings.Repeat("x", 40) + " y\n", strings.Repeat("x", 40) + "\n  y\n"},
		"LongWord":   {40, 2, "go " + strings.Repeat("x", 60) + " on\n", "go\n  " + strings.Repeat("x", 60) + "\n  on\n"},
		"AtAGap":     {40, 4, "├─ Planned  o-1  from planner  +12 ms  2.3 KB  FAILED\n", "├─ Planned  o-1  from planner  +12 ms\n│    2.3 KB  FAILED\n"},
		"LastBranch": {40, 4, "│  └─ ⇢ planner  +12 ms  took 23 ms  cold start  hop 0\n", "│  └─ ⇢ planner  +12 ms  took 23 ms\n│       cold start  hop 0\n"},
		"ID":         {80, 0, id + "  again " + id + "\n", "workflow-6513270e…  again workflow-6513270e…\n"},
		"NoEnd":      {40, 0, "no line end", "no line end"},
		"DeepTree":   {40, 4, strings.Repeat("│  ", 12) + "└─ one two\n", strings.Repeat("│  ", 12) + "└─ one\n" + (strings.Repeat("│  ", 12))[:len("│")*7+13] + "two\n"},
	} {
		if got := fit(t, tt.columns, tt.hang, tt.text); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

// TestFitCountsNoColours: a mark is no character, and survives.
func TestFitCountsNoColours(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.SetColumns(40)
	w.terminal = true
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	err := Fit(w, 2, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s one two three four five six %s\n", Painter(w).Red("error"), Painter(w).Dim("seven eight"))
		return err
	})
	if want := "\x1b[31merror\x1b[0m one two three four five six \x1b[2mseven\n  eight\x1b[0m\n"; err != nil || out.String() != want {
		t.Errorf("%v, %q, want %q", err, out.String(), want)
	}
}

func TestShortAndCut(t *testing.T) {
	var narrow Writer
	narrow.SetColumns(80)
	const id = "signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450"
	if got := Short(&narrow, id); got != "signal-d23f0824…" {
		t.Error(got)
	}
	if got := Short(io.Discard, id); got != id {
		t.Error(got)
	}
	for most, want := range map[int]string{0: "größer", 6: "größer", 5: "größ…", 1: "…"} {
		if got := Cut("größer", most); got != want {
			t.Errorf("%d: %s", most, got)
		}
	}
}

func TestDumbTerminalsHaveNoColours(t *testing.T) {
	w := &Writer{terminal: true}
	for value, want := range map[string]Paint{"dumb": false, "xterm": true, "": true} {
		t.Setenv("NO_COLOR", "")
		t.Setenv("TERM", value)
		if got := Painter(w); got != want {
			t.Errorf("TERM=%s: %v", value, got)
		}
	}
}

// FuzzFit: every word is there, in its order, and no line with a space to break at is too long.
func FuzzFit(f *testing.F) {
	f.Add("├─ one two  three\n│  └─ four\n", 40, 4)
	f.Fuzz(func(t *testing.T, text string, columns, hang int) {
		columns, hang = 40+(columns&63), hang&7
		if len(text) > 1000 || !utf8.ValidString(text) || strings.ContainsAny(text, "…-│├└─┆") || strings.Contains(text, nonce[:1]) {
			return
		}
		got := fit(t, columns, hang, text)
		if a, b := strings.Fields(got), strings.Fields(mapped(text)); strings.Join(a, " ") != strings.Join(b, " ") {
			t.Fatalf("%q became %q", text, got)
		}
		for _, line := range strings.Split(got, "\n") {
			if body := strings.TrimLeft(line, " "); utf8.RuneCountInString(line) > columns && strings.Contains(body, " ") && utf8.RuneCountInString(strings.TrimRight(line, " ")) > columns {
				first, _, _ := strings.Cut(body, " ")
				if utf8.RuneCountInString(first) < columns/2-8 {
					t.Fatalf("%d columns of %d: %q", utf8.RuneCountInString(line), columns, line)
				}
			}
		}
	})
}

// mapped is the text as a Writer lets it through.
func mapped(text string) string {
	var out bytes.Buffer
	_, _ = NewWriter(&out).Write([]byte(text))
	return out.String()
}

func TestTable(t *testing.T) {
	rows := [][]string{{"N", "OF", "TYPE"}, {"12", "é %", "Planned"}, {"3", "", "VeryLongNameOfAnEventTypeThatIsCut"}, {"1"}, {}}
	for columns, want := range map[int]string{
		0:  " N   OF  TYPE\n12  é %  Planned\n 3       VeryLongNameOfAnEventTypeThatIsCut\n 1\n\n",
		40: " N   OF  TYPE\n12  é %  Planned\n 3       VeryLongNameOfAnEventTypeThatI…\n 1\n\n",
	} {
		var out bytes.Buffer
		w := NewWriter(&out)
		w.SetColumns(columns)
		if err := Table(w, 2, rows); err != nil || out.String() != want {
			t.Errorf("%d: %v\n%s\nwant\n%s", columns, err, out.String(), want)
		}
	}
	if got := TableWidth(rows); got != 9+34 {
		t.Errorf("%d wide", got)
	}
	var out bytes.Buffer
	if err := Table(&out, 0, [][]string{{"retry", "a", "x"}, {"republish", "bc", ""}}); err != nil || out.String() != "retry      a   x\nrepublish  bc\n" {
		t.Errorf("%q", out.String())
	}
}
