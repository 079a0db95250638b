package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/resourcepolicy"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

func buses(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Buses); no {
		return r
	}
	if len(s.Buses) == 0 {
		return skip("name it with --bus", "no bus is known")
	}
	var f findings
	var good []string
	for _, b := range s.Buses {
		said := namedBy(s, b.Name)
		if !b.Exists {
			nearest := ""
			if len(b.Others) > 0 {
				nearest = "; there is " + phrase.Some(b.Others)
			}
			lost := "EventBridge accepts its events and drops them"
			if b.New != nil {
				lost = "calls that publish there fail"
			}
			f.fail("there is no bus %s%s: %s%s", b.Name, said, lost, nearest)
			continue
		}
		if b.New != nil {
			good, f = newBus(b, said, s, good, f)
			continue
		}
		if len(b.Rules) == 0 && s.Unread[system.Rules] == "" {
			f.warn("bus %s has no rules: its events are not delivered", b.Name)
			continue
		}
		if published, _ := sum(s, metrics.EventsPublished); published > 0 && s.Observed.Matched != nil && s.Observed.Matched[b.Name] == 0 {
			f.warn("functions published %.0f events, and none matched a rule of bus %s", published, b.Name)
			continue
		}
		good = append(good, fmt.Sprintf("%s%s, with %s", b.Name, said, phrase.Count(len(b.Rules), "rule")))
	}
	return f.or(pass("%s", phrase.Some(good)), "correct the name where it is set, or create the bus")
}

// namedBy returns which variables of which functions name a bus: ", named by the variable
// BUS of checkout and fulfil", or "" if none does.
func namedBy(s *system.System, bus string) string {
	by := map[string][]string{}
	for _, fn := range s.Functions {
		for name, value := range fn.Environment {
			if named, ok := system.NamesBus(name, value); ok && named == bus {
				by[name] = append(by[name], fn.Name)
			}
		}
	}
	said := ""
	for _, name := range slices.Sorted(maps.Keys(by)) {
		said += ", named by the variable " + name + " of " + phrase.And(by[name])
	}
	return said
}

// resources finds rules that match differently because of the stamp's lines in Resources.
func resources(s *system.System, _ Limits) Result {
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
	good := pass("%s, none matches on resources", phrase.Count(rules, "rule"))
	if looking > 0 {
		good.Evidence = fmt.Sprintf("%s, %d of them on resources: none matches differently when lines are added", phrase.Count(rules, "rule"), looking)
	}
	r := f.or(good, "let the rule match on detail-type or source, or set THROUGHLINE_STAMP=detail where its events are published")
	if mode := unstamped(s); r.Status == Fail && mode != "" {
		r.Status, r.Next = Warn, "leave THROUGHLINE_STAMP as it is"
		r.Evidence += "; not at present, because all functions have THROUGHLINE_STAMP=" + mode
	}
	return r
}

// unstamped returns the setting with which no function writes lines into Resources, or ""
// if one does.
func unstamped(s *system.System) (mode string) {
	for _, fn := range s.Functions {
		switch set := fn.Environment["THROUGHLINE_STAMP"]; set {
		case "off", "detail":
			mode = cmp.Or(mode, set)
		default:
			return ""
		}
	}
	return mode
}

func targets(s *system.System, _ Limits) Result {
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
				f.warn("rule %s of bus %s has no target: matching events are not delivered", r.Name, b.Name)
			}
			for _, t := range r.Targets {
				count++
				if b.New != nil {
					f.subscriber(r, t)
				}
				queue := s.Queue(t.DeadLetter)
				switch {
				case t.DeadLetter == "" && b.New != nil:
					f.fail("subscriber %s: no OnFailureConfiguration; events that are not delivered after all retries are dropped", r.Name)
				case t.DeadLetter == "":
					f.fail("rule %s, target %s: no dead-letter queue; events that are not delivered after all retries are lost", r.Name, arn.Name(t.ARN))
				case strings.HasSuffix(t.DeadLetter, ".fifo"):
					f.fail("rule %s, target %s: %s is a FIFO queue, and EventBridge needs a standard queue", r.Name, arn.Name(t.ARN), arn.Name(t.DeadLetter))
				case queue != nil && !queue.Exists:
					f.fail("rule %s, target %s: its dead-letter queue %s does not exist", r.Name, arn.Name(t.ARN), arn.Name(t.DeadLetter))
				case queue != nil && queue.Messages > 0 && !slices.ContainsFunc(f.doubtful, func(d string) bool { return strings.HasPrefix(d, arn.Name(t.DeadLetter)+" ") }):
					f.warn("%s has %s: look at what failed with throughline dlq", arn.Name(t.DeadLetter), phrase.Count(queue.Messages, "message"))
				}
			}
		}
	}
	if count == 0 && len(f.doubtful) == 0 {
		return skip("name the bus with --bus", "no rule with a target is known")
	}
	return f.or(pass("%s, each with a queue: %s", phrase.Count(count, "target"), phrase.Some(arn.Names(s.DeadLetterQueues()))),
		"give each target a DeadLetterConfig, and each subscriber an OnFailureConfiguration, with the ARN of a standard queue")
}

// permissions checks what a template says, in which there can be policies of another
// stack.
func permissions(p *system.Permissions) Result {
	if p == nil || p.Targets == 0 {
		return skip("", "the local bus does not check permissions")
	}
	f := findings{bad: p.Refused}
	return f.or(pass("the template lets rules send to %s", phrase.Count(p.Targets, "target")),
		"add an AWS::SQS::QueuePolicy, an AWS::SNS::TopicPolicy or an AWS::Lambda::Permission for events.amazonaws.com, with the rule's ARN as aws:SourceArn: the local bus does not check permissions")
}

// policies checks that the policies of targets and dead-letter queues allow the rules to
// send.
func policies(s *system.System, _ Limits) Result {
	if s.Local {
		return permissions(s.Permissions)
	}
	if r, no := unread(s, system.Buses, system.Rules, system.Policies); no {
		return r
	}
	var f findings
	judged := 0
	var other []string
	for _, b := range s.Buses {
		if b.New != nil {
			continue // its subscribers send by roles
		}
		for _, r := range b.Rules {
			for _, t := range r.Targets {
				for _, resource := range []string{t.ARN, t.DeadLetter} {
					if resource == "" {
						continue
					}
					what, policy, action, known := s.Guarding(resource)
					switch {
					case slices.Contains(s.Missing, resource):
						f.fail("rule %s sends to the function %s, which does not exist", r.Name, arn.Function(resource))
					case !known && t.Role == "":
						other = append(other, arn.Name(resource))
					case !known:
					default:
						judged++
						if why := resourcepolicy.Allows(policy, action, resource, r.ARN); why != "" {
							f.fail("rule %s cannot send to %s %s: %s", r.Name, what, arn.Name(resource), why)
						}
					}
				}
			}
		}
	}
	for _, o := range slices.Compact(other) {
		f.warn("whether rules can send to %s was not checked", o)
	}
	if judged == 0 && len(f.doubtful) == 0 {
		return skip("name the bus with --bus", "no target with a resource policy is known")
	}
	return f.or(pass("%s, each allows its rule to send", phrase.Count(judged, "policy")), "add a statement for events.amazonaws.com with the rule's ARN as aws:SourceArn (`aws lambda add-permission`, `aws sqs set-queue-attributes`)")
}
