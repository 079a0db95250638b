package cloudwatch

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Action is what is to be done about one alarm.
type Action string

// The actions.
const (
	Create Action = "create"
	Change Action = "change"
	Retag  Action = "retag" // its tags alone
	Delete Action = "delete"
	Adopt  Action = "adopt" // it is not the spec's, and was named to become so
	Refuse Action = "refuse"
)

// Step is one alarm's part of a [Plan].
type Step struct {
	Action    Action          `json:"action"`
	Name      string          `json:"name"`
	Composite bool            `json:"composite,omitempty"`
	Changes   []alarms.Change `json:"changes,omitempty"`
	// Edited says that somebody changed the alarm since it was applied; Conflict
	// that the spec changed as well.
	Edited   bool    `json:"edited,omitempty"`
	Conflict bool    `json:"conflict,omitempty"`
	Dollars  float64 `json:"dollars_a_month"` // more or less than now

	live    live
	desired live
}

// Plan is what would make the account what the set says. The zero value does
// nothing.
type Plan struct {
	Steps []Step `json:"steps"` // by name
	Kept  int    `json:"kept"`  // alarms that are as they should be
	// LeftAlone are alarms under the prefix that are not the spec's.
	LeftAlone []string `json:"left_alone,omitempty"`

	spec string
}

// Empty says whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Dollars is by how much the plan changes the monthly bill.
func (p Plan) Dollars() (sum float64) {
	for _, s := range p.Steps {
		sum += s.Dollars
	}
	return sum
}

// Greetings is how many alarms that the plan makes have actions on OK: a new
// alarm begins in INSUFFICIENT_DATA, and its first evaluation tells them.
func (p Plan) Greetings() (n int) {
	for _, s := range p.Steps {
		if s.Action == Create && len(s.desired.alarm.OKActions)+len(s.desired.over.OKActions) > 0 {
			n++
		}
	}
	return n
}

// Refused are the names that are taken by alarms which are not the spec's.
func (p Plan) Refused() []string {
	var names []string
	for _, s := range p.Steps {
		if s.Action == Refuse {
			names = append(names, s.Name)
		}
	}
	return names
}

// Make compares the set, which must be resolved, with the account. Of one that is partial
// nothing is deleted, and no alarm is changed that watches more than the set tells. An alarm that
// bears a name of the set but not the spec's tags is refused, unless adopt names
// it. It returns an [*Error] where AWS refuses a call.
func Make(ctx context.Context, api API, s alarms.Set, adopt []string, prices alarms.Prices, pace *Pace) (Plan, error) {
	there, err := read(ctx, api, s, pace)
	if err != nil {
		return Plan{}, err
	}
	return compare(s, there, adopt, prices), nil
}

// MakeDestroy is the plan that takes every alarm of the spec away, and nothing
// that its tags do not prove to be the spec's.
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
			step.Action = Refuse // CloudWatch would too: a name is of one kind
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

// watchesMore says whether an alarm has metrics, or a composite alarms, that the wanted one
// lacks, and lacks none of its.
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
