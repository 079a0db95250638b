package extension

import (
	"strings"
	"time"

	"github.com/throughline/throughline/metrics"
)

// telemetry takes one delivery of records.
func (b *books) telemetry(batch []byte, now time.Time) {
	records, unread := readRecords(batch)
	b.metrics.Dropped(unread)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		key := seenKey{r.Type, r.Record.RequestID, r.Time}
		if b.seen[key] {
			continue
		}
		b.seen[key] = true
		if b.seenOrder = append(b.seenOrder, key); len(b.seenOrder) > maxSeen {
			delete(b.seen, b.seenOrder[0])
			b.seenOrder = b.seenOrder[1:]
		}
		b.apply(r, now)
	}
}

func (b *books) apply(r record, now time.Time) {
	switch r.Type {
	case "platform.initStart":
		b.init.kind, b.init.start = r.Record.InitializationType, r.Time
	case "platform.initRuntimeDone":
		b.init.end = r.Time
	case "platform.initReport":
		if ms, ok := number(r.Record.Metrics.Duration); ok && !b.init.counted {
			b.init.counted = true
			b.record(r.Time, metrics.InitDuration, ms, "", "")
		}
	case "platform.restoreReport":
		b.init.kind = "snap-start"
		if ms, ok := number(r.Record.Metrics.Duration); ok {
			b.record(r.Time, metrics.RestoreDuration, ms, "", "")
		}
	case "platform.start":
		i := b.open[r.Record.RequestID]
		if i != nil && i.untold { // its own, after all
			i.untold = false
			return
		}
		if i == nil || i.done { // telemetry may be first to tell, and on Managed Instances alone tells
			i = b.add(r.Record.RequestID, now)
		}
		i.start = r.Time
	case "platform.runtimeDone":
		i := b.open[r.Record.RequestID]
		if i == nil { // told before the Extensions API tells of the invocation itself
			i = b.add(r.Record.RequestID, now)
		}
		b.deaf = false
		b.finish(i, r)
	case "platform.report":
		b.report(r)
	case "platform.logsDropped":
		n, _ := number(r.Record.DroppedRecords)
		b.metrics.Dropped(max(1, int(n)))
	}
}

// finish counts an invocation whose end a record tells.
func (b *books) finish(i *invocation, r record) {
	if i.done {
		return
	}
	i.done, i.end, i.status, i.errorType = true, r.Time, r.Record.Status, r.Record.ErrorType
	if i.start.IsZero() {
		i.start = i.begun
	}
	ms, ok := number(r.Record.Metrics.Duration)
	if !ok {
		ms = max(0, float64(r.Time.Sub(i.start))/float64(time.Millisecond))
	}
	b.count(i, r.Time, ms)
	b.tell(i)
	b.writeInvoke(i)
}

// count records what is counted of each invocation, once.
func (b *books) count(i *invocation, at time.Time, ms float64) {
	b.record(at, metrics.Duration, ms, i.requestID, "")
	if i.deadline.After(i.begun) {
		timeout := float64(i.deadline.Sub(i.begun)) / float64(time.Millisecond)
		b.record(at, metrics.TimeoutUtilization, 100*ms/timeout, i.requestID, "")
	}
	if i.cold {
		b.record(at, metrics.ColdStart, 1, i.requestID, b.coldKind(i))
	}
	switch {
	case strings.EqualFold(i.status, "success"), i.status == "":
		return
	case strings.EqualFold(i.status, "timeout"):
		b.record(at, metrics.Timeouts, 1, i.requestID, "")
	case i.errorType == "Runtime.OutOfMemory":
		i.oom = true
		b.record(at, metrics.OutOfMemory, 1, i.requestID, "")
	}
	b.record(at, metrics.Errors, 1, i.requestID, i.errorType)
}

// coldKind is how the environment came to be.
func (b *books) coldKind(i *invocation) string {
	kind := b.init.kind
	if kind == "" {
		kind = b.config.InitType
	}
	if kind == "" {
		kind = "on-demand"
	}
	if kind == "on-demand" && !b.init.end.IsZero() && i.begun.Sub(b.init.end) > proactive {
		return "proactive"
	}
	return kind
}

// report counts what only platform.report gives; on Managed Instances it is
// also the only one to tell the duration.
func (b *books) report(r record) {
	i := b.open[r.Record.RequestID]
	m := r.Record.Metrics
	if i != nil && !i.done {
		b.finish(i, r)
	}
	if ms, ok := number(m.BilledDuration); ok {
		b.record(r.Time, metrics.BilledDuration, ms, r.Record.RequestID, "")
	}
	for _, s := range r.Record.Spans {
		if ms, ok := number(s.Duration); ok && s.Name == "extensionOverhead" {
			b.record(r.Time, metrics.ExtensionOverhead, ms, r.Record.RequestID, "")
		}
	}
	used, ok := number(m.MaxMemoryUsed)
	size, sized := number(m.MemorySize)
	if ok {
		b.record(r.Time, metrics.MemoryUsed, used, r.Record.RequestID, "")
	}
	if ok && sized && size > 0 {
		b.record(r.Time, metrics.MemoryUtilization, 100*used/size, r.Record.RequestID, "")
		if i != nil && used >= size && !i.oom && i.status != "" && !strings.EqualFold(i.status, "success") && !strings.EqualFold(i.status, "timeout") {
			i.oom = true
			b.record(r.Time, metrics.OutOfMemory, 1, i.requestID, "")
		}
	}
}
