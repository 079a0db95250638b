package terminal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

const hostile = "a\x1b[31mb\rc\x00d\u009b2Je\u202ef\u2066g\x7fh\xffi\tj\nk\u00e9\U0001F600"

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	for i := range len(hostile) { // also cut between the bytes of a character
		if n, err := w.Write([]byte{hostile[i]}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "a·[31mb·c·d·2Je·f·g·h·i\tj\nké\U0001F600"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	fmt.Fprint(w, hostile[:3], "é"[:1])
	if err := w.Flush(); err != nil || out.String() != "a·[·" {
		t.Errorf("%v %q", err, out.String())
	}
	w = NewWriter(failing{})
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("an error is lost")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

// TestColours: ours go through, those of others do not, also where they imitate ours.
func TestColours(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.terminal = true
	t.Setenv("NO_COLOR", "")
	p := Painter(w)
	text := p.Red("x\x1b[1m") + p.Dim("y")
	for i := range len(text) {
		fmt.Fprint(w, text[i:i+1])
	}
	if want := "\x1b[31mx·[1m\x1b[0m\x1b[2my\x1b[0m"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	t.Setenv("NO_COLOR", "1")
	if Painter(w) || Painter(&out) {
		t.Error("colours are on")
	}
	out.Reset()
	Progress{w, true}.Show("reading %s", "a\x1b[0m")
	Progress{w, true}.End()
	if want := "\r\x1b[Kreading a·[0m\r\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestJSON(t *testing.T) {
	in := map[string]string{"text": hostile + "\u200b\u2028\U000E0001"}
	var out bytes.Buffer
	if err := PrintJSON(&out, in); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			t.Errorf("%U stands in %q", r, out.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["text"] != strings.ToValidUTF8(in["text"], "\ufffd") {
		t.Errorf("%v %q", err, back["text"])
	}
}

func TestLine(t *testing.T) {
	if got, want := Line("a\tb\nc\x1b\u202e\xff\u200bd é"), "a b c····d é"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte(hostile), 3)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		var out bytes.Buffer
		w := NewWriter(&out)
		at = min(max(at, 0), len(data))
		_, _ = w.Write(data[:at])
		_, _ = w.Write(data[at:])
		_ = w.Flush()
		for _, r := range out.String() {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Fatalf("%U of %q", r, data)
			}
		}
	})
}
