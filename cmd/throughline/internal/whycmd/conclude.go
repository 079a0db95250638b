package whycmd

import (
	"fmt"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
)

// conclude derives the reasons from the result at each target.
func (a *Answer) conclude(c *Case) {
	received := c.Trail != nil && len(c.Trail.Handlings) > 0
	handled := received && slices.ContainsFunc(c.Trail.Handlings, func(h Handling) bool { return !h.Failed })
	enabled, open := 0, false
	for _, m := range a.Rules {
		switch {
		case m.Unsure != "":
			open = true
		case m.Disabled:
		default:
			enabled++
			handled = a.weigh(c, m) || handled
		}
	}
	a.failed(c)
	if len(c.Rules) > 0 && enabled == 0 && !received && !handled {
		a.unmatched(open)
	}
	a.logged(c)
	a.Handled = handled && len(a.Reasons) == 0
	if !a.Handled && len(a.Reasons) == 0 {
		a.unseen(c)
	}
}

// failed adds the functions that failed and that no reason names yet: those that are not
// known to be targets of a rule that matches.
func (a *Answer) failed(c *Case) {
	if c.Trail == nil {
		return
	}
	named := map[string]bool{}
	at := map[string]Outcome{} // the outcome at the target through which the function received it
	for _, m := range a.Rules {
		for _, o := range m.Targets {
			if o.function != "" {
				named[o.function] = named[o.function] || m.Unsure == "" && !m.Disabled
				at[o.function] = o
			}
		}
	}
	for _, h := range c.Trail.Handlings {
		if named[h.Function] {
			continue
		}
		named[h.Function] = true
		o, known := c.bySpans(ruleset.Target{}, []string{h.Function})
		if !known || o.Result != "failed" {
			continue
		}
		next := ""
		if target, ok := at[h.Function]; ok {
			next = c.deadLetters(target)
		}
		a.because("function "+o.Says, next)
	}
}

// permits are the commands that allow EventBridge to send to a target of a kind.
var permits = map[string]string{"function": "aws lambda add-permission", "queue": "aws sqs set-queue-attributes", "topic": "aws sns set-topic-attributes"}

// weigh adds the reasons for a rule that matches the event, and reports whether one of
// its targets handled it.
func (a *Answer) weigh(c *Case, m Matched) bool {
	handled := false
	if len(m.Targets) == 0 {
		a.because(fmt.Sprintf("rule %s matches it but has no target", m.Rule), "give the rule a target")
	}
	for _, o := range m.Targets {
		target := o.Target.Kind + " " + o.Target.Name
		next := ""
		switch o.Result {
		case "handled", "delivered":
			handled = true
			continue
		case "refused":
			next = "allow events.amazonaws.com to send to it, with the rule's ARN as aws:SourceArn"
			if does := permits[o.Target.Kind]; does != "" {
				next += " (`" + does + "`)"
			}
		case "throttled":
			next = "raise the concurrency, or the quota; EventBridge retries it for " + phrase.Duration(o.Target.MaxAge)
		case "dead-letter", "failed":
			next = c.deadLetters(o)
		case "":
			continue
		}
		if o.Result == "refused" {
			if lost := c.lost(o); lost != "" {
				o.Says += "; " + lost
			}
		}
		a.because(fmt.Sprintf("rule %s, %s: %s", m.Rule, target, o.Says), next)
	}
	return handled
}

// lost describes what EventBridge does with an event that it cannot deliver to a target.
func (c *Case) lost(o Outcome) string {
	if o.Target.DeadLetter == "" {
		return "the target has no dead-letter queue: the event is dropped"
	}
	return "it goes to the dead-letter queue " + o.Target.DeadLetter
}

// deadLetters describes where to look for the event. An event that a function failed to
// handle is not in the rule's dead-letter queue: Lambda sends it to the function's own,
// if it has one.
func (c *Case) deadLetters(o Outcome) string {
	queue := o.Target.DeadLetter
	switch {
	case o.function != "" && o.Target.Kind == "queue":
		return "the queue " + o.Target.Name + " delivers it again, until its redrive policy moves it to the queue's own dead-letter queue, if there is one"
	case o.function != "":
		f, known := c.Functions[o.function]
		if !known {
			return "the function's own dead-letter queue or failure destination has it, if there is one: --bus reads which"
		}
		if queue = f.DeadLetter; queue == "" {
			queue = f.Destination
		}
	}
	if queue == "" {
		return ""
	}
	if n, known := c.Queues[queue]; known {
		return fmt.Sprintf("the queue %s has %s: throughline dlq %s", queue, phrase.Count(n, "message"), queue)
	}
	return "throughline dlq " + queue
}

// unmatched adds the reason that no enabled rule matches the event, and the next step.
func (a *Answer) unmatched(open bool) {
	for _, m := range a.Rules {
		if m.Disabled && m.Unsure == "" {
			a.because(fmt.Sprintf("rule %s matches it but is disabled", m.Rule), "aws events enable-rule --name "+m.Rule+" --event-bus-name "+m.Bus)
		}
	}
	if open {
		for _, m := range a.Rules {
			if m.Unsure != "" {
				a.Notes = append(a.Notes, fmt.Sprintf("whether rule %s matches it depends on %s, which is not known", m.Rule, m.Unsure))
			}
		}
		return
	}
	if len(a.Reasons) > 0 {
		return
	}
	text := "no rule in " + a.where + " matches it"
	if a.Event.Bus != "" {
		text += ", on bus " + a.Event.Bus
	}
	next := ""
	for _, n := range a.Closest {
		if len(n.Misses) > 0 && n.Wrong == "" {
			next = "the nearest is rule " + n.Rule + ": change the rule or the event in " + n.Misses[0].Path
			break
		}
	}
	a.because(text, next)
}

// logged adds the reasons in the log of the bus.
func (a *Answer) logged(c *Case) {
	for _, s := range c.Steps {
		switch s.Type {
		case "NO_STANDARD_RULES_MATCHED":
			if len(a.Reasons) == 0 || len(c.Rules) == 0 {
				a.because("the log of bus "+s.Bus+" says that no rule matched it", "")
			}
		case "EVENT_INGEST_FAILURE":
			a.because("the log of bus "+s.Bus+" says that it was refused"+with(s.Error), "")
		case "INVOCATION_FAILURE", "INVOCATION_DLQ":
			if len(c.Rules) == 0 {
				a.because(fmt.Sprintf("the log says that %[2]s, the target of rule %[1]s, did not accept it%[3]s", s.Rule, s.Target, with(s.Error)), "")
			}
		}
	}
}

// unseen adds the next step if nothing prevents the event from being handled and no
// handling is known.
func (a *Answer) unseen(c *Case) {
	if len(c.Rules) == 0 {
		a.Notes = append(a.Notes, "why has no rules to compare the event with: name them with --template or --bus")
		return
	}
	if c.Trail == nil {
		a.Notes = append(a.Notes, "whether a function handled it is not known: name its spans with --file, --dev, --jaeger, --xray or --transaction-search")
		return
	}
	a.Notes = append(a.Notes, "nothing that was checked prevents it, and no handling of it is known: check that the function exports spans, or read the account (--bus) and the log of the bus (--logs)")
}
