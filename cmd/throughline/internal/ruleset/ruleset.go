// Package ruleset holds events against the rules of EventBridge's custom buses (Classic),
// and against the subscribers of new custom buses, wherever they were read: in a template, or
// in an account.
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
	// Wrong says why no event can be held against the rule, "" where they can.
	Wrong string `json:"wrong,omitempty"`

	pattern *eventpattern.Pattern
}

// Target is what a rule sends to.
type Target struct {
	Kind string `json:"kind"` // function, queue, topic, bus, or the service of the ARN
	Name string `json:"name"`
	ARN  string `json:"arn,omitempty"` // of an account
	// Functions take from a queue or a topic.
	Functions  []string `json:"functions,omitempty"`
	DeadLetter string   `json:"dead_letter,omitempty"` // the queue's name
	// Refused says why EventBridge may not send there, "" where it may or where that is not known.
	Refused string `json:"refused,omitempty"`
	// Attempts and MaxAge are how often and for how long a delivery is tried again.
	Attempts int           `json:"-"`
	MaxAge   time.Duration `json:"-"`
}

const (
	attempts = 185            // by default
	maxAge   = 24 * time.Hour // by default
)

// OfTemplate are the rules with patterns among the routes of a template.
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

// OfSystem are the rules of the buses of a system that was read.
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

// New returns a rule without targets. What EventBridge would refuse of its pattern is its
// Wrong.
func New(name, bus, pattern string) Rule {
	r := Rule{Name: name, Bus: bus}
	p, err := eventpattern.Compile([]byte(pattern))
	if err != nil {
		r.Wrong = err.Error()
	}
	r.pattern = p
	return r
}

// kinds are what ARNs' services are called.
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

// Verdict is what became of an event at a rule. Of an event that matches, Misses are nil.
type Verdict struct {
	Rule   *Rule
	Misses []eventpattern.Miss
	// Unsure is a value of which the pattern is made and which the template does not tell:
	// the event may match.
	Unsure string
}

// Matches reports whether the event matches for sure, whether or not the rule is disabled.
func (v Verdict) Matches() bool { return v.Rule.Wrong == "" && v.Unsure == "" && len(v.Misses) == 0 }

// Judge holds an event against a rule. bus is the bus that it is known to be on, "" where
// that is not known; false is of a rule of another bus.
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

// JudgePart is Judge of an event of which the members with the given names alone are known.
// Where others decide, the verdict is unsure of them.
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
