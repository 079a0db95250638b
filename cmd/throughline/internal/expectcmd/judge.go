package expectcmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// what is the kind of one expectation.
type what string

const (
	anEvent   what = "event"      // the event with this ID was published or handled
	handledBy what = "handled by" // a function handled the event of the previous step
	then      what = "then"       // an event of this type is below the previous step
	noRepeat  what = "no repeat"
	noError   what = "no error"
	maxHops   what = "at most"
)

// step is one expectation of the chain, in the order of the flags.
type step struct {
	what what
	name string
}

func (s step) String() string { return string(s.what) + " " + workflow.Clean(s.name) }

// rules apply to everything below the event, or to the workflow if no event is named.
type rules struct {
	within            time.Duration // 0 means no limit
	noRepeat, noError bool
	maxHops           int // below 0 means no limit
}

// negative reports whether there is a rule that a later span can still break.
func (r rules) negative() bool { return r.noRepeat || r.noError || r.maxHops >= 0 }

// verdict is the result of one expectation.
type verdict struct {
	Expected string  `json:"expected"`
	Met      bool    `json:"met"`
	Final    bool    `json:"-"` // no later span can meet it
	Detail   string  `json:"detail,omitempty"`
	AfterMS  float64 `json:"after_ms,omitempty"` // since the event, or since the start of the workflow
}

// judge checks the tree of a workflow against the steps and the rules.
func judge(d *workflow.Document, steps []step, r rules) []verdict {
	j := judging{d: d, within: r.within, began: d.Start, scope: -1}
	verdicts := make([]verdict, 0, len(steps)+3)
	lost := false // a previous step is not met
	for _, s := range steps {
		if lost {
			verdicts = append(verdicts, verdict{Expected: s.String(), Detail: "the previous step is not met"})
			continue
		}
		v := j.step(s)
		lost = !v.Met
		verdicts = append(verdicts, v)
	}
	if r.noRepeat {
		verdicts = append(verdicts, j.none(string(noRepeat), func(n *workflow.NodeDoc) string {
			if n.Repeat == nil {
				return ""
			}
			return fmt.Sprintf("%s at %s", workflow.Clean(n.Repeat.Kind), j.describe(n))
		}))
	}
	if r.noError {
		verdicts = append(verdicts, j.none(string(noError), func(n *workflow.NodeDoc) string {
			if n.Span == nil || !n.Span.Failed {
				return ""
			}
			return strings.TrimSpace(fmt.Sprintf("error at %s %s", j.describe(n), workflow.Clean(n.Span.Error)))
		}))
	}
	if r.maxHops >= 0 {
		verdicts = append(verdicts, j.none(fmt.Sprintf("%s %s", maxHops, phrase.Count(r.maxHops, "hop")), func(n *workflow.NodeDoc) string {
			if n.Hops == nil || *n.Hops <= float64(r.maxHops) {
				return ""
			}
			return fmt.Sprintf("%.0f hops at %s", *n.Hops, j.describe(n))
		}))
	}
	return verdicts
}

type judging struct {
	d      *workflow.Document
	within time.Duration
	began  time.Time
	at     []int // the nodes of the previous step; nil before the first
	scope  int   // the node of the named event; -1 means the whole workflow
}

// step finds the nodes of the next step, and sets at to them.
func (j *judging) step(s step) verdict {
	v := verdict{Expected: s.String()}
	var found []int
	var instead []string
	for i := range j.d.Nodes {
		n := &j.d.Nodes[i]
		is, near := j.matches(i, n, s)
		if is {
			found = append(found, i)
		} else if near != "" && !slices.Contains(instead, near) {
			instead = append(instead, near)
		}
	}
	if len(found) == 0 {
		switch {
		case len(instead) > 0:
			const few = 5
			if len(instead) > few {
				instead = append(instead[:few:few], "…")
			}
			v.Detail = "found instead: " + strings.Join(instead, ", ")
		case s.what == handledBy:
			v.Detail = "no handling was reported"
		default:
			v.Detail = "no span has it"
		}
		return v
	}
	v.Met = true
	if s.what == anEvent && j.at == nil {
		j.scope = found[0]
		if span := j.d.Nodes[found[0]].Span; span != nil {
			j.began = span.Start
		}
	}
	j.at = found
	after, known := j.after(found)
	if known {
		v.AfterMS = float64(after.Microseconds()) / 1000
		v.Detail = "after " + phrase.Duration(after)
	}
	if known && j.within > 0 && after > j.within {
		v.Met, v.Final = false, true
	}
	return v
}

// matches reports whether node i is what the step names. near describes what the node is
// instead.
func (j *judging) matches(i int, n *workflow.NodeDoc, s step) (is bool, near string) {
	switch s.what {
	case anEvent:
		return n.Kind == workflow.KindEvent && n.EventID == s.name, ""
	case handledBy:
		if n.Kind != workflow.KindHandling || n.Span == nil || !j.handles(i, n) {
			return false, ""
		}
		return n.Span.Function == s.name, workflow.Clean(n.Span.Function)
	default:
		if n.Kind != workflow.KindEvent || !j.below(i) {
			return false, ""
		}
		return n.Type == s.name, workflow.Clean(n.Type)
	}
}

// handles reports whether handling i is of an event of the previous step, or is further
// below it.
func (j *judging) handles(i int, n *workflow.NodeDoc) bool {
	if j.at == nil {
		return true
	}
	for _, at := range j.at {
		if j.d.Nodes[at].Kind == workflow.KindEvent {
			if n.Parent == at {
				return true
			}
		} else if at != i && n.Parent == j.d.Nodes[at].Parent || at != i && j.isBelow(i, at) {
			return true
		}
	}
	return false
}

// below reports whether node i is below a node of the previous step.
func (j *judging) below(i int) bool {
	return j.at == nil || slices.ContainsFunc(j.at, func(at int) bool { return j.isBelow(i, at) })
}

func (j *judging) isBelow(i, above int) bool {
	for parent := j.d.Nodes[i].Parent; parent >= above && parent >= 0; parent = j.d.Nodes[parent].Parent {
		if parent == above {
			return true
		}
	}
	return false
}

// after returns the time of the first of the nodes: when an event was published, or when
// a handling ended.
func (j *judging) after(nodes []int) (first time.Duration, known bool) {
	for _, i := range nodes {
		n := &j.d.Nodes[i]
		if n.Span == nil {
			continue
		}
		at := n.Span.Start
		if n.Kind == workflow.KindHandling {
			at = at.Add(time.Duration(n.Span.DurationMS * float64(time.Millisecond)))
		}
		if d := max(0, at.Sub(j.began)); !known || d < first {
			first, known = d, true
		}
	}
	return first, known
}

// none is met if says returns "" for every node in scope.
func (j *judging) none(expected string, says func(*workflow.NodeDoc) string) verdict {
	v := verdict{Expected: expected, Met: true}
	var found []string
	seen := map[string]bool{} // the spans that were found: a batch is below each of its events
	for i := range j.d.Nodes {
		n := &j.d.Nodes[i]
		if j.scope >= 0 && i != j.scope && !j.isBelow(i, j.scope) || n.Span != nil && seen[n.Span.Trace+n.Span.ID] {
			continue
		}
		if text := says(n); text != "" {
			found = append(found, text)
			if n.Span != nil {
				seen[n.Span.Trace+n.Span.ID] = true
			}
		}
	}
	if len(found) > 0 {
		const few = 3
		if more := len(found) - few; more > 0 {
			found = append(found[:few:few], fmt.Sprintf("and %d more", more))
		}
		v.Met, v.Final, v.Detail = false, true, strings.Join(found, "; ")
	}
	return v
}

// describe returns the name of a node: its function, or its event.
func (j *judging) describe(n *workflow.NodeDoc) string {
	event := strings.TrimSpace(workflow.Clean(n.Type) + " " + workflow.Clean(n.EventID))
	if n.Kind == workflow.KindEvent || n.Span == nil {
		return event
	}
	return strings.TrimSpace(workflow.Clean(n.Span.Function) + " with " + event)
}
