package spanstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing"
)

// File is a file of OTLP/JSON as a store. It is read anew for each question,
// and of it only the workflow asked for is kept, so that its size does not
// matter. Path is required. Safe for concurrent use.
type File struct {
	Path string
	Tell Tell
}

// Workflows implements [Store].
func (f File) Workflows(ctx context.Context, _ bool) ([]workflow.Summary, error) {
	var index workflow.Index
	err := f.each(ctx, func(s *workflow.Span) error {
		index.Add(s)
		return nil
	})
	return index.Workflows(), err
}

// CorrelationOf implements [Store].
func (f File) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	found := ""
	err := f.each(ctx, func(s *workflow.Span) error {
		if s.EventID() != eventID || s.Correlation() == "" {
			return nil
		}
		found = s.Correlation()
		return io.EOF
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return found, err
}

// Spans implements [Store]. The file is read twice: which traces are of the
// workflow is known only at its end.
func (f File) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	traces := map[string]bool{}
	err := f.each(ctx, func(s *workflow.Span) error {
		if mentions(s, correlationID) {
			traces[s.ID.Trace] = true
		}
		return nil
	})
	if err != nil || len(traces) == 0 {
		return nil, err
	}
	var spans []workflow.Span
	err = f.each(ctx, func(s *workflow.Span) error {
		if !traces[s.ID.Trace] {
			return nil
		}
		if len(spans) == maxSpans {
			return errTooMany
		}
		spans = append(spans, *s)
		return nil
	})
	return spans, err
}

// mentions tells whether a span, or a link of it as in a batch over several
// workflows, carries the correlation ID.
func mentions(s *workflow.Span, correlationID string) bool {
	if s.Correlation() == correlationID {
		return true
	}
	for _, l := range s.Links {
		if l.Attributes[tracing.AttrCorrelationID] == correlationID {
			return true
		}
	}
	return false
}

func (f File) each(ctx context.Context, visit func(*workflow.Span) error) error {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no spans at %s: run `make demo`, or name a file with --file, a Jaeger with --jaeger, or AWS with --xray or --transaction-search", f.Path)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	r := &telling{Reader: file, ctx: ctx, tell: f.Tell, name: f.Path}
	if info, err := file.Stat(); err == nil {
		r.size = info.Size()
	}
	if err := ReadOTLP(r, visit); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", f.Path, err)
	} else if err != nil {
		return err
	}
	return nil
}

// telling is a reader that ends with its context and tells how far it is.
type telling struct {
	io.Reader
	ctx                  context.Context
	tell                 Tell
	name                 string
	size, read, reported int64
}

func (t *telling) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.Reader.Read(p)
	t.read += int64(n)
	const step = 32 << 20
	if t.read-t.reported >= step {
		t.reported = t.read
		t.tell.say("reading %s: %d of %d MB", t.name, t.read/1e6, t.size/1e6)
	}
	return n, err
}
