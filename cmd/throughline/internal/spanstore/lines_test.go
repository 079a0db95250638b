package spanstore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// folder writes files of spans as throughline dev does, and returns the store of them.
func folder(t *testing.T, files ...[]byte) File {
	t.Helper()
	dir := t.TempDir()
	for i, data := range files {
		if err := os.WriteFile(filepath.Join(dir, "spans-"+string(rune('a'+i))+".jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Folder(dir, Tell{})
}

func TestFolder(t *testing.T) {
	spans, truth := generated()
	lines := spanstoretest.OTLPLines(t, spans)
	half := len(lines) / 2
	torn := append([]byte("\n"), lines[0][:len(lines[0])/2]...) // the process was killed
	store := folder(t, bytes.Join(lines[:half], []byte("\n\n")), torn, append([]byte("\n"), bytes.Join(lines[half:], []byte("\n"))...))
	checkStore(t, store, truth, true)
	checkWorkflows(t, store, truth)
}

// TestFolderReadsWhatAFileReads of IDs that are written in other ways.
func TestFolderReadsWhatAFileReads(t *testing.T) {
	at := time.Now()
	var spans []workflow.Span
	ids := []string{"plain", `with "quotes" and \`, "ünïcode", "a<b>&c", "tab\there"}
	for i, id := range ids {
		trace := strings.Repeat(string(rune('a'+i)), 32)
		for n, attributes := range []map[string]any{{lineage.AttrCorrelationID: id}, {}} {
			spans = append(spans, workflow.Span{ID: workflow.ID{Trace: trace, Span: strings.Repeat(string(rune('1'+n)), 16)}, Name: id, Kind: "INTERNAL", Start: at, End: at, Attributes: attributes})
		}
	}
	spans = append(spans, workflow.Span{ID: workflow.ID{Trace: strings.Repeat("9", 32), Span: strings.Repeat("9", 16)}, Name: strings.Repeat("long", 1<<20), Kind: "INTERNAL", Start: at, End: at})
	lines := spanstoretest.OTLPLines(t, spans)
	lines[0] = bytes.ReplaceAll(lines[0], bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("A"), 32)) // as some clients write it
	data := bytes.Join(lines, []byte("\n"))
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	names := func(spans []workflow.Span, err error) (names []string) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spans {
			names = append(names, s.Name[:min(9, len(s.Name))]+" "+s.ID.Span[:1])
		}
		return names
	}
	for i, id := range ids {
		want := names(File{Path: file}.Spans(t.Context(), id))
		if got := names(folder(t, data).Spans(t.Context(), id)); !slices.Equal(got, want) || len(got) != 2 {
			t.Errorf("%q: %q, not %q", id, got, want)
		}
		if got := names(folder(t, data).Trace(t.Context(), strings.Repeat(string(rune('a'+i)), 32))); len(got) != 2 {
			t.Errorf("the trace of %q: %q", id, got)
		}
	}
	if got := names(folder(t, data).Trace(t.Context(), strings.Repeat("9", 32))); len(got) != 1 {
		t.Errorf("a line longer than the buffer: %q", got)
	}
}

// BenchmarkFolder reads one workflow of 25 MB of others.
func BenchmarkFolder(b *testing.B) {
	spans, truth := generated()
	data := bytes.Join(spanstoretest.OTLPLines(b, spans), []byte("\n"))
	other := bytes.ReplaceAll(data, []byte(truth.CorrelationID), []byte("another"))
	for i := range 10 {
		other = bytes.ReplaceAll(other, []byte{byte('0' + i)}, []byte{byte('0' + (i+7)%10)})
	}
	dir := b.TempDir()
	all := append(append(data, '\n'), bytes.Repeat(append(other, '\n'), 25_000_000/len(other))...)
	if err := os.WriteFile(filepath.Join(dir, "spans-a.jsonl"), all, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(all)))
	for b.Loop() {
		if found, err := Folder(dir, Tell{}).Spans(b.Context(), truth.CorrelationID); err != nil || len(found) == 0 {
			b.Fatal(err, len(found))
		}
	}
}
