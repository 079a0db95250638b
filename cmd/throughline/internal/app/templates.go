package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// look is how long lies between two looks at the templates.
const look = 500 * time.Millisecond

// templates are the files that a plan was made of, with what was in them. They are played
// as they were: a change is told, and takes a new start.
type templates struct {
	played map[string][]byte // by path
	told   func(text string)

	mu      sync.Mutex
	changed []string
	stop    context.CancelFunc // nil: they are not watched
	ended   chan struct{}
}

// read reads a file that belongs to the plan.
func (t *templates) read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		t.played[path] = data
	}
	return data, err
}

// watch looks at the files until close is called.
func (t *templates) watch() {
	ctx, stop := context.WithCancel(context.Background())
	t.stop, t.ended = stop, make(chan struct{})
	go func() {
		defer close(t.ended)
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				t.compare()
			case <-ctx.Done():
				return
			}
		}
	}()
}

// compare tells of files that differ since the last look. One that cannot be read is being
// written, or is gone: it counts as it did.
func (t *templates) compare() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for path, was := range t.played {
		data, err := os.ReadFile(path)
		known := slices.Contains(t.changed, path)
		switch differs := !bytes.Equal(data, was); {
		case err != nil || differs == known:
		case differs:
			t.changed = append(t.changed, path)
			slices.Sort(t.changed)
			t.told(restartFor(path))
		default:
			t.changed = slices.DeleteFunc(t.changed, func(other string) bool { return other == path })
			t.told(filepath.Base(path) + " is as it was at the start again")
		}
	}
}

// restartFor says what a change of a template takes.
func restartFor(path string) string {
	return filepath.Base(path) + " has changed, and is played as it was at the start: end throughline dev with Ctrl+C and start it again"
}

// news is what there is to say of the files now; empty where nothing has changed.
func (t *templates) news() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := []string{}
	for _, path := range t.changed {
		news = append(news, restartFor(path))
	}
	return news
}

func (t *templates) close() {
	if t.stop != nil {
		t.stop()
		<-t.ended
	}
}
