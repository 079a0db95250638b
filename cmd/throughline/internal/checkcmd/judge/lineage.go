package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/metrics"
)

// correlation checks that every event arrived with a correlation ID, and that the trees
// have no gap.
func correlation(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	var f findings
	for _, service := range s.Observed.Services() {
		t := s.Observed.Functions[service]
		if n := t.Sum[string(metrics.UncorrelatedReceived)]; n > 0 {
			f.fail("%s received %.0f events without a correlation ID", service, n)
		}
	}
	for _, d := range s.Observed.Delivered {
		if d.CorrelationID == "" {
			f.fail("%s %s was delivered without a correlation ID", d.Type, d.ID)
		}
	}
	gaps(s.Observed.Spans, &f)
	for _, service := range s.Observed.Services() {
		t := s.Observed.Functions[service]
		if n := t.Sum[string(metrics.UncorrelatedPublished)]; n > 0 {
			f.warn("%s published %.0f of %.0f events without a correlation ID while it handled others: a new one was generated, so the workflow breaks there", service, n, t.Sum[string(metrics.EventsPublished)])
		}
	}
	id, through := widest(s)
	if id == "" && len(f.bad)+len(f.doubtful) == 0 {
		if r, no := unread(s, system.Logs); no {
			return r
		}
		return skip(runFirst, "no correlation ID was seen in %s", window(s))
	}
	return f.or(pass("%s runs through %s: %s", id, phrase.Count(len(through), "function"), phrase.Some(through)),
		"give each event the correlation ID of the one being handled; with the layer or publisher.New the stamp carries it")
}

// gaps finds events whose publisher is missing, and events that are handled under another
// correlation ID than they were published with.
func gaps(spans []workflow.Span, f *findings) {
	published := map[workflow.ID]*workflow.Span{}
	for i := range spans {
		if spans[i].Kind == "PRODUCER" {
			published[spans[i].ID] = &spans[i]
		}
	}
	for i := range spans {
		h := &spans[i]
		if h.Kind != "CONSUMER" {
			continue
		}
		for _, l := range h.Links {
			if l.Why != "causation" {
				continue
			}
			event, _ := l.Attributes["throughline.event.id"].(string)
			switch p := published[l.To]; {
			case p == nil && l.Sampled:
				f.fail("%s handled %s %s, and the span that published it is missing", h.Service, h.Text("throughline.event.type"), event)
			case p != nil && h.Text("throughline.correlation.id") != "" && p.Text("throughline.correlation.id") != "" && h.Text("throughline.correlation.id") != p.Text("throughline.correlation.id"):
				f.fail("%s handled %s under %s, and %s published it under %s", h.Service, event, h.Text("throughline.correlation.id"), p.Service, p.Text("throughline.correlation.id"))
			}
		}
	}
}

// widest returns the correlation ID that most services share.
func widest(s *system.System) (id string, through []string) {
	seen := map[string][]string{}
	for _, service := range s.Observed.Services() {
		for c := range s.Observed.Functions[service].Correlations {
			seen[c] = append(seen[c], service)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(seen)) {
		if len(seen[c]) > len(through) {
			id, through = c, seen[c]
		}
	}
	return id, through
}

// recurring names events that have one of their own type among their causes.
func recurring(spans []workflow.Span) []string {
	var found []string
	for _, id := range workflow.Correlations(spans) {
		nodes := workflow.Build(spans, id).Nodes
		for i := range nodes {
			if nodes[i].Kind != workflow.KindEvent || nodes[i].Type == "" {
				continue
			}
			path := []string{nodes[i].Type}
			for at := nodes[i].Parent; at >= 0; at = nodes[at].Parent {
				if nodes[at].Kind != workflow.KindEvent {
					continue
				}
				if path = append(path, nodes[at].Type); nodes[at].Type == nodes[i].Type {
					slices.Reverse(path)
					line := fmt.Sprintf("%s comes back under %s: %s", nodes[i].Type, id, strings.Join(path, " → "))
					if !slices.Contains(found, line) {
						found = append(found, line)
					}
					break
				}
			}
		}
	}
	return found
}

const replayNext = "make the handler find the event ID among those it has handled before it does anything: `throughline dedupe --help`, or handler.WithSuppression in Go"

// replay checks that replayed events were flagged, and that they had no effect a second
// time.
func replay(s *system.System, _ Limits) Result {
	o := &s.Observed
	if o.Replay != nil && !o.Replay.Dry {
		return replayTrial(o.Replay)
	}
	if effects, replayed := effectsOfReplays(o.Spans); len(replayed) > 0 {
		var f findings
		for _, e := range effects {
			f.fail("%s", e)
		}
		return f.or(pass("%s, and nothing was published or sent again: %s", phrase.Count(len(replayed), "replayed delivery"), phrase.Some(replayed)), replayNext)
	}
	var replayed, again []system.Line
	for _, l := range o.Lines {
		switch {
		case l.Repeat == "replay":
			replayed = append(replayed, l)
		case l.Repeat == "republish" && slices.ContainsFunc(replayed, func(r system.Line) bool { return r.CorrelationID == l.CorrelationID && l.CorrelationID != "" }):
			again = append(again, l)
		}
	}
	switch {
	case len(replayed) > 0:
		return judgeReplay(replayed, again, nil)
	case o.Replay != nil:
		t := o.Replay
		if t.Reason != "" {
			return skip("", "%s", t.Reason)
		}
		return skip("give --write to replay: the consumers handle these events again", "--write would replay %s from %s to %s to %s, which reach %s", t.Archive, t.From.UTC().Format("15:04"), t.To.UTC().Format("15:04"), phrase.Some(t.Rules), phrase.Some(t.Reaches))
	}
	return skip("replay an archive to the bus, then check again", "no replay was seen in %s", window(s))
}

// judgeReplay checks the log lines of a replay.
func judgeReplay(replayed, again []system.Line, published map[string]float64) Result {
	var f findings
	for _, l := range again {
		f.fail("%s %s was published again and reached %s", l.EventType, l.EventID, l.Service)
	}
	for _, service := range slices.Sorted(maps.Keys(published)) {
		f.fail("%s published %s while it handled replayed events", service, phrase.Count(int(published[service]), "event"))
	}
	var names []string
	for _, l := range replayed {
		names = append(names, l.EventID+" at "+l.Service)
	}
	return f.or(pass("%s flagged, and no event was published for it: %s; effects other than events are not checked", phrase.Count(len(replayed), "replayed delivery"), phrase.Some(names)), replayNext)
}

func replayTrial(t *system.ReplayTrial) Result {
	switch {
	case t.Reason != "":
		return Result{Status: Fail, Evidence: fmt.Sprintf("replay %s of %s: %s", t.Name, t.Archive, t.Reason), Next: "see `aws events describe-replay --replay-name " + t.Name + "`"}
	case len(t.Replayed) == 0 && len(t.Published) == 0 && len(t.Again) == 0:
		return skip("replay more with --replay 1h, or check that the functions have the layer", "replay %s of %s is %s, and no function reported a replayed event", t.Name, t.Archive, t.State)
	}
	r := judgeReplay(t.Replayed, t.Again, t.Published)
	r.Evidence = fmt.Sprintf("replay %s: %s", t.Name, r.Evidence)
	return r
}

// effectsOfReplays returns what was published or sent while replayed events were handled.
func effectsOfReplays(spans []workflow.Span) (effects, replayed []string) {
	children := map[workflow.ID][]*workflow.Span{}
	for i := range spans {
		if p := spans[i].Parent; p != "" {
			id := workflow.ID{Trace: spans[i].ID.Trace, Span: p}
			children[id] = append(children[id], &spans[i])
		}
	}
	for i := range spans {
		h := &spans[i]
		if h.Kind != "CONSUMER" || h.Text("throughline.repeat.kind") != "replay" {
			continue
		}
		event := h.Text("throughline.event.id")
		replayed = append(replayed, event+" at "+h.Service)
		seen := map[workflow.ID]bool{h.ID: true}
		for queue := slices.Clone(children[h.ID]); len(queue) > 0; queue = queue[1:] {
			c := queue[0]
			if seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			queue = append(queue, children[c.ID]...)
			method := c.Text("http.request.method")
			switch {
			case c.Kind == "PRODUCER" && c.Text("throughline.event.type") != "": // an event without an ID counts too
				effects = append(effects, strings.TrimSpace(fmt.Sprintf("%s handled the replay of %s and published %s %s", h.Service, event, c.Text("throughline.event.type"), c.Text("throughline.event.id"))))
			case c.Kind == "CLIENT" && method != "" && method != "GET" && method != "HEAD":
				effects = append(effects, fmt.Sprintf("%s handled the replay of %s and sent %s, answered %s", h.Service, event, c.Name, cmp.Or(c.Text("http.response.status_code"), "nothing")))
			}
		}
	}
	slices.Sort(effects)
	slices.Sort(replayed)
	return effects, replayed
}

// deadLetters checks that a failed event reached its dead-letter queue.
func deadLetters(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Rules); no {
		return r
	}
	var f findings
	for _, rule := range slices.Sorted(maps.Keys(s.Observed.Dead.Lost)) {
		if n := s.Observed.Dead.Lost[rule]; n > 0 {
			f.fail("%.0f events of rule %s failed and could not be sent to its dead-letter queue", n, rule)
		}
	}
	var arrived, dry []string
	for _, t := range s.Observed.DLQ {
		switch {
		case t.Dry && t.Why != "":
			dry = append(dry, fmt.Sprintf("%s: %s", arn.Name(t.Queue), t.Why))
		case t.Dry:
			dry = append(dry, fmt.Sprintf("--write would create the rule %s, publish one event that no target accepts, look for it in %s, and delete both", t.Rule, arn.Name(t.Queue)))
		case t.Letter != nil:
			arrived = append(arrived, fmt.Sprintf("%s reached %s after %s: %s", t.EventID, arn.Name(t.Queue), phrase.Duration(t.After.Round(100*time.Millisecond)), t.Letter.Code))
		default:
			f.fail("%s: %s", arn.Name(t.Queue), t.Why)
		}
		for _, l := range t.Left {
			f.warn("not cleaned up: %s", l)
		}
	}
	for _, l := range s.Observed.Letters {
		of := "rule " + arn.Name(l.Rule)
		if l.Subscriber != "" {
			of = "subscriber " + l.Subscriber
		}
		arrived = append(arrived, fmt.Sprintf("%s %s of %s, %s", l.EventType, l.EventID, of, l.Code))
	}
	const next = "check the queue's policy: it must allow events.amazonaws.com to send, with the rule's ARN as aws:SourceArn"
	switch {
	case len(f.bad) > 0 || len(arrived) > 0:
		return f.or(pass("%s", phrase.Some(arrived)), next)
	case len(dry) > 0:
		return Result{Status: Skip, Evidence: dry[0], Details: dry[1:], Next: "give --write to do it"}
	case !anyQueue(s):
		return skip("see the item targets", "no rule has a dead-letter queue")
	}
	return skip("let a target fail, then check again", "no failed event was seen")
}

func anyQueue(s *system.System) bool { return len(s.DeadLetterQueues()) > 0 }

// delay checks that functions end in time while calls to Alpaca are delayed.
func delay(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Functions, system.Metrics); no {
		return r
	}
	var f findings
	var tried []string
	for _, fn := range s.Functions {
		added := injected(fn.Environment["THROUGHLINE_ALPACA_FAULTS"])
		if added == 0 {
			continue
		}
		t := s.Observed.Functions[fn.Service]
		host, longest := "", 0.0
		if t != nil {
			for _, h := range slices.Sorted(maps.Keys(t.Hosts)) {
				if t.Hosts[h] > longest {
					host, longest = h, t.Hosts[h]
				}
			}
		}
		if longest < float64(added.Milliseconds()) {
			return skip("run a workflow that calls Alpaca through "+fn.Name+", then check again", "%s adds %s to each call, and no call took that long", fn.Name, phrase.Duration(added))
		}
		took := fmt.Sprintf("with %s added %s's longest call to %s took %.0f ms and its longest invocation %s of %s", phrase.Duration(added), fn.Name, host, longest, phrase.Duration(t.Duration), phrase.Duration(fn.Timeout))
		if n := t.Sum[string(metrics.Timeouts)]; n > 0 || fn.Timeout > 0 && t.Duration >= fn.Timeout {
			f.fail("%s: the function timed out %s", took, phrase.Times(max(n, 1)))
			continue
		}
		if n := t.Sum[string(metrics.SoftErrors)] + t.Sum[string(metrics.Errors)]; n > 0 {
			f.warn("%s; %s ended in an error", took, phrase.Count(int(n), "invocation"))
			continue
		}
		tried = append(tried, took)
	}
	if len(tried)+len(f.bad)+len(f.doubtful) > 0 {
		return f.or(pass("%s", strings.Join(tried, "; ")), "raise the time-out, bound the calls with a time-out of their own, or call in parallel")
	}
	return untried(s)
}

// injected returns the delay in a text of faults; extension/faults.go has its form.
func injected(faults string) time.Duration {
	for part := range strings.SplitSeq(faults, ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), "delay="); ok {
			d, err := time.ParseDuration(value)
			if err == nil {
				return d
			}
		}
	}
	return 0
}

// untried estimates the effect of a delay from the calls of each invocation.
func untried(s *system.System) Result {
	const added = 2 * time.Second
	const next = "set THROUGHLINE_ALPACA_FAULTS=delay=2s on a function in dev, run a workflow, and check again"
	calls := map[string]int{} // the most calls in one invocation, by service
	perInvocation := map[string]int{}
	for i := range s.Observed.Spans {
		c := &s.Observed.Spans[i]
		if c.Kind != "CLIENT" || c.Text("http.request.method") == "" {
			continue
		}
		key := c.Service + " " + c.ID.Trace + " " + c.Parent
		perInvocation[key]++
		calls[c.Service] = max(calls[c.Service], perInvocation[key])
	}
	if s.Local && len(s.Observed.Spans) > 0 && len(calls) == 0 {
		return skip("", "no function made a call over HTTP in %s", window(s))
	}
	var f findings
	said := ""
	for _, fn := range s.Functions {
		n, t := calls[fn.Service], s.Observed.Functions[fn.Service]
		if n == 0 || t == nil {
			continue
		}
		would := t.Duration + time.Duration(n)*added
		text := fmt.Sprintf("%s makes up to %s an invocation: %s more each would come to %s of its %s", fn.Name, phrase.Count(n, "call"), phrase.Duration(added), phrase.Duration(would), phrase.Duration(fn.Timeout))
		if fn.Timeout > 0 && would >= fn.Timeout {
			f.warn("no delay was tried; %s", text)
		}
		said = "; " + text
	}
	return f.or(skip(next, "no delay was tried in %s%s", window(s), said), next)
}
