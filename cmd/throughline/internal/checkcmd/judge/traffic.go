package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

const runFirst = "run a whole workflow, then check again"

// sum adds up a counter over all services.
func sum(s *system.System, name metrics.Name) (total float64, known bool) {
	for _, t := range s.Observed.Functions {
		n, ok := t.Sum[string(name)]
		total, known = total+n, known || ok
	}
	return total, known
}

// serialise checks that no published event was refused, that every delivered event
// parses, and that no function failed to serialise one.
func serialise(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	var f findings
	published, _ := sum(s, metrics.EventsPublished)
	failed, _ := sum(s, metrics.EventsFailed)
	for _, service := range s.Observed.Services() {
		t := s.Observed.Functions[service]
		n := t.Sum[string(metrics.EventsFailed)]
		if n == 0 {
			continue
		}
		var codes []string
		throttled := 0.0
		for _, code := range slices.Sorted(maps.Keys(t.Codes)) {
			if name, ok := strings.CutPrefix(code, string(metrics.EventsFailed)+"_"); ok {
				codes = append(codes, fmt.Sprintf("%s %.0f", name, t.Codes[code]))
				if strings.HasPrefix(name, "Throttl") || strings.HasPrefix(name, "Internal") {
					throttled += t.Codes[code]
				}
			}
		}
		if len(codes) == 0 {
			codes = []string{"see the error code in the function's log"}
		}
		report := f.fail
		if throttled == n { // a retry would have succeeded
			report = f.warn
		}
		report("%s: %.0f of %.0f events were not published: %s", service, n, n+t.Sum[string(metrics.EventsPublished)], strings.Join(codes, ", "))
	}
	for _, e := range s.Observed.Errors {
		f.fail("%s at %s: %s", e.Function, e.At.UTC().Format(time.DateTime), e.Message)
	}
	for _, b := range s.Observed.Broken {
		f.fail("%s", b)
	}
	if published+failed == 0 && len(s.Observed.Delivered) == 0 && len(f.bad) == 0 {
		if a := s.Observed.Account; a.Failed > 0 {
			f.warn("%.0f of %.0f entries of the whole account failed: EventBridge's metric does not name the publisher", a.Failed, a.Entries)
			return f.or(Result{}, "attach the layer or the library, which report the publisher and the error")
		} else if a.Entries > 0 {
			return pass("none of the %.0f entries of the whole account failed", a.Entries)
		}
		return skip(runFirst, "nothing was published in %s", window(s))
	}
	good := pass("%.0f events published, none refused", published)
	if n := len(s.Observed.Delivered); n > 0 {
		good.Evidence += fmt.Sprintf("; all %d that were delivered parse", n)
	}
	return f.or(good, "publish with publisher.Entry (Go), or model_dump(mode=\"json\") (Python): decimals and times as strings, errors as {\"error_type\",\"error_message\"}")
}

// sized is the largest event of a type at one publisher.
type sized struct {
	service, eventType string
	system.Size
}

func sizes(s *system.System) []sized {
	var list []sized
	for service, t := range s.Observed.Functions {
		for eventType, size := range t.Sizes {
			list = append(list, sized{service, eventType, size})
		}
	}
	slices.SortFunc(list, func(a, b sized) int {
		return cmp.Or(-cmp.Compare(a.Max, b.Max), cmp.Compare(a.eventType, b.eventType), cmp.Compare(a.service, b.service))
	})
	return list
}

func (z sized) String() string {
	text := fmt.Sprintf("%s from %s: %.0f bytes", z.eventType, z.service, z.Max)
	if z.EventID != "" {
		text += " (" + z.EventID + ")"
	}
	return text
}

func size(s *system.System, l Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	list := sizes(s)
	if len(list) == 0 {
		switch largest := s.Observed.Account.LargestRequest; {
		case largest >= float64(l.Size):
			return Result{Status: Warn, Evidence: fmt.Sprintf("the account's largest request is %.0f bytes, of one to ten events", largest), Next: "attach the layer or the library, which report the sizes of events"}
		case largest > 0:
			return pass("the account's largest request is %.0f bytes, so no event is larger; %.0f %% of %d", largest, 100*largest/float64(l.Size), l.Size)
		}
		return skip(runFirst+"; sizes come from the layer, the library or the sidecar", "no sizes of events in %s", window(s))
	}
	var f findings
	count := 0.0
	for _, z := range list {
		count += z.Count
		if z.Max >= float64(l.Size) {
			f.fail("%s, the limit is %d", z, l.Size)
		}
	}
	return f.or(pass("largest of %.0f is %s, %.0f %% of %d", count, list[0], 100*list[0].Max/float64(l.Size), l.Size),
		"store large details in S3 and publish a reference: package claimcheck, or publisher.WithClaims in Go")
}

func durations(s *system.System, l Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	var f findings
	slowest, invocations := "", 0.0
	for _, service := range s.Observed.Services() {
		t := s.Observed.Functions[service]
		invocations += t.Invocations
		if t.Duration == 0 {
			continue
		}
		if slowest == "" || t.Duration > s.Observed.Functions[slowest].Duration {
			slowest = service
		}
		if t.Duration > l.Duration {
			f.fail("%s took %s%s, the limit is %s", service, phrase.Duration(t.Duration), request(t), l.Duration)
		}
	}
	if slowest == "" {
		return skip(runFirst, "no invocation in %s", window(s))
	}
	t := s.Observed.Functions[slowest]
	return f.or(pass("slowest of %.0f invocations is %s, %s%s of %s", invocations, slowest, phrase.Duration(t.Duration), request(t), l.Duration),
		"find the slow part with `throughline trace --slowest`; split the work over several events")
}

func request(t *system.Traffic) string {
	if t.SlowestID == "" {
		return ""
	}
	return " (request " + t.SlowestID + ")"
}

// timeouts compares each function's time-out with its longest invocation.
func timeouts(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Functions, system.Metrics); no {
		return r
	}
	const close = 0.8
	var f findings
	nearest, share, seen := "", 0.0, 0
	next := "find the cause before raising Timeout: `throughline trace --slowest` shows where the time went"
	for _, fn := range s.Functions {
		t := s.Observed.Functions[fn.Service]
		if t == nil || fn.Timeout == 0 || t.Duration == 0 {
			continue
		}
		seen++
		used := t.Duration.Seconds() / fn.Timeout.Seconds()
		if used >= share {
			nearest, share = fmt.Sprintf("%s, %s of %s", fn.Name, phrase.Duration(t.Duration), phrase.Duration(fn.Timeout)), used
		}
		switch n := t.Sum[string(metrics.Timeouts)]; {
		case n > 0:
			f.fail("%s timed out after %s %s%s", fn.Name, phrase.Duration(fn.Timeout), phrase.Times(n), request(t))
			next = "find the cause before raising Timeout: the function's log shows the last action of the request; a handler that times out exports no span"
		case used >= 1: // AWS/Lambda has no metric of time-outs
			f.fail("%s took %s, its time-out is %s", fn.Name, phrase.Duration(t.Duration), phrase.Duration(fn.Timeout))
		case used >= close:
			f.warn("%s took %s, %.0f %% of its time-out of %s%s", fn.Name, phrase.Duration(t.Duration), 100*used, phrase.Duration(fn.Timeout), request(t))
		}
	}
	if seen == 0 {
		return skip(runFirst, "for no function both the durations and the time-out are known")
	}
	return f.or(pass("nearest of %s is %s, %.0f %%", phrase.Count(seen, "function"), nearest, 100*share),
		next)
}

// loops checks that no loop was flagged, and that no event is among its own causes.
func loops(s *system.System, l Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	var f findings
	named := map[string]bool{}
	for _, line := range s.Observed.Lines {
		if line.Kind == "loop" {
			named[line.Service] = true
			f.fail("%s at %s under %s: hop %.0f (%s)", line.EventType, line.Service, line.CorrelationID, line.Hops, line.EventID)
		}
	}
	counted := false
	deepest := 0.0
	for _, service := range s.Observed.Services() {
		t := s.Observed.Functions[service]
		deepest = max(deepest, t.Hops)
		n, ok := t.Sum[string(metrics.LoopSuspected)]
		counted = counted || ok
		if n > 0 && !named[service] {
			f.fail("%s suspected a loop %s", service, phrase.Times(n))
		}
	}
	for _, found := range recurring(s.Observed.Spans) {
		f.warn("%s", found)
	}
	if !counted && len(s.Observed.Spans) == 0 && len(f.bad) == 0 {
		return skip(runFirst+"; the layer and the library report loops", "no function reported received events in %s", window(s))
	}
	good := pass("no loop suspected")
	if deepest > 0 {
		good.Evidence += fmt.Sprintf("; the deepest event is at hop %.0f of %d", deepest, l.Hops)
	}
	return f.or(good, "look at the workflow with `throughline trace`; the usual cause is a rule that matches events of its own target, often error notifications")
}
