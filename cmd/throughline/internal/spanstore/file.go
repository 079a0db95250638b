package spanstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// File is a store in a file: OTLP/JSON, or an export of aws/spans, in every form that
// package records reads. Each call reads the file again and keeps only the workflow that
// it returns, so the file can be large. Path is required. It is safe for concurrent use.
type File struct {
	Path string
	// Open, if not nil, opens what is read instead of the file at Path.
	Open func() (io.ReadCloser, error)
	Tell Tell
	// Absent is the error for a file that does not exist. Empty means one that names
	// the file.
	Absent string

	lines bool // the file has one OTLP/JSON request a line, and no other form
}

// Workflows implements [Store].
func (f File) Workflows(ctx context.Context, _ bool) ([]workflow.Summary, error) {
	var index workflow.Index
	left, err := f.read(ctx, func(e encoded) error {
		if s, ok := e.summary(); ok {
			index.Extend(s)
		}
		return nil
	})
	known := index.Workflows()
	if len(known) == 0 {
		f.noteLeftOut(left)
	}
	return known, err
}

// CorrelationOf implements [Store].
func (f File) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	found := ""
	err := f.eachThatSays(ctx, eventID, func(s *workflow.Span) error {
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

// Complete implements [Store].
func (f File) Complete(ctx context.Context, prefix string, events bool) ([]string, error) {
	c := completions{prefix: prefix, events: events}
	err := f.eachThatSays(ctx, prefix, func(s *workflow.Span) error {
		c.span(s)
		return nil
	})
	return c.list(), err
}

// CompleteID returns the distinct IDs and ARNs of AWS services that begin with a prefix:
// of messages, invocations, executions, schedules.
func (f File) CompleteID(ctx context.Context, prefix string) ([]string, error) {
	c := completions{prefix: prefix}
	err := f.eachThatSays(ctx, prefix, func(s *workflow.Span) error {
		s.IDs(func(id string) bool {
			c.add(id)
			return false
		})
		return nil
	})
	return c.list(), err
}

// eachThatSays decodes the spans that contain a text.
func (f File) eachThatSays(ctx context.Context, text string, visit func(*workflow.Span) error) error {
	_, err := f.readSome(ctx, saying(text), func(e encoded) error {
		if !e.says(text) {
			return nil
		}
		span, err := e.decode()
		if err != nil {
			return nil
		}
		return visit(&span)
	})
	return err
}

// Spans implements [Store].
func (f File) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	return f.Find(ctx, Query{Correlations: []string{correlationID}})
}

// Find implements [Store]. It reads the file twice, because the traces are known only at
// its end.
func (f File) Find(ctx context.Context, q Query) ([]workflow.Span, error) {
	traces, m := map[string]bool{}, q.matcher()
	texts, ids := q.texts()
	_, err := f.readSome(ctx, saying(texts...), func(e encoded) error {
		if !slices.ContainsFunc(texts, e.says) {
			return nil
		}
		if s, err := e.decode(); err != nil && ids || m.matches(&s) {
			traces[e.trace()] = true // unreadable spans are counted below
		}
		return nil
	})
	if err != nil || len(traces) == 0 {
		return nil, err
	}
	var found collected
	left, err := f.readSome(ctx, ofTraces(traces), func(e encoded) error {
		if !traces[e.trace()] {
			return nil
		}
		span, err := e.decode()
		if err != nil {
			found.unread++
			return nil
		}
		return found.keep(span)
	})
	left.Spans = found.unread
	f.noteLeftOut(left)
	return found.spans, err
}

// Trace returns the spans of a trace, by its ID in lower-case hex.
func (f File) Trace(ctx context.Context, trace string) ([]workflow.Span, error) {
	var found collected
	_, err := f.readSome(ctx, ofTraces(map[string]bool{trace: true}), func(e encoded) error {
		if e.trace() != trace {
			return nil
		}
		span, err := e.decode()
		if err != nil {
			return nil
		}
		return found.keep(span)
	})
	return found.spans, err
}

// LastFailure returns the last invocation that failed and whose trace belongs to no
// workflow, such as one that failed in its init phase. ok is false if there is none.
func (f File) LastFailure(ctx context.Context) (last workflow.Span, ok bool, err error) {
	failures, joined := map[string]workflow.Span{}, map[string]bool{}
	err = f.eachThatSays(ctx, "faas.invocation_id", func(s *workflow.Span) error {
		if s.Correlation() != "" {
			joined[s.ID.Trace] = true
			delete(failures, s.ID.Trace)
		}
		if s.Error && !joined[s.ID.Trace] && s.Text("faas.invocation_id") != "" {
			failures[s.ID.Trace] = *s
		}
		return nil
	})
	for _, s := range failures {
		if s.End.After(last.End) {
			last, ok = s, true
		}
	}
	return last, ok, err
}

func (f File) noteLeftOut(left LeftOut) {
	if text := left.String(); text != "" {
		f.Tell.note("skipped in %s: %s", f.Path, text)
	}
}

// texts returns texts of which each wanted span contains one: the IDs or, if there are
// many, the names of the attributes with them.
func (q Query) texts() (texts []string, ids bool) {
	const few = 20
	if len(q.Correlations)+len(q.Ends) > few {
		return append([]string{lineage.AttrCorrelationID}, workflow.IDAttributes...), false
	}
	texts = slices.Clone(q.Correlations)
	for _, e := range q.Ends {
		texts = append(texts, e.ID)
	}
	return texts, true
}

func (f File) read(ctx context.Context, visit func(encoded) error) (LeftOut, error) {
	return f.readSome(ctx, nil, visit)
}

// readSome visits the spans of the wanted documents; nil means all. In a file that is not
// line by line, all spans are visited.
func (f File) readSome(ctx context.Context, wanted func(document []byte) bool, visit func(encoded) error) (LeftOut, error) {
	file, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return LeftOut{}, errors.New(cmp.Or(f.Absent, "there is no file "+f.Path+": name another with --file"))
	}
	if err != nil {
		return LeftOut{}, err
	}
	defer file.Close()
	r := &telling{Reader: file, ctx: ctx, tell: f.Tell, name: f.Path}
	if file, ok := file.(*os.File); ok {
		if info, err := file.Stat(); err == nil {
			r.size = info.Size()
		}
	}
	var left LeftOut
	if f.lines {
		err = readLines(r, wanted, visit)
	} else {
		left, err = readFile(r, visit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", f.Path, err)
	}
	return left, err
}

func (f File) open() (io.ReadCloser, error) {
	if f.Open != nil {
		return f.Open()
	}
	return os.Open(f.Path)
}

// telling is a reader that ends with its context and reports its progress.
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
