package spanstore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
)

// baseline is one of the two readings of a file as encoding/json makes it.
type baseline struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []baselineAttribute }
		ScopeSpans []struct {
			Spans []struct {
				TraceID, SpanID, ParentSpanID, Name string
				StartTimeUnixNano, EndTimeUnixNano  flexInt
				Attributes                          []baselineAttribute
				Links                               []struct {
					TraceID, SpanID string
					Attributes      []baselineAttribute
				}
			}
		}
	}
}

type baselineAttribute struct {
	Key   string
	Value struct {
		StringValue *string
		BoolValue   *bool
		IntValue    *flexInt
		ArrayValue  *struct{ Values []json.RawMessage }
	}
}

// BenchmarkFile reads one workflow out of a file of twenty: `throughline trace
// --file`. Its baseline reads the same file twice with encoding/json, and keeps
// nothing.
func BenchmarkFile(b *testing.B) {
	var file bytes.Buffer
	id := ""
	for i := range 20 {
		spans, truth := workflowtest.Workflow(1000+i, time.Now().Add(-time.Hour))
		id = truth.CorrelationID
		for _, line := range spanstoretest.OTLPLines(b, spans) {
			file.Write(line)
			file.WriteByte('\n')
		}
	}
	path := filepath.Join(b.TempDir(), "spans.jsonl")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	store := File{Path: path}
	b.Run("trace", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if spans, err := store.Spans(b.Context(), id); err != nil || len(spans) < 1000 {
				b.Fatal(len(spans), err)
			}
		}
	})
	b.Run("last", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			if known, err := store.Workflows(b.Context(), true); err != nil || len(known) != 20 {
				b.Fatal(known, err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			for range 2 {
				lines := bufio.NewReaderSize(bytes.NewReader(file.Bytes()), 1<<20)
				for {
					line, err := lines.ReadBytes('\n')
					if err != nil {
						break
					}
					var request baseline
					if err := json.Unmarshal(line, &request); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	})
}
