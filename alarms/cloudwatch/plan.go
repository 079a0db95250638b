package cloudwatch

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Action is the change that a [Step] makes.
type Action string

// The actions.
const (
	Create Action = "create"
	Change Action = "change"
	Retag  Action = "retag" // changes only the tags
	Delete Action = "delete"
	Adopt  Action = "adopt" // takes over an alarm of another owner that the caller named
	Refuse Action = "refuse"
)

// Step is the change of one alarm in a [Plan].
type Step struct {
	Action    Action          `json:"action"`
	Name      string          `json:"name"`
	Composite bool            `json:"composite,omitempty"`
	Changes   []alarms.Change `json:"changes,omitempty"`
	// Edited reports that the alarm was changed by hand since it was applied. Conflict
	// reports that the spec changed as well.
	Edited   bool    `json:"edited,omitempty"`
	Conflict bool    `json:"conflict,omitempty"`
	Dollars  float64 `json:"dollars_a_month"` // the change of the monthly bill

	live    live
	desired live
}

// Plan is the list of changes that make the account match the set. The zero value changes
// nothing.
type Plan struct {
	Steps []Step `json:"steps"` // by name
	Kept  int    `json:"kept"`  // the number of alarms that need no change
	// LeftAlone are alarms with the prefix that do not belong to the spec. They are not
	// changed.
	LeftAlone []string `json:"left_alone,omitempty"`

	spec string
}

// Empty reports whether the plan changes nothing.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Dollars returns the change of the monthly bill in US dollars.
func (p Plan) Dollars() (sum float64) {
	for _, s := range p.Steps {
		sum += s.Dollars
	}
	return sum
}

// Greetings returns the number of new alarms with actions on OK. A new alarm begins in
// INSUFFICIENT_DATA, so its first evaluation sends a notification.
func (p Plan) Greetings() (n int) {
	for _, s := range p.Steps {
		if s.Action == Create && len(s.desired.alarm.OKActions)+len(s.desired.over.OKActions) > 0 {
			n++
		}
	}
	return n
}

// Refused returns the names that alarms of another owner have.
func (p Plan) Refused() []string {
	var names []string
	for _, s := range p.Steps {
		if s.Action == Refuse {
			names = append(names, s.Name)
		}
	}
	return names
}

// Make compares the set, which must be resolved, with the account. It refuses an alarm
// that has a name of the set but not the spec's tags, unless adopt names it. If the set
// is partial, the plan deletes nothing and does not change an alarm that watches more
// than the set does. Make returns an [*Error] if AWS refuses a call.
func Make(ctx context.Context, api API, s alarms.Set, adopt []string, prices alarms.Prices, pace *Pace) (Plan, error) {
	there, err := read(ctx, api, s, pace)
	if err != nil {
		return Plan{}, err
	}
	return compare(s, there, adopt, prices), nil
}

// MakeDestroy returns the plan that deletes every alarm whose tags mark it as one of the
// spec, and no other.
func MakeDestroy(ctx context.Context, api API, s alarms.Set, prices alarms.Prices, pace *Pace) (Plan, error) {
	s.Alarms, s.Composites, s.Partial = nil, nil, false
	return Make(ctx, api, s, nil, prices, pace)
}

func compare(s alarms.Set, there map[string]live, adopt []string, prices alarms.Prices) Plan {
	s = s.Owned()
	plan := Plan{spec: s.Name}
	wanted := map[string]bool{}
	add := func(name string, d live) {
		wanted[name] = true
		l, ok := there[name]
		step := Step{Name: name, Composite: d.composite, live: l, desired: d, Dollars: dollars(d, prices) - dollars(l, prices)}
		switch {
		case !ok:
			step.Action, step.Dollars = Create, dollars(d, prices)
		case l.composite != d.composite:
			step.Action = Refuse // a metric alarm and a composite cannot have one name
		case !l.owned(s.Name):
			step.Action, step.Changes = Refuse, changes(l, d)
			if slices.Contains(adopt, name) {
				step.Action = Adopt
			}
		case s.Partial && watchesMore(l, d):
			plan.Kept++
			return
		default:
			applied := l.tag(alarms.TagHash)
			step.Edited = l.hash() != applied && l.hash() != d.hash()
			step.Conflict = step.Edited && d.hash() != applied
			step.Changes = changes(l, d)
			switch {
			case l.hash() != d.hash():
				step.Action = Change
			case len(step.Changes) > 0:
				step.Action = Retag
			default:
				plan.Kept++
				return
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	for _, a := range s.Alarms {
		a = a.Normalize()
		add(a.Name, live{alarm: a, tags: a.Tags})
	}
	for _, c := range s.Composites {
		c = c.Normalize()
		add(c.Name, live{composite: true, over: c, tags: c.Tags})
	}
	for name, l := range there {
		switch {
		case wanted[name]:
		case l.owned(s.Name) && s.Partial:
			plan.Kept++
		case l.owned(s.Name):
			plan.Steps = append(plan.Steps, Step{Action: Delete, Name: name, Composite: l.composite, Dollars: -dollars(l, prices), Edited: l.hash() != l.tag(alarms.TagHash), live: l})
		default:
			plan.LeftAlone = append(plan.LeftAlone, name)
		}
	}
	slices.SortFunc(plan.Steps, func(a, b Step) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(plan.LeftAlone)
	return plan
}

// watchesMore reports whether the alarm has all metrics of the wanted one, or all alarms
// of a composite, and more.
func watchesMore(l, d live) bool {
	if l.composite {
		for _, term := range strings.Split(d.over.Rule, " OR ") {
			if !strings.Contains(l.over.Rule, term) {
				return false
			}
		}
		return len(l.over.Rule) > len(d.over.Rule)
	}
	has := l.alarm.Stats()
	for _, s := range d.alarm.Stats() {
		if !slices.ContainsFunc(has, func(o alarms.Stat) bool { return reflect.DeepEqual(o, s) }) {
			return false
		}
	}
	return len(has) > len(d.alarm.Stats())
}

func changes(l, d live) []alarms.Change {
	if d.composite {
		was := l.over
		was.Tags = l.tags
		return alarms.DiffComposite(was, d.over)
	}
	was := l.alarm
	was.Tags = l.tags
	return alarms.Diff(was, d.alarm)
}

func dollars(l live, p alarms.Prices) float64 {
	switch {
	case l.composite:
		return p.Composite
	case l.alarm.Name == "":
		return 0
	default:
		return alarms.AlarmCost(l.alarm, p)
	}
}
