// Package faults selects the faults to inject while an application runs: which
// deliveries, invocations and HTTP calls fail, how often, and how.
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

// Kind is the kind of a fault.
type Kind string

// The kinds. Faults of deliveries apply to what a bus sends to a target and a queue to a
// function. Faults of invocations apply to functions, however they are invoked.
const (
	Duplicate Kind = "duplicate"  // a delivery is repeated
	Reorder   Kind = "reorder"    // a delivery arrives after a later one
	Delay     Kind = "delay"      // a delivery arrives late
	Fail      Kind = "fail"       // the first attempt at a delivery fails
	Refuse    Kind = "refuse"     // the target refuses every attempt, and the event goes to the dead-letter queue
	Throttle  Kind = "throttle"   // PutEvents and invocations are throttled
	Freeze    Kind = "freeze"     // the environment is frozen during an invocation
	Kill      Kind = "kill"       // the runtime is killed during an invocation
	Timeout   Kind = "timeout"    // the invocation times out
	Cold      Kind = "cold"       // each invocation is a cold start
	HTTP      Kind = "http"       // calls to a host get an error status
	HTTPDelay Kind = "http-delay" // calls to a host take longer
)

// Rule is one fault. The zero value does nothing.
type Rule struct {
	Kind     Kind
	Duration time.Duration // for delay, reorder, freeze and http-delay
	Status   int           // for http
	Share    float64       // the share of deliveries, invocations or calls, from 0 to 1
	// Of is the function, queue, topic, rule or host that the fault applies to. Empty
	// means every one.
	Of string
}

// defaults are the default durations of kinds with a duration.
var defaults = map[Kind]time.Duration{Delay: 2 * time.Second, Reorder: time.Second, Freeze: 2 * time.Second, HTTPDelay: 2 * time.Second}

// Kinds returns every kind with its description, in the order of the help text.
func Kinds() [][2]string {
	return [][2]string{
		{string(Duplicate), "repeat a delivery"}, {string(Reorder), "deliver an event after a later one, within =DURATION"}, {string(Delay), "delay a delivery by =DURATION"},
		{string(Fail), "let the first delivery attempt fail"}, {string(Refuse), "let a rule's target refuse every attempt"}, {string(Throttle), "throttle PutEvents and invocations"}, {string(Freeze), "freeze an environment for =DURATION"},
		{string(Kill), "kill the runtime"}, {string(Timeout), "let an invocation time out"}, {string(Cold), "let each invocation be a cold start"},
		{string(HTTP), "answer calls to a host with =STATUS"}, {string(HTTPDelay), "delay calls to a host by =DURATION"},
	}
}

// Parse reads a rule of the form KIND[=VALUE][:SHARE%][@NAME]. The error says what is
// wrong and what to write.
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
		return r, fmt.Errorf("%q is not a kind of fault: write one of %s", kind, strings.Join(names, ", "))
	}
	if shared {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		if err != nil || percent <= 0 || percent > 100 {
			return r, fmt.Errorf("%q: write a share above 0%% and at most 100%%, as in %s:10%%", text, kind)
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

// String returns the rule in the form that Parse reads.
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

// Set is the faults of an application. The zero value has none. It is safe for concurrent
// use.
type Set struct {
	mu     sync.Mutex
	rules  []Rule
	past   []Rule         // every rule that was ever set
	done   map[string]int // how often each rule was applied
	random *rand.Rand     // nil means the process's source
}

// Seed makes the choices of the set reproducible: two sets with one seed choose alike if
// they get the same calls in the same order.
func (s *Set) Seed(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = rand.New(rand.NewPCG(seed, 17))
}

// Put replaces the rules. The counts stay.
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

// Past returns every rule that was ever set, including the current ones.
func (s *Set) Past() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.past)
}

// Done is a rule with the number of times that it was applied.
type Done struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"`
}

// Rules returns the current rules in order, with their counts.
func (s *Set) Rules() []Done {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Done{}
	for _, r := range s.rules {
		list = append(list, Done{r.String(), s.done[r.String()]})
	}
	return list
}

// strikes chooses a rule of one of the kinds that applies to one of the names. ok is
// false if none applies.
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

// Delivery is the fault to inject into a delivery.
type Delivery struct {
	Duplicate bool
	Delay     time.Duration
	Fail      bool
	Refuse    bool
}

// Delivery returns the fault for a delivery to a target by a rule.
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

// Invocation returns the fault for an invocation of a function: Freeze, Kill, Timeout, or
// "". duration applies to Freeze.
func (s *Set) Invocation(function string) (kind Kind, duration time.Duration) {
	r, ok := s.strikes([]Kind{Freeze, Kill, Timeout}, function)
	if !ok {
		return "", 0
	}
	return r.Kind, r.Duration
}

// Cold reports whether a function's environment ends after its invocation.
func (s *Set) Cold(function string) bool {
	_, ok := s.strikes([]Kind{Cold}, function)
	return ok
}

// Throttled reports whether a call of this name is throttled.
func (s *Set) Throttled(name string) bool {
	_, ok := s.strikes([]Kind{Throttle}, name)
	return ok
}

// Call returns the fault for an HTTP call.
func (s *Set) Call(host string) (f gateway.Fault) {
	if r, ok := s.strikes([]Kind{HTTPDelay}, host); ok {
		f.Delay = r.Duration
	}
	if r, ok := s.strikes([]Kind{HTTP}, host); ok {
		f.Status = r.Status
	}
	return f
}
