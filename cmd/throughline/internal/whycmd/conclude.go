package whycmd

import (
	"fmt"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

// conclude turns what became of the event at each target into reasons.
func (a *Answer) conclude(c *Case) {
	handled := c.Trail != nil && slices.ContainsFunc(c.Trail.Handlings, func(h Handling) bool { return !h.Failed })
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
	if len(c.Rules) > 0 && enabled == 0 && !handled {
		a.untaken(open)
	}
	if len(c.Rules) == 0 && !handled && len(a.Reasons) == 0 {
		a.unruled(c)
	}
	a.logged(c)
	a.Handled = handled && len(a.Reasons) == 0
	if !a.Handled && len(a.Reasons) == 0 {
		a.unseen(c)
	}
}

// permits are the commands that let EventBridge send to a target of a kind.
var permits = map[string]string{"function": "aws lambda add-permission", "queue": "aws sqs set-queue-attributes", "topic": "aws sns set-topic-attributes"}

// weigh adds the reasons of a rule that takes the event, and reports whether one of its
// targets has it.
func (a *Answer) weigh(c *Case, m Matched) bool {
	handled := false
	if len(m.Targets) == 0 {
		a.because(fmt.Sprintf("rule %s takes it and has no target", m.Rule), "give the rule a target")
	}
	for _, o := range m.Targets {
		target := o.Target.Kind + " " + o.Target.Name
		next := ""
		switch o.Result {
		case "handled", "delivered":
			handled = true
			continue
		case "refused":
			next = "let events.amazonaws.com send to it, with the rule's ARN as aws:SourceArn"
			if does := permits[o.Target.Kind]; does != "" {
				next += " (`" + does + "`)"
			}
		case "throttled":
			next = "raise the concurrency, or the quota; EventBridge tries again for " + phrase.Duration(o.Target.MaxAge)
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

// lost says what EventBridge does with what it cannot deliver to a target.
func (c *Case) lost(o Outcome) string {
	if o.Target.DeadLetter == "" {
		return "the target has no dead-letter queue: the event is dropped"
	}
	return "it goes to the dead-letter queue " + o.Target.DeadLetter
}

// deadLetters says where to look for the event. What a function failed never comes to the
// dead-letter queue of a rule: Lambda keeps it, where it was told to.
func (c *Case) deadLetters(o Outcome) string {
	queue := o.Target.DeadLetter
	if o.function != "" {
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
		return fmt.Sprintf("the queue %s holds %s: throughline dlq %s", queue, phrase.Count(n, "message"), queue)
	}
	return "throughline dlq " + queue
}

// untaken says that no enabled rule takes the event, and how to mend that.
func (a *Answer) untaken(open bool) {
	for _, m := range a.Rules {
		if m.Disabled && m.Unsure == "" {
			a.because(fmt.Sprintf("rule %s takes it and is disabled", m.Rule), "aws events enable-rule --name "+m.Rule+" --event-bus-name "+m.Bus)
		}
	}
	if open {
		for _, m := range a.Rules {
			if m.Unsure != "" {
				a.Notes = append(a.Notes, fmt.Sprintf("whether rule %s takes it depends on %s, which is not known", m.Rule, m.Unsure))
			}
		}
		return
	}
	if len(a.Reasons) > 0 {
		return
	}
	text := "no rule in " + a.where + " takes it"
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

// unruled is for an event of which spans alone are known.
func (a *Answer) unruled(c *Case) {
	if c.Trail == nil {
		return
	}
	for _, h := range c.Trail.Handlings {
		a.because(fmt.Sprintf("function %s failed it: %s", h.Function, h.Error), "")
	}
}

// logged adds what the log of the bus says by itself.
func (a *Answer) logged(c *Case) {
	for _, s := range c.Steps {
		switch s.Type {
		case "NO_STANDARD_RULES_MATCHED":
			if len(a.Reasons) == 0 || len(c.Rules) == 0 {
				a.because("the log of bus "+s.Bus+" says that no rule matched it", "")
			}
		case "EVENT_INGEST_FAILURE":
			a.because("the log of bus "+s.Bus+" says that it was not taken"+with(s.Error), "")
		case "INVOCATION_FAILURE", "INVOCATION_DLQ":
			if len(c.Rules) == 0 {
				a.because(fmt.Sprintf("the log says of rule %s that %s did not take it%s", s.Rule, s.Target, with(s.Error)), "")
			}
		}
	}
}

// unseen says what is to be asked next where nothing is against the event and nobody is
// known to have handled it.
func (a *Answer) unseen(c *Case) {
	if len(c.Rules) == 0 {
		a.Notes = append(a.Notes, "nobody is known to have handled it: name the rules with --template or --bus")
		return
	}
	if c.Trail == nil {
		a.Notes = append(a.Notes, "whether a function handled it is not known: name its spans with --file, --dev, --jaeger, --xray or --transaction-search")
		return
	}
	a.Notes = append(a.Notes, "nothing that was looked at stands against it, and no function is known to have handled it: does the function report spans? Ask the account (--bus) and the log of the bus (--logs)")
}
