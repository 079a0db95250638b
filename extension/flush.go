package extension

import (
	"context"
	"errors"
	"time"

	"github.com/throughline/throughline/extension/internal/notice"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// flushStrategy decides whether spans are exported at the end of an invocation or
// beside the next one. The zero value is FlushAuto before its first invocation.
type flushStrategy struct {
	flush  Flush
	steady int // invocations in a row with short gaps
	last   time.Time
}

const (
	steadyAfter = 20               // invocations
	longGap     = 60 * time.Second // between two of them
	tooOld      = 5 * time.Second  // of an unsent span: what a reaped environment may lose
)

// atEnd is asked once an invocation, when it begins.
func (p *flushStrategy) atEnd(now, oldest time.Time, waiting bool) bool {
	now, oldest = now.Round(0), oldest.Round(0) // by the wall clock, which goes on while an environment is frozen
	gap := now.Sub(p.last)
	first := p.last.IsZero()
	p.last = now
	switch p.flush {
	case FlushEnd:
		return true
	case FlushPeriodic:
		return false
	}
	if !first && gap > longGap {
		p.steady = 0
	} else {
		p.steady++
	}
	return p.steady <= steadyAfter || waiting && now.Sub(oldest) > tooOld
}

func (x *extension) oldest() (time.Time, int, bool) {
	if x.exporter == nil {
		return time.Time{}, 0, false
	}
	return x.exporter.Oldest()
}

// flush exports within the budget and the deadline.
func (x *extension) flush(ctx context.Context, deadline time.Time) {
	x.flushWithin(ctx, min(exportBudget, time.Until(deadline)-deadlineMargin))
}

// flushBeside exports while the invocation goes on, and beyond it if need be:
// nobody waits. The channel is closed when there is nothing left to wait for.
func (x *extension) flushBeside(ctx context.Context, deadline time.Time) <-chan struct{} {
	done := make(chan struct{})
	if x.exporter == nil || !x.exporting.CompareAndSwap(false, true) {
		close(done)
		return done
	}
	x.background.Go(func() {
		defer close(done)
		defer x.exporting.Store(false)
		x.guard(func() { x.flushWithin(ctx, min(besideBudget, time.Until(deadline)-deadlineMargin)) })
	})
	return done
}

func (x *extension) flushWithin(ctx context.Context, budget time.Duration) {
	if x.exporter == nil || budget <= 0 {
		return
	}
	_, spans, waiting := x.exporter.Oldest()
	if !waiting {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	begun := time.Now()
	err := x.exporter.Flush(ctx)
	if err != nil && !errors.Is(err, otlp.ErrPaused) && !errors.Is(err, context.Canceled) {
		x.log.Once("%v", err)
	}
	x.log.Tell(notice.Debug, "exported %d spans in %v: %v", spans, time.Since(begun).Round(time.Microsecond), err)
}

func (x *extension) writeMetrics() {
	now := x.config.Now()
	if x.exporter != nil {
		l := x.exporter.Losses()
		if l.Spans > 0 {
			x.metrics.Record(metrics.Observation{At: now, Name: metrics.SpansDropped, Value: float64(l.Spans)})
		}
		if l.Failures > 0 {
			x.metrics.Record(metrics.Observation{At: now, Name: metrics.ExportFailures, Value: float64(l.Failures)})
		}
	}
	_ = x.metrics.Flush(x.config.Out, now) // counted by the set itself
}
