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
// during the next one. The zero value is FlushAuto before the first invocation.
type flushStrategy struct {
	flush  Flush
	steady int // invocations in a row with short gaps
	last   time.Time
}

const (
	steadyAfter = 20               // invocations with short gaps
	longGap     = 60 * time.Second // between two invocations
	tooOld      = 5 * time.Second  // age of an unsent span, which is lost if the environment is removed
)

// atEnd reports whether to export at the end of the invocation that begins now. Call
// it once for each invocation. oldest is the time of the oldest unsent span, if
// waiting is true.
func (p *flushStrategy) atEnd(now, oldest time.Time, waiting bool) bool {
	now, oldest = now.Round(0), oldest.Round(0) // the wall clock: the monotonic clock stops while an environment is frozen
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

// flush exports within exportBudget, and until shortly before the deadline.
func (x *extension) flush(ctx context.Context, deadline time.Time) {
	x.flushWithin(ctx, min(exportBudget, time.Until(deadline)-deadlineMargin))
}

// flushBeside exports in the background, during the invocation and possibly after
// it. The channel is closed when the export is over, or if there is none to wait for.
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
	_ = x.metrics.Flush(x.config.Out, now) // the set counts what it could not write
}
