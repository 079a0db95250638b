// Package ruleset compares events with the rules of EventBridge's custom buses (Classic)
// and with the subscribers of new custom buses, from a template or from an account.
package ruleset

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/resourcepolicy"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/local/eventpattern"
)

// Rule is a rule with an event pattern. Use [OfTemplate], [OfSystem] and [New].
type Rule struct {
	Name     string   `json:"rule"`
	Bus      string   `json:"bus"`
	Disabled bool     `json:"disabled,omitempty"`
	Targets  []Target `json:"targets"`
	// Wrong says why the rule cannot be evaluated, or is "".
	Wrong string `json:"wrong,omitempty"`

	pattern *eventpattern.Pattern
}

// Target is a target of a rule.
type Target struct {
	Kind string `json:"kind"` // function, queue, topic, bus, or the service of the ARN
	Name string `json:"name"`
	ARN  string `json:"arn,omitempty"` // set for an account
	// Functions are the consumers of a queue or a topic.
	Functions  []string `json:"functions,omitempty"`
	DeadLetter string   `json:"dead_letter,omitempty"` // the queue's name
	// Refused says why EventBridge cannot send to the target. It is "" if it can, or if
	// that is not known.
	Refused string `json:"refused,omitempty"`
	// Attempts and MaxAge limit the retries of a delivery.
	Attempts int           `json:"-"`
	MaxAge   time.Duration `json:"-"`
}

const (
	attempts = 185            // EventBridge's default
	maxAge   = 24 * time.Hour // EventBridge's default
)

// OfTemplate returns the rules with patterns among the routes of a template.
func OfTemplate(routes []template.Route) []Rule {
	var rules []Rule
	for _, route := range routes {
		if route.Pattern == nil {
			continue
		}
		r := New(route.Rule, route.Bus, string(route.Pattern))
		r.Disabled = route.Disabled
		if route.Beyond != "" && r.Wrong == "" {
			r.Wrong = "it depends on " + route.Beyond
		}
		for _, t := range route.Targets {
			r.Targets = append(r.Targets, Target{Kind: t.Kind, Name: t.Name, Functions: t.Functions, DeadLetter: t.DeadLetter, Refused: t.Refused, Attempts: attempts, MaxAge: maxAge})
		}
		rules = append(rules, r)
	}
	return rules
}

// OfSystem returns the rules of the buses of a system that was read.
func OfSystem(s *system.System) []Rule {
	var rules []Rule
	for _, b := range s.Buses {
		for _, of := range b.Rules {
			r := New(of.Name, b.Name, of.Pattern)
			r.Disabled = of.Disabled
			if of.Beyond != "" && r.Wrong == "" {
				r.Wrong = "it depends on " + of.Beyond
			}
			for _, t := range of.Targets {
				r.Targets = append(r.Targets, target(s, of, t))
			}
			rules = append(rules, r)
		}
	}
	return rules
}

// New returns a rule without targets. If EventBridge would refuse its pattern, Wrong says
// why.
func New(name, bus, pattern string) Rule {
	r := Rule{Name: name, Bus: bus}
	p, err := eventpattern.Compile([]byte(pattern))
	if err != nil {
		r.Wrong = err.Error()
	}
	r.pattern = p
	return r
}

// kinds are the kinds of targets by the service in their ARN.
var kinds = map[string]string{"lambda": "function", "sqs": "queue", "sns": "topic", "events": "bus"}

func target(s *system.System, r system.Rule, t system.Target) Target {
	known := Target{Kind: arn.Service(t.ARN), Name: arn.Name(t.ARN), ARN: t.ARN, DeadLetter: arn.Name(t.DeadLetter), Attempts: attempts, MaxAge: maxAge}
	if strings.Contains(t.ARN, ":event-busv2/") {
		known.Name = arn.Named(t.ARN)
	}
	if kind := kinds[known.Kind]; kind != "" {
		known.Kind = kind
	}
	if known.Kind == "function" {
		known.Name = arn.Function(t.ARN)
	}
	if t.Attempts != nil {
		known.Attempts = int(*t.Attempts)
	}
	if t.MaxAge > 0 {
		known.MaxAge = t.MaxAge
	}
	_, policy, action, guarded := s.Guarding(t.ARN)
	switch {
	case slices.Contains(s.Missing, t.ARN):
		known.Refused = "the function does not exist"
	case s.Queue(t.ARN) != nil && !s.Queue(t.ARN).Exists:
		known.Refused = "the queue does not exist"
	case guarded && t.Role == "" && s.Unread[system.Policies] == "":
		known.Refused = resourcepolicy.Allows(policy, action, t.ARN, r.ARN)
	}
	return known
}

// Verdict is the result of comparing an event with a rule. If the event matches, Misses
// is nil.
type Verdict struct {
	Rule   *Rule
	Misses []eventpattern.Miss
	// Unsure is a value in the pattern that the template does not have: the event may
	// match.
	Unsure string
}

// Matches reports whether the event certainly matches, even if the rule is disabled.
func (v Verdict) Matches() bool { return v.Rule.Wrong == "" && v.Unsure == "" && len(v.Misses) == 0 }

// Judge compares an event with a rule. bus is the event's bus, or "" if unknown. It
// returns false for a rule of another bus.
func (r *Rule) Judge(e eventpattern.Event, bus string) (Verdict, bool) {
	if bus != "" && bus != r.Bus {
		return Verdict{}, false
	}
	v := Verdict{Rule: r}
	if r.Wrong != "" || r.pattern.Matches(e) {
		return v, true
	}
	v.Misses = r.pattern.Explain(e)
	for _, m := range v.Misses {
		_, rest, found := strings.Cut(m.Wants, "${")
		if !found {
			v.Unsure = ""
			break
		}
		name, _, _ := strings.Cut(rest, "}")
		v.Unsure = name
	}
	return v, true
}

// JudgePart is Judge for an event of which only the members with the given names are
// known. If the result depends on others, the verdict is unsure.
func (r *Rule) JudgePart(e eventpattern.Event, bus string, known []string) (Verdict, bool) {
	v, ok := r.Judge(e, bus)
	if !ok || r.Wrong != "" {
		return v, ok
	}
	isKnown := func(path string) bool {
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		return slices.Contains(known, path[:end])
	}
	var certain []eventpattern.Miss
	for _, m := range v.Misses {
		if isKnown(m.Path) {
			certain = append(certain, m)
		}
	}
	if v.Misses = certain; len(certain) > 0 {
		return v, true
	}
	unknown := slices.DeleteFunc(r.pattern.Members(), isKnown)
	v.Unsure = strings.Join(unknown, ", ")
	return v, true
}
