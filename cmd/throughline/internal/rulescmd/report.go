package rulescmd

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
	"github.com/throughline/throughline/local/eventpattern"
)

// Report is the result of comparing rules with events.
type Report struct {
	Events int     `json:"events"`
	Rules  []Count `json:"rules"`
	// Unmatched are the events that no enabled rule matches, by source and type.
	Unmatched []Unmatched `json:"unmatched,omitempty"`
	Changes   []Change    `json:"changes,omitempty"` // since the saved counts, if there are any
	Digest    digest      `json:"digest"`            // identifies the set of events
	Skipped   int         `json:"skipped,omitempty"` // lines and documents that are not events

	rules []ruleset.Rule
	seen  map[string]bool
	index map[[2]string]int // indexes of Unmatched
}

// Count is the events that one rule matches.
type Count struct {
	Rule     string         `json:"rule"`
	Bus      string         `json:"bus"`
	Disabled bool           `json:"disabled,omitempty"` // Events are those that it would match
	Events   int            `json:"events"`
	Types    map[string]int `json:"types,omitempty"`
	Digest   digest         `json:"digest"` // identifies the set of events
	// Unsure counts the events that the rule may match: UnsureOf is a value of the
	// pattern that the template does not have.
	Unsure   int    `json:"unsure,omitempty"`
	UnsureOf string `json:"unsure_of,omitempty"`
	Wrong    string `json:"wrong,omitempty"` // why the rule cannot be evaluated
}

// Unmatched are events of one type that no enabled rule matches, with the rule that is
// nearest to the first of them and the differences, or the disabled rule that would
// match.
type Unmatched struct {
	Source  string              `json:"source"`
	Type    string              `json:"event_type"`
	Events  int                 `json:"events"`
	Nearest string              `json:"nearest,omitempty"`
	Misses  []eventpattern.Miss `json:"misses,omitempty"`
	// Disabled is the rule that would match.
	Disabled string `json:"disabled,omitempty"`
}

// digest identifies a set of events, in any order.
type digest string

func (d digest) add(key string) digest {
	var sum uint64
	_, _ = fmt.Sscanf(string(d), "%x", &sum) // an empty digest is 0
	hash := sha256.Sum256([]byte(key))
	return digest(fmt.Sprintf("%016x", sum+binary.BigEndian.Uint64(hash[:])))
}

func newReport(rules []ruleset.Rule) *Report {
	r := &Report{rules: rules, seen: map[string]bool{}, index: map[[2]string]int{}}
	for i := range rules {
		r.Rules = append(r.Rules, Count{Rule: rules[i].Name, Bus: rules[i].Bus, Disabled: rules[i].Disabled, Wrong: rules[i].Wrong, Types: map[string]int{}})
	}
	return r
}

// add compares an event with the rules. An event that was delivered to several consumers
// counts once.
func (r *Report) add(e envelope.Event) error {
	key := cmp.Or(e.ID, string(e.JSON))
	if r.seen[key] {
		return nil
	}
	r.seen[key] = true
	parsed, err := eventpattern.Read(e.JSON)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	r.Events++
	r.Digest = r.Digest.add(key)
	taken, nearest, disabled := false, ruleset.Verdict{}, ""
	for i := range r.rules {
		v, ok := r.rules[i].Judge(parsed, e.Bus)
		count := &r.Rules[i]
		switch {
		case !ok || v.Rule.Wrong != "":
		case v.Matches():
			count.Events++
			count.Types[e.Type]++
			count.Digest = count.Digest.add(key)
			taken = taken || !count.Disabled
			if count.Disabled {
				disabled = count.Rule
			}
		case v.Unsure != "":
			count.Unsure++
			count.UnsureOf = v.Unsure
			taken = taken || !count.Disabled
		case !count.Disabled && (nearest.Rule == nil || eventpattern.Distance(v.Misses) < eventpattern.Distance(nearest.Misses)):
			nearest = v
		}
	}
	if !taken {
		r.unmatched(e, nearest, disabled)
	}
	return nil
}

func (r *Report) unmatched(e envelope.Event, nearest ruleset.Verdict, disabled string) {
	key := [2]string{e.Source, e.Type}
	i, known := r.index[key]
	if !known {
		i = len(r.Unmatched)
		r.index[key] = i
		u := Unmatched{Source: e.Source, Type: e.Type, Disabled: disabled}
		if nearest.Rule != nil && disabled == "" {
			u.Nearest, u.Misses = nearest.Rule.Name, nearest.Misses
		}
		r.Unmatched = append(r.Unmatched, u)
	}
	r.Unmatched[i].Events++
}

// Change is a rule that matches other events than before.
type Change struct {
	Rule string `json:"rule"` // "" for the events themselves
	Bus  string `json:"bus,omitempty"`
	What string `json:"what"`
}

// compare lists the differences from earlier counts.
func (r *Report) compare(last Report) {
	if last.Digest != r.Digest {
		r.Changes = append(r.Changes, Change{What: fmt.Sprintf("the input has other events than last time: %d, before %d", r.Events, last.Events)})
	}
	key := func(c Count) [2]string { return [2]string{c.Bus, c.Rule} }
	before := map[[2]string]Count{}
	for _, c := range last.Rules {
		before[key(c)] = c
	}
	for _, c := range r.Rules {
		was, known := before[key(c)]
		delete(before, key(c))
		if what := c.changed(was, known); what != "" {
			r.Changes = append(r.Changes, Change{c.Rule, c.Bus, what})
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(before), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		r.Changes = append(r.Changes, Change{k[1], k[0], fmt.Sprintf("the rule does not exist any more: it matched %d", before[k].Events)})
	}
}

func (c Count) changed(was Count, known bool) string {
	switch {
	case !known:
		return fmt.Sprintf("the rule is new: it matches %d", c.Events)
	case c.Wrong != was.Wrong:
		return cmp.Or(c.Wrong, "its pattern is valid again")
	case c.Disabled != was.Disabled:
		return map[bool]string{true: "it is disabled", false: "it is enabled"}[c.Disabled]
	case c.Events != was.Events:
		return fmt.Sprintf("it matches %d, before %d%s", c.Events, was.Events, c.differing(was))
	case c.Digest != was.Digest:
		return fmt.Sprintf("it still matches %d, but other events%s", c.Events, c.differing(was))
	}
	return ""
}

// differing lists the types whose number changed.
func (c Count) differing(was Count) string {
	types := maps.Clone(c.Types)
	maps.Copy(types, was.Types)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if c.Types[name] != was.Types[name] {
			parts = append(parts, fmt.Sprintf("%s %d, before %d", name, c.Types[name], was.Types[name]))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}
