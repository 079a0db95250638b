package demo

import (
	"slices"

	"github.com/throughline/throughline/local/lambdalocal"
)

// time sets when the events of asynchronous invocations were handled: during the first
// attempt. The time when they were queued does not define their order.
func (t truth) time() {
	ran := map[string]lambdalocal.Invocation{} // the first attempt, by request ID
	for _, invocations := range t.invocations {
		for _, i := range invocations {
			if i.Attempt == 1 {
				ran[i.RequestID] = i
			}
		}
	}
	for n := range t.handled {
		h := &t.handled[n]
		h.at = ran[h.request].Start
		h.until = h.at.Add(ran[h.request].Duration)
	}
}

// outOfOrder counts the events that a function first received after an event that they
// caused: one because of an injected delay, others if the machine is slow. Invocations
// that overlap have no order: such events count only in most.
func (t truth) outOfOrder() (least, most int) {
	children := map[[2]string][]handled{} // by function and parent of the event that it received
	for _, h := range t.handled {
		if parent := parents[h.event.DetailType]; parent != "" {
			key := [2]string{h.function, parent}
			children[key] = append(children[key], h)
		}
	}
	seen := map[[2]string]bool{}
	for _, h := range t.handled {
		here := [2]string{h.function, eventID(h.event)}
		if seen[here] {
			continue
		}
		seen[here] = true
		if slices.ContainsFunc(children[here], func(child handled) bool { return child.until.Before(h.at) }) {
			least++
		}
		if slices.ContainsFunc(children[here], func(child handled) bool { return child.at.Before(h.until) }) {
			most++
		}
	}
	return least, most
}
