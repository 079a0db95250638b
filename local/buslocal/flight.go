package buslocal

import (
	"context"
	"sync"
)

// flight counts deliveries in progress. Unlike with a WaitGroup, deliveries may be
// added while a goroutine waits. The zero value is empty.
type flight struct {
	mu      sync.Mutex
	n       int
	landed  chan struct{} // closed when n falls to zero; nil if no goroutine waits
	waiting bool
}

func (f *flight) add(delta int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n += delta
	if f.n == 0 && f.waiting {
		close(f.landed)
		f.waiting = false
	}
}

// wait returns when no delivery is in progress, or with ctx's error.
func (f *flight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if !f.waiting {
		f.landed, f.waiting = make(chan struct{}), true
	}
	landed := f.landed
	f.mu.Unlock()
	select {
	case <-landed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
