package terminal

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestReadingShowsHowMuch(t *testing.T) {
	var out bytes.Buffer
	for _, on := range []bool{true, false} {
		out.Reset()
		in := Progress{NewWriter(&out), on}.Reading("events.jsonl", strings.NewReader(strings.Repeat("x", 20<<20)))
		if n, err := io.Copy(io.Discard, in); n != 20<<20 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		shown := strings.Count(out.String(), " MB read")
		if on && (shown != 2 || !strings.Contains(out.String(), "events.jsonl: 16 MB read") || !strings.HasSuffix(out.String(), "\r\x1b[K")) || !on && out.Len() != 0 {
			t.Errorf("on %v: shown %q", on, out.String())
		}
	}
	out.Reset()
	if _, err := io.Copy(io.Discard, Progress{NewWriter(&out), true}.Reading("small", strings.NewReader("x"))); err != nil || strings.Contains(out.String(), "read") {
		t.Errorf("of a small file: %q, %v", out.String(), err)
	}
}
