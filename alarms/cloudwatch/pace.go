package cloudwatch

import (
	"context"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/pause"
)

// Pace keeps calls below CloudWatch's request rates: 3 a second that change alarms, 9
// that describe alarms, 10 on tags, 25 on metrics. The zero value is ready and uses the
// process's clock. It is safe for concurrent use.
type Pace struct {
	// Now and Sleep replace the process's clock if they are not nil.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	// Progress, which may be nil, is called with the number of alarms or metrics that
	// have been read and the total, where each takes a call.
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

// wait returns when a call of this kind is allowed, or with ctx's error when ctx ends.
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

// Pause returns after d, or with ctx's error when ctx ends.
func (p *Pace) Pause(ctx context.Context, d time.Duration) error {
	if p.Sleep != nil {
		return p.Sleep(ctx, d)
	}
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	return pause.For(ctx, d)
}
