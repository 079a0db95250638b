package whycmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
	"github.com/throughline/throughline/local/eventpattern"
)

// Case is what is known of an event. Nil and empty parts were not read.
type Case struct {
	Event Event
	Rules []ruleset.Rule
	Where string // where the rules are: template.yaml, bus orders
	// Parsed is the event. If Event.Whole is false, it has only the known members.
	Parsed    eventpattern.Event
	Trail     *Trail
	Steps     []Step
	Functions map[string]Function // the account's functions, by name
	Counts    []Count             // metrics after the event
	Queues    map[string]int      // the number of messages in the account's dead-letter queues, by name
}

// Event is the event to explain.
type Event struct {
	ID         string    `json:"event_id"` // its own ID
	EnvelopeID string    `json:"envelope_id,omitempty"`
	Source     string    `json:"source,omitempty"`
	Type       string    `json:"event_type,omitempty"`
	Bus        string    `json:"bus,omitempty"`
	Time       time.Time `json:"time,omitzero"`
	Workflow   string    `json:"correlation_id,omitempty"`
	// Whole is false if only spans have the event, because they do not have its detail.
	Whole bool   `json:"whole"`
	From  string `json:"from"` // where it was found
}

// Function is the configuration of a function's asynchronous invocations.
type Function struct {
	Reserved    *int32 `json:"reserved_concurrency,omitempty"`
	State       string `json:"state,omitempty"`       // Active, Inactive, Failed, Pending
	DeadLetter  string `json:"dead_letter,omitempty"` // the name of the dead-letter queue of asynchronous invocations
	Destination string `json:"on_failure,omitempty"`  // the name of their failure destination
	Retries     *int32 `json:"retries,omitempty"`
	Missing     string `json:"missing,omitempty"` // why it could not be read
}

// Count is a metric of CloudWatch for the time after the event, over all events.
type Count struct {
	Of     string  `json:"of"` // rule large, function fulfil
	Metric string  `json:"metric"`
	Sum    float64 `json:"sum"`
}

// Answer explains why an event was handled, or was not.
type Answer struct {
	Event Event `json:"event"`
	// Handled reports that the event was handled, and that no function that should have
	// handled it failed.
	Handled bool `json:"handled"`
	// Reasons say why the event was not handled, or what is not known if nothing
	// prevented it.
	Reasons []Reason  `json:"reasons,omitempty"`
	Rules   []Matched `json:"rules"`   // the rules that match, disabled ones included
	Closest []Near    `json:"closest"` // rules that do not match, the nearest first
	Other   int       `json:"others"`  // the number of further rules that do not match
	Trail   *Trail    `json:"spans,omitempty"`
	Steps   []Step    `json:"log,omitempty"`
	Counts  []Count   `json:"metrics,omitempty"`
	Notes   []string  `json:"notes,omitempty"`

	where string
}

// Reason is one cause that the event was not handled, with the next step.
type Reason struct {
	What string `json:"what"`
	Next string `json:"next,omitempty"`
}

// Matched is a rule that matches the event.
type Matched struct {
	Rule     string    `json:"rule"`
	Bus      string    `json:"bus"`
	Disabled bool      `json:"disabled,omitempty"`
	Unsure   string    `json:"unsure,omitempty"` // an unknown value that the result depends on
	Targets  []Outcome `json:"targets"`
}

// Outcome is the result of the event at a target of a rule.
type Outcome struct {
	Target ruleset.Target `json:"target"`
	// Result is handled, failed, refused, throttled, dead-letter, delivered, or "" if
	// unknown.
	Result string `json:"result,omitempty"`
	Says   string `json:"says,omitempty"`

	function string // the function that failed: then the event is in Lambda's dead-letter queue, not the rule's
}

// Near is a rule that does not match the event.
type Near struct {
	Rule     string              `json:"rule"`
	Bus      string              `json:"bus"`
	Disabled bool                `json:"disabled,omitempty"`
	Wrong    string              `json:"wrong,omitempty"`
	Misses   []eventpattern.Miss `json:"misses,omitempty"`
}

// Judge explains the case. closest is the number of rules that do not match to name.
func Judge(c Case, closest int) Answer {
	a := Answer{Event: c.Event, Trail: c.Trail, Steps: c.Steps, Counts: c.Counts, where: c.Where, Rules: []Matched{}, Closest: []Near{}}
	if p := published(c.Trail); p != nil && p.Error != "" {
		a.because("EventBridge refused it: "+p.Error, "correct the publisher "+p.By+": an entry that PutEvents refuses reaches no rule")
	}
	var misses []Near
	for i := range c.Rules {
		v, ok := c.verdict(&c.Rules[i])
		if !ok {
			continue
		}
		if !v.Matches() && v.Unsure == "" {
			misses = append(misses, Near{v.Rule.Name, v.Rule.Bus, v.Rule.Disabled, v.Rule.Wrong, v.Misses})
			continue
		}
		m := Matched{Rule: v.Rule.Name, Bus: v.Rule.Bus, Disabled: v.Rule.Disabled, Unsure: v.Unsure, Targets: []Outcome{}}
		for _, t := range v.Rule.Targets {
			m.Targets = append(m.Targets, c.outcome(v.Rule, t))
		}
		a.Rules = append(a.Rules, m)
	}
	slices.SortStableFunc(misses, func(x, y Near) int {
		return cmp.Or(len(x.Wrong)-len(y.Wrong), eventpattern.Distance(x.Misses)-eventpattern.Distance(y.Misses))
	})
	a.Closest, a.Other = misses[:min(closest, len(misses))], max(0, len(misses)-closest)
	a.conclude(&c)
	return a
}

// verdict compares the known part of the event with a rule.
func (c *Case) verdict(r *ruleset.Rule) (ruleset.Verdict, bool) {
	if c.Event.Whole {
		return r.Judge(c.Parsed, c.Event.Bus)
	}
	known := []string{}
	for name, value := range map[string]string{"id": c.Event.EnvelopeID, "source": c.Event.Source, "detail-type": c.Event.Type} {
		if value != "" {
			known = append(known, name)
		}
	}
	v, ok := r.JudgePart(c.Parsed, c.Event.Bus, known)
	if v.Unsure != "" && c.logs(r) {
		v.Unsure = ""
	}
	return v, ok
}

// logs reports whether the log of the bus says that the rule matched.
func (c *Case) logs(r *ruleset.Rule) bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Rule == r.Name && (s.Bus == "" || s.Bus == r.Bus) })
}

func published(t *Trail) *Publication {
	if t == nil {
		return nil
	}
	return t.Published
}

func (a *Answer) because(what, next string) {
	r := Reason{what, next}
	if !slices.Contains(a.Reasons, r) {
		a.Reasons = append(a.Reasons, r)
	}
}

// outcome returns what is known of a delivery, from the most reliable evidence: the
// functions' spans, then the bus's log, then the account's configuration.
func (c *Case) outcome(r *ruleset.Rule, t ruleset.Target) Outcome {
	receivers := t.Functions
	if t.Kind == "function" {
		receivers = []string{t.Name}
	}
	if o, known := c.bySpans(t, receivers); known {
		return o
	}
	if o, known := c.byLog(r, t); known {
		return o
	}
	o := Outcome{Target: t}
	switch {
	case t.Refused != "":
		o.Result, o.Says = "refused", t.Refused
	case t.Kind == "function" && c.stopped(t.Name) != "":
		o.Result, o.Says = "throttled", c.stopped(t.Name)
	case len(receivers) > 0 && c.Trail != nil:
		o.Says = "no span of " + phrase.Some(receivers) + " handled it"
	case len(receivers) == 0 && (t.Kind == "queue" || t.Kind == "topic"):
		o.Says = "no consumer of it is known"
	}
	return o
}

// bySpans returns the result in the spans of the functions.
func (c *Case) bySpans(t ruleset.Target, receivers []string) (Outcome, bool) {
	if c.Trail == nil {
		return Outcome{}, false
	}
	tries, last, repeats := 0, Handling{}, 0
	for _, h := range c.Trail.Handlings {
		if !slices.Contains(receivers, h.Function) {
			continue
		}
		if tries++; h.Repeat != "" {
			repeats++
		}
		if tries == 1 || last.Failed {
			last = h
		}
	}
	if tries == 0 {
		return Outcome{}, false
	}
	o := Outcome{Target: t, Result: "handled", Says: "by " + last.Function}
	if last.Failed {
		o.Result, o.function = "failed", last.Function
		o.Says = fmt.Sprintf("%s failed %s: %s", last.Function, phrase.Times(float64(tries)), cmp.Or(last.Error, "no message"))
	} else if tries > 1 {
		o.Says += fmt.Sprintf(", after %s", phrase.Count(tries, "invocation"))
	}
	if f, known := c.Functions[last.Function]; known && last.Failed && t.Kind == "function" {
		o.Says += "; " + f.after(tries)
	}
	return o, true
}

// after describes what Lambda does with an event after a function failed.
func (f Function) after(tries int) string {
	retries := int32(2) // the default (Lambda developer guide, "Asynchronous invocation")
	if f.Retries != nil {
		retries = *f.Retries
	}
	switch {
	case tries <= int(retries):
		return fmt.Sprintf("Lambda invokes the function %s in total", phrase.Times(float64(retries+1)))
	case f.Destination != "":
		return "it went to the failure destination " + f.Destination
	case f.DeadLetter != "":
		return "it went to the dead-letter queue " + f.DeadLetter
	}
	return "the function has neither a dead-letter queue nor a failure destination: the event is dropped"
}

// byLog returns the result for a target in the log of the bus.
func (c *Case) byLog(r *ruleset.Rule, t ruleset.Target) (Outcome, bool) {
	var last *Step
	dead := false
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.Rule != r.Name || s.Target == "" || s.Target != t.ARN && arn.Name(s.Target) != t.Name && arn.Function(s.Target) != t.Name {
			continue
		}
		dead = dead || s.Type == "INVOCATION_DLQ"
		if strings.HasPrefix(s.Type, "INVOCATION_") && s.Type != "INVOCATION_START" && s.Type != "INVOCATION_ATTEMPT_START" {
			last = s
		}
	}
	if last == nil {
		return Outcome{}, false
	}
	why := cmp.Or(last.Error, last.Status)
	switch {
	case dead:
		return Outcome{Target: t, Result: "dead-letter", Says: "EventBridge stopped retrying and sent it to the dead-letter queue" + with(why)}, true
	case last.Type == "INVOCATION_SUCCESS" || last.Type == "INVOCATION_ATTEMPT_SUCCESS":
		return Outcome{Target: t, Result: "delivered", Says: "the target accepted it, according to the log of the bus"}, true
	case last.Type == "INVOCATION_ATTEMPT_THROTTLE" || last.Type == "INVOCATION_THROTTLE_START":
		return Outcome{Target: t, Result: "throttled", Says: "EventBridge or the target throttles it" + with(why)}, true
	case last.Type == "INVOCATION_ATTEMPT_RETRYABLE_FAILURE":
		return Outcome{Target: t, Result: "failed", Says: fmt.Sprintf("attempt %d failed, and EventBridge retries it%s", max(1, last.Attempts), with(why))}, true
	}
	return Outcome{Target: t, Result: "failed", Says: fmt.Sprintf("delivery failed after %s%s", phrase.Count(max(1, last.Attempts), "attempt"), with(why))}, true
}

func with(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// stopped returns why a function cannot be invoked, or "".
func (c *Case) stopped(function string) string {
	f := c.Functions[function]
	switch {
	case f.Reserved != nil && *f.Reserved == 0:
		return "its reserved concurrency is 0: Lambda throttles every invocation"
	case f.State == "Failed" || f.State == "Inactive":
		return "its state is " + f.State
	}
	return ""
}
