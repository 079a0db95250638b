package checkcmd

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

// last is the name at the end of an ARN.
func last(arn string) string {
	if i := strings.LastIndexAny(arn, ":/"); i >= 0 {
		return arn[i+1:]
	}
	return arn
}

// namesBus tells the variables of a function that name a bus.
var namesBus = regexp.MustCompile(`(?i)(event_?bus|(^|_)bus(_|$))`)

func buses(s *system.System, _ limits) Result {
	if r, no := unread(s, system.Buses); no {
		return r
	}
	if len(s.Buses) == 0 {
		return skip("name it with --bus", "no bus is known")
	}
	var f findings
	var good []string
	for _, b := range s.Buses {
		by := namedBy(s, b.Name)
		said := ""
		if len(by) > 0 {
			said = ", which " + some(by) + " name"
			if len(by) == 1 {
				said += "s"
			}
		}
		if !b.Exists {
			nearest := ""
			if len(b.Others) > 0 {
				nearest = "; there is " + some(b.Others)
			}
			f.fail("there is no bus %s%s: EventBridge takes its events and drops them%s", b.Name, said, nearest)
			continue
		}
		if len(b.Rules) == 0 && s.Unread[system.Rules] == "" {
			f.warn("bus %s has no rules: its events go nowhere", b.Name)
			continue
		}
		if published, _ := sum(s, metrics.EventsPublished); published > 0 && s.Observed.Matched != nil && s.Observed.Matched[b.Name] == 0 {
			f.warn("functions published %.0f events, and none matched a rule of bus %s", published, b.Name)
			continue
		}
		good = append(good, fmt.Sprintf("%s%s, with %s", b.Name, said, plural(len(b.Rules), "rule")))
	}
	return f.or(pass("%s", some(good)), "correct the name where it is set, or make the bus")
}

func namedBy(s *system.System, bus string) []string {
	var by []string
	for _, fn := range s.Functions {
		for _, name := range slices.Sorted(maps.Keys(fn.Environment)) {
			if namesBus.MatchString(name) && last(fn.Environment[name]) == bus {
				by = append(by, fn.Name+"'s "+name)
			}
		}
	}
	return by
}

// resources finds rules that the stamp's lines in Resources make match otherwise.
func resources(s *system.System, _ limits) Result {
	if r, no := unread(s, system.Buses, system.Rules); no {
		return r
	}
	var f findings
	rules, looking := 0, 0
	for _, b := range s.Buses {
		for _, r := range b.Rules {
			rules++
			found, err := stampChanges(r.Pattern)
			if err != nil {
				f.warn("rule %s: %v", r.Name, err)
				continue
			}
			if strings.Contains(r.Pattern, `"resources"`) {
				looking++
			}
			for _, c := range found {
				if c.certain {
					f.fail("rule %s: %s", r.Name, c.why)
				} else {
					f.warn("rule %s: %s", r.Name, c.why)
				}
			}
		}
	}
	if rules == 0 {
		return skip("name the bus with --bus", "no rules are known")
	}
	good := pass("%s, none looks at resources", plural(rules, "rule"))
	if looking > 0 {
		good.Evidence = fmt.Sprintf("%s, %d of them on resources: none matches otherwise once lines are added", plural(rules, "rule"), looking)
	}
	r := f.or(good, "let the rule look at detail-type or source, or set THROUGHLINE_STAMP=detail where its events are published")
	if stamped, off := stamping(s); r.Status == Fail && len(off) > 0 && len(stamped) == 0 {
		r.Status, r.Next = Warn, "leave THROUGHLINE_STAMP as it is"
		r.Evidence += "; not now, for all functions have THROUGHLINE_STAMP=" + off[0]
	}
	return r
}

// stamping tells the functions that write lines into Resources from the
// settings of those that do not.
func stamping(s *system.System) (stamped, off []string) {
	for _, fn := range s.Functions {
		switch mode := fn.Environment["THROUGHLINE_STAMP"]; mode {
		case "off", "detail":
			off = append(off, mode)
		default:
			stamped = append(stamped, fn.Name)
		}
	}
	return stamped, off
}

func targets(s *system.System, _ limits) Result {
	if r, no := unread(s, system.Buses, system.Rules); no {
		return r
	}
	var f findings
	count := 0
	for _, b := range s.Buses {
		for _, r := range b.Rules {
			if r.Disabled {
				continue
			}
			if len(r.Targets) == 0 {
				f.warn("rule %s of bus %s has no target: what it matches goes nowhere", r.Name, b.Name)
			}
			for _, t := range r.Targets {
				count++
				queue := s.Queue(t.DeadLetter)
				switch {
				case t.DeadLetter == "":
					f.fail("rule %s, target %s: no dead-letter queue; what cannot be delivered in its retries is lost", r.Name, last(t.ARN))
				case strings.HasSuffix(t.DeadLetter, ".fifo"):
					f.fail("rule %s, target %s: %s is a FIFO queue, and EventBridge sends to standard ones", r.Name, last(t.ARN), last(t.DeadLetter))
				case queue != nil && !queue.Exists:
					f.fail("rule %s, target %s: its dead-letter queue %s does not exist", r.Name, last(t.ARN), last(t.DeadLetter))
				case queue != nil && queue.Messages > 0 && !slices.ContainsFunc(f.doubtful, func(d string) bool { return strings.HasPrefix(d, last(t.DeadLetter)+" ") }):
					f.warn("%s holds %s: somebody has to look at what failed", last(t.DeadLetter), plural(queue.Messages, "message"))
				}
			}
		}
	}
	if count == 0 && len(f.doubtful) == 0 {
		return skip("name the bus with --bus", "no rule with a target is known")
	}
	return f.or(pass("%s, each with a queue: %s", plural(count, "target"), some(lasts(deadLetterQueues(s)))),
		"give each target a DeadLetterConfig with the ARN of a standard queue")
}

// deadLetterQueues are the distinct queues of rules' targets.
func deadLetterQueues(s *system.System) []string {
	var list []string
	for _, b := range s.Buses {
		for _, r := range b.Rules {
			for _, t := range r.Targets {
				if t.DeadLetter != "" && !slices.Contains(list, t.DeadLetter) {
					list = append(list, t.DeadLetter)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

func lasts(arns []string) []string {
	list := make([]string, len(arns))
	for i, a := range arns {
		list[i] = last(a)
	}
	return list
}

// policies: what a rule sends to, and its dead-letter queue, let it send.
func policies(s *system.System, _ limits) Result {
	if s.Local {
		return skip("", "the local bus asks for no permissions")
	}
	if r, no := unread(s, system.Buses, system.Rules, system.Policies); no {
		return r
	}
	var f findings
	judged := 0
	var other []string
	for _, b := range s.Buses {
		for _, r := range b.Rules {
			for _, t := range r.Targets {
				for _, arn := range []string{t.ARN, t.DeadLetter} {
					if arn == "" {
						continue
					}
					what, policy, action, known := guarding(s, arn)
					switch {
					case slices.Contains(s.Missing, arn):
						f.fail("rule %s sends to the function %s, which does not exist", r.Name, functionName(arn))
					case !known && t.Role == "":
						other = append(other, last(arn))
					case !known:
					default:
						judged++
						if why := allows(policy, action, arn, r.ARN); why != "" {
							f.fail("rule %s may not send to %s %s: %s", r.Name, what, last(arn), why)
						}
					}
				}
			}
		}
	}
	for _, o := range slices.Compact(other) {
		f.warn("whether rules may send to %s was not looked at", o)
	}
	if judged == 0 && len(f.doubtful) == 0 {
		return skip("name the bus with --bus", "no target with a resource policy is known")
	}
	return f.or(pass("%s, each lets its rule send", plural(judged, "policy")), "add a statement for events.amazonaws.com with the rule's ARN as aws:SourceArn (`aws lambda add-permission`, `aws sqs set-queue-attributes`)")
}

// guarding is the policy that guards an ARN, where its kind has one.
func guarding(s *system.System, arn string) (what, policy, action string, known bool) {
	service := ""
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		service = parts[2]
	}
	switch service {
	case "lambda":
		for _, fn := range s.Functions {
			if fn.ARN == arn || fn.ARN != "" && strings.HasPrefix(arn, fn.ARN+":") {
				return "function", fn.Policy, "lambda:InvokeFunction", true
			}
		}
	case "sqs":
		if q := s.Queue(arn); q != nil && q.Exists {
			return "queue", q.Policy, "sqs:SendMessage", true
		}
	case "sns":
		for _, t := range s.Topics {
			if t.ARN == arn {
				return "topic", t.Policy, "sns:Publish", true
			}
		}
	}
	return "", "", "", false
}
