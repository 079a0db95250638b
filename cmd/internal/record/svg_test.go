package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// read returns the text of each line of a drawing, which must be XML.
func read(t *testing.T, svg []byte) (texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if inText = e.Name.Local == "text"; inText {
				texts = append(texts, "")
			}
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				texts[len(texts)-1] += string(e)
			}
		}
	}
}

func TestDraw(t *testing.T) {
	lines := []line{
		{time.Second, "starting"},
		{2 * time.Second, "The workflow of a correlation ID, by cause"},
		{2 * time.Second, "├─ SignalGenerated  signal-1  <5 & 6>  [0123abcd]"},
		{2 * time.Second, strings.Repeat("é", 200)},
	}
	for i := range 60 {
		lines = append(lines, line{3 * time.Second, fmt.Sprintf("row %d", i)})
	}
	var out bytes.Buffer
	if err := draw(&out, "make demo", lines); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(read(t, out.Bytes()), "|")
	for _, want := range []string{"$|make demo|starting|", "SignalGenerated", "<5 & 6>", "[0123abcd]", "é…|row 0|", "row 59"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, want := range []string{"prefers-color-scheme:dark", "prefers-reduced-motion", "@keyframes scroll{0%"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	// It ends where the last line is on the screen.
	last := fmt.Sprintf("100%%{transform:translateY(-%.0fpx)}", float64(len(lines)+1-rows)*charH)
	if !strings.Contains(out.String(), last) {
		t.Errorf("no %q", last)
	}
}

func TestPartsKeepTheLine(t *testing.T) {
	const text = "│  └─ ⇢ hedge  7 ms  REPLAY  [020c2958 causation→aec0dd04]"
	var joined strings.Builder
	column := 0
	for _, p := range parts(text) {
		if p.column != column {
			t.Errorf("%q begins at %d, want %d", p.text, p.column, column)
		}
		joined.WriteString(p.text)
		column += utf8.RuneCountInString(p.text)
	}
	if joined.String() != text {
		t.Errorf("%q", joined.String())
	}
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.svg")
	if err := run(t.Context(), path, "", []string{"sh", "-c", "test -t 1 && stty size && echo done >&2"}); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(read(t, svg), "|"); !strings.Contains(text, "38 100|done") {
		t.Error(text)
	}
	if err := run(t.Context(), path, "", []string{"false"}); err == nil {
		t.Error("a command that fails is recorded")
	}
}

// TestReadmesRecording holds the drawing in docs to what the demo prints today:
// it is drawn by `make recording`, not in CI.
func TestReadmesRecording(t *testing.T) {
	svg, err := os.ReadFile("../../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(read(t, svg), " ")
	for _, want := range []string{"make demo", "⇢ portfolio", "OUT OF ORDER", "Repeats by kind", "no link, count, size or repeat differs"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if len(svg) > 100_000 {
		t.Errorf("%d bytes", len(svg))
	}
}
