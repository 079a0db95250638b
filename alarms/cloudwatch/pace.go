package cloudwatch

import (
	"context"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/pause"
)

// Pace keeps calls under CloudWatch's rates: three a second that change alarms,
// nine that describe them, ten about tags, twenty-five of metrics. The zero
// value does, by the process's clock. It is safe for concurrent use.
type Pace struct {
	// Now and Sleep stand for the clock; nil for the process's.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	// Progress, which may be nil, is told how many of how many alarms or metrics
	// have been read where each takes a call.
	Progress func(done, of int)

	mu   sync.Mutex
	next [4]time.Time
}

type callKind int

const (
	changing callKind = iota
	describing
	tagging
	listing
)

var rates = [4]time.Duration{time.Second / 3, time.Second / 9, time.Second / 10, time.Second / 25}

// wait returns when a call of the kind may be made, or when ctx ends.
func (p *Pace) wait(ctx context.Context, kind callKind) error {
	p.mu.Lock()
	now := p.now()
	at := p.next[kind]
	if at.Before(now) {
		at = now
	}
	p.next[kind] = at.Add(rates[kind])
	p.mu.Unlock()
	return p.Pause(ctx, at.Sub(now))
}

func (p *Pace) progress(done, of int) {
	if p.Progress != nil {
		p.Progress(done, of)
	}
}

func (p *Pace) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// Pause returns after d, or when ctx ends with its error.
func (p *Pace) Pause(ctx context.Context, d time.Duration) error {
	if p.Sleep != nil {
		return p.Sleep(ctx, d)
	}
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	return pause.For(ctx, d)
}
