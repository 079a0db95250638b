package invocations

import (
	"cmp"
	"strings"
	"time"

	"github.com/throughline/throughline/metrics"
)

// Telemetry processes one batch of records from the Telemetry API. It ignores
// records that were delivered before.
func (t *Tracker) Telemetry(batch []byte, now time.Time) {
	records, unread := readRecords(batch)
	t.config.Metrics.Dropped(unread)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range records {
		key := recordKey{r.Type, r.Record.RequestID, r.Time}
		if t.seen[key] {
			continue
		}
		t.seen[key] = true
		if t.seenOrder = append(t.seenOrder, key); len(t.seenOrder) > maxSeen {
			delete(t.seen, t.seenOrder[0])
			t.seenOrder = t.seenOrder[1:]
		}
		t.apply(r, now)
	}
}

func (t *Tracker) apply(r record, now time.Time) {
	switch r.Type {
	case "platform.initStart":
		t.init.kind, t.init.start = r.Record.InitializationType, r.Time
	case "platform.initRuntimeDone":
		t.init.end = r.Time
	case "platform.initReport":
		if ms, ok := number(r.Record.Metrics.Duration); ok && !t.init.counted {
			t.init.counted = true
			t.record(r.Time, metrics.InitDuration, ms, "", "")
		}
	case "platform.restoreReport":
		t.init.kind = "snap-start"
		if ms, ok := number(r.Record.Metrics.Duration); ok {
			t.record(r.Time, metrics.RestoreDuration, ms, "", "")
		}
	case "platform.start":
		i := t.known[r.Record.RequestID]
		if i == nil || i.state >= counted && !i.start.IsZero() { // telemetry may report an invocation first; on Managed Instances only telemetry reports it
			i = t.add(r.Record.RequestID, now)
		}
		i.start = r.Time
	case "platform.runtimeDone":
		i := t.known[r.Record.RequestID]
		if i == nil { // the Extensions API has not reported the invocation yet
			i = t.add(r.Record.RequestID, now)
		}
		t.silent = false
		t.finish(i, r)
	case "platform.report":
		t.report(r)
	case "platform.logsDropped":
		n, _ := number(r.Record.DroppedRecords)
		t.config.Metrics.Dropped(max(1, int(n)))
	}
}

// finish counts an invocation whose end a record reports.
func (t *Tracker) finish(i *invocation, r record) {
	if i.state >= counted {
		return
	}
	i.end, i.status, i.errorType = r.Time, r.Record.Status, r.Record.ErrorType
	ms, ok := number(r.Record.Metrics.Duration)
	if started, _ := i.times(); !ok {
		ms = max(0, float64(r.Time.Sub(started))/float64(time.Millisecond))
	}
	t.count(i, r.Time, ms)
	t.advance(i, counted)
}

// count records the metrics that each invocation has once.
func (t *Tracker) count(i *invocation, at time.Time, ms float64) {
	t.record(at, metrics.Duration, ms, i.requestID, "")
	if i.deadline.After(i.begun) {
		timeout := float64(i.deadline.Sub(i.begun)) / float64(time.Millisecond)
		t.record(at, metrics.TimeoutUtilization, 100*ms/timeout, i.requestID, "")
	}
	if i.cold {
		t.record(at, metrics.ColdStart, 1, i.requestID, t.coldKind(i))
	}
	switch {
	case strings.EqualFold(i.status, "success"), i.status == "":
		return
	case strings.EqualFold(i.status, "timeout"):
		t.record(at, metrics.Timeouts, 1, i.requestID, "")
	case i.errorType == outOfMemory:
		t.record(at, metrics.OutOfMemory, 1, i.requestID, "")
	}
	t.record(at, metrics.Errors, 1, i.requestID, i.errorType)
}

const outOfMemory = "Runtime.OutOfMemory"

// coldKind returns how the environment was initialised: on-demand, proactive, or a
// type that Lambda reports.
func (t *Tracker) coldKind(i *invocation) string {
	kind := cmp.Or(t.init.kind, t.config.InitType)
	kind = cmp.Or(kind, "on-demand")
	if kind == "on-demand" && !t.init.end.IsZero() && i.begun.Sub(t.init.end) > proactive {
		return "proactive"
	}
	return kind
}

// report records the metrics that only platform.report contains. On Managed
// Instances only platform.report contains the duration.
func (t *Tracker) report(r record) {
	i := t.known[r.Record.RequestID]
	m := r.Record.Metrics
	if i != nil && i.state < counted {
		t.finish(i, r)
	}
	if ms, ok := number(m.BilledDuration); ok {
		t.record(r.Time, metrics.BilledDuration, ms, r.Record.RequestID, "")
	}
	for _, s := range r.Record.Spans {
		if ms, ok := number(s.Duration); ok && s.Name == "extensionOverhead" {
			t.record(r.Time, metrics.ExtensionOverhead, ms, r.Record.RequestID, "")
		}
	}
	used, ok := number(m.MaxMemoryUsed)
	size, sized := number(m.MemorySize)
	if ok {
		t.record(r.Time, metrics.MemoryUsed, used, r.Record.RequestID, "")
	}
	if ok && sized && size > 0 {
		t.record(r.Time, metrics.MemoryUtilization, 100*used/size, r.Record.RequestID, "")
		if i != nil && used >= size && i.errorType != outOfMemory && i.status != "" && !strings.EqualFold(i.status, "success") && !strings.EqualFold(i.status, "timeout") {
			i.errorType = outOfMemory
			t.record(r.Time, metrics.OutOfMemory, 1, i.requestID, "")
		}
	}
}
