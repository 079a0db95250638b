// Package faults says what goes wrong on purpose while an application is played: which
// deliveries, invocations and calls over HTTP, how often, and in what way.
package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/gateway"
)

// Kind is what goes wrong.
type Kind string

// The kinds. Those of deliveries are of what a bus sends to a target and a queue to a
// function, those of invocations of functions, however they are invoked.
const (
	Duplicate Kind = "duplicate"  // delivered once more
	Reorder   Kind = "reorder"    // delivered later than what came after it
	Delay     Kind = "delay"      // delivered later
	Fail      Kind = "fail"       // the first attempt at a delivery fails
	Refuse    Kind = "refuse"     // the target refuses it for good: it goes to the dead-letter queue
	Throttle  Kind = "throttle"   // PutEvents and invocations are refused: too many
	Freeze    Kind = "freeze"     // the environment stands still in the middle of an invocation
	Kill      Kind = "kill"       // the runtime is killed in the middle of an invocation
	Timeout   Kind = "timeout"    // the invocation does not end before its time-out
	Cold      Kind = "cold"       // each invocation starts an environment
	HTTP      Kind = "http"       // calls to a host are answered with a status
	HTTPDelay Kind = "http-delay" // calls to a host take longer
)

// Rule is one fault. The zero value does nothing.
type Rule struct {
	Kind     Kind
	Duration time.Duration // of delay, reorder, freeze and http-delay
	Status   int           // of http
	Share    float64       // of what it is about: 1 is all
	// Of is the function, queue, topic or rule that it is about, or the host; "" is every one.
	Of string
}

// defaults are the durations of kinds that have one.
var defaults = map[Kind]time.Duration{Delay: 2 * time.Second, Reorder: time.Second, Freeze: 2 * time.Second, HTTPDelay: 2 * time.Second}

// Kinds are all of them with what they do, in the order in which help shows them.
func Kinds() [][2]string {
	return [][2]string{
		{string(Duplicate), "deliver once more"}, {string(Reorder), "deliver later than what comes after, within =DURATION"}, {string(Delay), "deliver later, =DURATION"},
		{string(Fail), "let the first attempt at a delivery fail"}, {string(Refuse), "let a rule's target refuse for good"}, {string(Throttle), "refuse PutEvents and invocations"}, {string(Freeze), "let an environment stand still, =DURATION"},
		{string(Kill), "kill the runtime"}, {string(Timeout), "let an invocation take too long"}, {string(Cold), "start an environment for each invocation"},
		{string(HTTP), "answer calls to a host with =STATUS"}, {string(HTTPDelay), "let calls to a host take longer, =DURATION"},
	}
}

// Parse reads a rule: KIND[=VALUE][:SHARE%][@NAME]. The error says what is wrong and what
// to write.
func Parse(text string) (Rule, error) {
	rest, of, _ := strings.Cut(strings.TrimSpace(text), "@")
	rest, share, shared := strings.Cut(rest, ":")
	kind, value, valued := strings.Cut(rest, "=")
	r := Rule{Kind: Kind(kind), Share: 1, Of: of, Duration: defaults[Kind(kind)]}
	if !slices.ContainsFunc(Kinds(), func(k [2]string) bool { return k[0] == kind }) {
		var names []string
		for _, k := range Kinds() {
			names = append(names, k[0])
		}
		return r, fmt.Errorf("%q is no kind of fault: write one of %s", kind, strings.Join(names, ", "))
	}
	if shared {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		if err != nil || percent <= 0 || percent > 100 {
			return r, fmt.Errorf("%q: a share is above 0%% and at most 100%%, as in %s:10%%", text, kind)
		}
		r.Share = percent / 100
	}
	switch _, timed := defaults[r.Kind]; {
	case r.Kind == HTTP:
		status, err := strconv.Atoi(value)
		if err != nil || status < 400 || status > 599 {
			return r, fmt.Errorf("%q: write a status from 400 to 599, as in http=503@api.example.com", text)
		}
		r.Status = status
	case timed && valued:
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || d > time.Hour {
			return r, fmt.Errorf("%q: write a duration, as in %s=2s", text, kind)
		}
		r.Duration = d
	case valued:
		return r, fmt.Errorf("%q: %s takes no value", text, kind)
	}
	return r, nil
}

// String is the rule as Parse reads it.
func (r Rule) String() string {
	text := string(r.Kind)
	switch {
	case r.Status != 0:
		text += "=" + strconv.Itoa(r.Status)
	case r.Duration != 0:
		text += "=" + r.Duration.String()
	}
	if r.Share < 1 {
		text += ":" + strconv.FormatFloat(r.Share*100, 'f', -1, 64) + "%"
	}
	if r.Of != "" {
		text += "@" + r.Of
	}
	return text
}

// Set is the faults of an application. The zero value has none. Safe for concurrent use.
type Set struct {
	mu     sync.Mutex
	rules  []Rule
	past   []Rule         // every rule that there was
	done   map[string]int // by rule
	random *rand.Rand     // nil: the process's
}

// Seed has the set choose as another one with the same seed does, as far as what it is
// asked comes in the same order.
func (s *Set) Seed(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = rand.New(rand.NewPCG(seed, 17))
}

// Put replaces the rules. The counts of what was done stay.
func (s *Set) Put(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = slices.Clone(rules)
	for _, r := range rules {
		if !slices.Contains(s.past, r) {
			s.past = append(s.past, r)
		}
	}
}

// Past are the rules that there were so far, those of now included.
func (s *Set) Past() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.past)
}

// Done is a rule, and how often it struck.
type Done struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"`
}

// Rules are the rules in their order, with how often each struck.
func (s *Set) Rules() []Done {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Done{}
	for _, r := range s.rules {
		list = append(list, Done{r.String(), s.done[r.String()]})
	}
	return list
}

// strikes is the rule of one of the kinds that strikes one of the names; ok is false where
// none does.
func (s *Set) strikes(kinds []Kind, names ...string) (r Rule, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		of := r.Of == "" || slices.ContainsFunc(names, func(name string) bool { return name == r.Of || gateway.Matches(name, []string{r.Of}) })
		if of && slices.Contains(kinds, r.Kind) && s.floatLocked() < r.Share {
			if s.done == nil {
				s.done = map[string]int{}
			}
			s.done[r.String()]++
			return r, true
		}
	}
	return Rule{}, false
}

func (s *Set) floatLocked() float64 {
	if s.random == nil {
		return rand.Float64()
	}
	return s.random.Float64()
}

// Delivery is what happens to one delivery.
type Delivery struct {
	Duplicate bool
	Delay     time.Duration
	Fail      bool
	Refuse    bool
}

// Delivery asks what happens to a delivery to a target by a rule.
func (s *Set) Delivery(names ...string) (d Delivery) {
	_, d.Duplicate = s.strikes([]Kind{Duplicate}, names...)
	_, d.Fail = s.strikes([]Kind{Fail}, names...)
	_, d.Refuse = s.strikes([]Kind{Refuse}, names...)
	if r, ok := s.strikes([]Kind{Delay}, names...); ok {
		d.Delay = r.Duration
	}
	if r, ok := s.strikes([]Kind{Reorder}, names...); ok {
		s.mu.Lock()
		d.Delay += time.Duration(s.floatLocked() * float64(r.Duration))
		s.mu.Unlock()
	}
	return d
}

// Invocation asks what happens to an invocation of a function: Freeze, Kill or Timeout, or
// nothing. duration is of Freeze.
func (s *Set) Invocation(function string) (kind Kind, duration time.Duration) {
	r, ok := s.strikes([]Kind{Freeze, Kill, Timeout}, function)
	if !ok {
		return "", 0
	}
	return r.Kind, r.Duration
}

// Cold asks whether a function's environment ends with its invocation.
func (s *Set) Cold(function string) bool {
	_, ok := s.strikes([]Kind{Cold}, function)
	return ok
}

// Throttled asks whether a call of the name is refused.
func (s *Set) Throttled(name string) bool {
	_, ok := s.strikes([]Kind{Throttle}, name)
	return ok
}

// Call asks what happens to a call over HTTP.
func (s *Set) Call(host string) (f gateway.Fault) {
	if r, ok := s.strikes([]Kind{HTTPDelay}, host); ok {
		f.Delay = r.Duration
	}
	if r, ok := s.strikes([]Kind{HTTP}, host); ok {
		f.Status = r.Status
	}
	return f
}
