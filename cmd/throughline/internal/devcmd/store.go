package devcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// store keeps spans in segments, files of OTLP/JSON in one folder. When they exceed the
// limit, it deletes the oldest segment. Spans that Add has accepted survive the end of
// the process. It is safe for concurrent use.
type store struct {
	dir   string
	limit int64    // the maximum size of all segments in bytes
	lock  *os.File // locks the folder for this process

	mu       sync.Mutex
	current  *os.File
	segments []*segment // the oldest first; spans are added to the last
	known    map[key]*entry
	added    chan struct{} // closed when something changes
	version  int           // increases with each change, and across restarts
}

type segment struct {
	path string
	size int64
	*index
}

// parts is the number of segments that the limit is divided into.
const parts = 8

func openStore(dir string, limit int64) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	taken, err := take(dir)
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir, limit: limit, lock: taken, known: map[key]*entry{}, added: make(chan struct{}), version: int(time.Now().UnixMilli())}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, taken.Close())
	}
	return s, nil
}

// take locks a folder for this process. A process that is ending can hold the lock a
// little longer.
func take(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	const patience = 3 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(patience / 60) {
		if lock(file) == nil {
			return file, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("another throughline dev keeps its spans in %s: end it, or name another folder with --dir", dir), file.Close())
		}
	}
}

// load reads the existing segments in parallel, and continues the last one.
func (s *store) load() error {
	paths, err := spanstore.Parts(s.dir) // sorted by time, with which the names begin
	if err != nil {
		return err
	}
	errs := make([]error, len(paths))
	var all sync.WaitGroup
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("open the store: %w", err)
		}
		part := &segment{path, info.Size(), newIndex()}
		s.segments = append(s.segments, part)
		all.Go(func() {
			errs[i] = spanstore.Each(context.Background(), spanstore.Lines(path), spanstore.Tell{}, func(span *workflow.Span) error {
				part.add(span)
				return nil
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("read the kept spans: %w", err)
	}
	for _, part := range s.segments {
		for k, e := range part.known {
			e.changed = s.version
			s.sum(k)
		}
	}
	if n := len(paths); n > 0 && s.segments[n-1].size <= s.limit/parts {
		if s.current, err = os.OpenFile(paths[n-1], os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return fmt.Errorf("open the store: %w", err)
		}
		return nil
	}
	return s.begin()
}

// begin starts a segment.
func (s *store) begin() error {
	name := "spans-" + time.Now().UTC().Format("20060102T150405.000000000") + ".jsonl"
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create a file of spans: %w", err)
	}
	if s.current != nil {
		_ = s.current.Close() // the data is already written
	}
	s.current = file
	s.segments = append(s.segments, &segment{file.Name(), 0, newIndex()})
	return nil
}

// Add keeps the spans of a request, a line of OTLP/JSON. It writes a line end before and
// after each line, so that a partial line, after a full disk or a killed process, does
// not damage another.
func (s *store) Add(line []byte) error {
	more := newIndex()
	spanstore.Visit(line, more.add)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segments[len(s.segments)-1].size > s.limit/parts {
		if err := s.begin(); err != nil {
			return err
		}
	}
	last := s.segments[len(s.segments)-1]
	n, err := s.current.Write(slices.Concat([]byte("\n"), line, []byte("\n")))
	last.size += int64(n)
	if err != nil {
		return fmt.Errorf("write spans: %w", err)
	}
	s.version++
	last.merge(more, s.version)
	for k := range more.known {
		s.sum(k)
	}
	s.tell()
	return s.evict()
}

// tell wakes up everyone who waits for a change.
func (s *store) tell() {
	close(s.added)
	s.added = make(chan struct{})
}

// sum combines what the segments know of a workflow. Most workflows are in one segment
// only.
func (s *store) sum(k key) {
	var in []*entry
	for _, part := range s.segments {
		if e := part.known[k]; e != nil {
			in = append(in, e)
		}
	}
	switch len(in) {
	case 0:
		delete(s.known, k)
	case 1:
		s.known[k] = in[0]
	default:
		all := &entry{key: k}
		for _, e := range in {
			all.join(e)
		}
		s.known[k] = all
	}
}

// evict deletes the oldest segments while the total size exceeds the limit.
func (s *store) evict() error {
	total := int64(0)
	for _, part := range s.segments {
		total += part.size
	}
	for total > s.limit && len(s.segments) > 1 {
		gone := s.segments[0]
		if err := os.Remove(gone.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("delete the oldest spans: %w", err)
		}
		total -= gone.size
		s.segments = s.segments[1:]
		for k := range gone.known {
			s.sum(k)
		}
	}
	return nil
}

// Clear deletes all spans, and the events that an application kept.
func (s *store) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.segments
	if err := s.begin(); err != nil {
		return err
	}
	s.segments, s.known = s.segments[len(old):], map[key]*entry{}
	s.version++
	s.tell()
	var errs []error
	for _, part := range old {
		errs = append(errs, os.Remove(part.path))
	}
	if err := os.Remove(filepath.Join(s.dir, devfolder.EventsFile)); !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// file returns all segments as one file.
func (s *store) file() spanstore.File { return spanstore.Folder(s.dir, spanstore.Tell{}) }

// List returns the workflows and traces that contain a lower-case text, the latest end
// first: at most most of them, with their total number and the current version.
func (s *store) List(text string, most int) (list []entry, found, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*entry
	for k, e := range s.known {
		if k.trace && slices.ContainsFunc(s.segments, func(part *segment) bool { return part.joined[k.id] }) {
			continue
		}
		if text == "" || e.says(text) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Or(b.end.Compare(a.end), cmp.Compare(a.id, b.id)) })
	for _, e := range all[:min(most, len(all))] {
		list = append(list, *e)
	}
	return list, len(all), s.version
}

// Wait waits until the version changes, or until ctx ends.
func (s *store) Wait(ctx context.Context, version int) {
	s.mu.Lock()
	added, now := s.added, s.version
	s.mu.Unlock()
	if now != version {
		return
	}
	select {
	case <-added:
	case <-ctx.Done():
	}
}

// Tree returns the workflow of a correlation ID, or the tree of a trace.
func (s *store) Tree(ctx context.Context, k key) (*workflow.Workflow, error) {
	if k.trace {
		spans, err := s.file().Trace(ctx, k.id)
		return workflow.OfTrace(spans, k.id), err
	}
	spans, err := spanstore.Gather(ctx, s.file(), k.id, spanstore.Tell{})
	return workflow.Build(spans, k.id), err
}

func (s *store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.current.Close(), s.lock.Close())
}
