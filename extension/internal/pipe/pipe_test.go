package pipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// open is a pipe and what a shim opens of it.
func open(t *testing.T) (*Pipe, *os.File) {
	t.Helper()
	p, path := new(Pipe), filepath.Join(t.TempDir(), "reports")
	if err := p.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return p, w
}

func (p *Pipe) lines() (lines []string) {
	p.Read(func(line []byte) { lines = append(lines, string(line)) })
	return lines
}

func write(t *testing.T, w *os.File, text string) {
	t.Helper()
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	p, w := open(t)
	for _, tt := range []struct {
		name, written string
		want          []string
	}{
		{"nothing", "", nil},
		{"one", "a\n", []string{"a"}},
		{"some", "a\nbc\n\nd\n", []string{"a", "bc", "", "d"}},
		{"a part", "a\nb", []string{"a"}},
		{"the rest", "c\n", []string{"bc"}},
		{"the longest", strings.Repeat("x", MaxLine-1) + "\na\n", []string{strings.Repeat("x", MaxLine-1), "a"}},
		{"too long", "a\n" + strings.Repeat("x", MaxLine) + "\nb\n", []string{"a", "b"}},
		{"many", strings.Repeat(strings.Repeat("y", 999)+"\n", 60), slices.Repeat([]string{strings.Repeat("y", 999)}, 60)},
	} {
		if write(t, w, tt.written); !slices.Equal(p.lines(), tt.want) {
			t.Errorf("%s: not what was written", tt.name)
		}
	}
}

// A line without an end is given up, and the next ones are read.
func TestALineWithoutAnEnd(t *testing.T) {
	p, w := open(t)
	write(t, w, strings.Repeat("x", 50_000))
	if lines := p.lines(); lines != nil {
		t.Errorf("%d lines", len(lines))
	}
	write(t, w, "\na\n")
	if lines := p.lines(); len(lines) == 0 || lines[len(lines)-1] != "a" {
		t.Errorf("%q", lines)
	}
}

// What many write at once arrives line by line, also where a pipe is full in between.
func TestConcurrentWriters(t *testing.T) {
	p, w := open(t)
	const writers, each = 8, 500
	var wait sync.WaitGroup
	for n := range writers {
		wait.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(w, "%d %d %s\n", n, i, strings.Repeat("x", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	next := [writers]int{}
	take := func(line []byte) {
		var n, i int
		var text string
		if fields, _ := fmt.Sscanf(string(line), "%d %d %s", &n, &i, &text); fields < 2 || i != next[n] || len(text) != i {
			t.Errorf("%q after %d", line, next[n])
		}
		next[n] = i + 1
	}
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		p.Read(take)
	}
	for n := range next {
		if next[n] != each {
			t.Errorf("%d of %d lines", next[n], each)
		}
	}
}

func TestOpenWhereSomethingIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports")
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	var p Pipe
	if err := p.Open(path); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if lines := p.lines(); lines != nil {
		t.Errorf("%q", lines)
	}
	p.Close()
}

// Nobody reads what is written then, and a writer is told.
func TestClosed(t *testing.T) {
	p, w := open(t)
	write(t, w, "a\n")
	p.Close()
	if lines := p.lines(); lines != nil {
		t.Errorf("%q", lines)
	}
	if _, err := w.WriteString("b\n"); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}
