package extension

import "time"

// pace decides whether spans are exported at the end of an invocation or
// beside the next one. The zero value is FlushAuto before its first invocation.
type pace struct {
	mode   Flush
	steady int // invocations in a row with short gaps
	last   time.Time
}

const (
	steadyAfter = 20               // invocations
	longGap     = 60 * time.Second // between two of them
	tooOld      = 5 * time.Second  // of an unsent span: what a reaped environment may lose
)

// atEnd is asked once an invocation, when it begins.
func (p *pace) atEnd(now, oldest time.Time, waiting bool) bool {
	now, oldest = now.Round(0), oldest.Round(0) // by the wall clock, which goes on while an environment is frozen
	gap := now.Sub(p.last)
	first := p.last.IsZero()
	p.last = now
	switch p.mode {
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
