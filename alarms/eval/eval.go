// Package eval says what CloudWatch would have made of a series of datapoints:
// the state of an alarm under M-of-N and a treatment of missing data, over
// history. It is pure, and safe for concurrent use.
//
// It follows "Configuring how CloudWatch alarms treat missing data" of the
// CloudWatch user guide, whose tables its tests hold it to. Where that page is
// silent or contradicts its own tables, [Rule] says what was chosen.
package eval

import (
	"cmp"

	"github.com/throughline/throughline/alarms"
)

// State is an alarm's state, in CloudWatch's own words. The zero value is that
// of an alarm that was never evaluated.
type State string

// The states.
const (
	Insufficient State = "INSUFFICIENT_DATA"
	OK           State = "OK"
	InAlarm      State = "ALARM"
)

// Mark is what one datapoint is to an alarm. The zero value is a missing one.
type Mark uint8

// The marks.
const (
	None Mark = iota
	Good
	Breach
)

// Rule is how marks make a state.
type Rule struct {
	M, N    int
	Missing alarms.Missing
	// Range is how many periods back CloudWatch looks for N real datapoints; 0
	// is N+2. CloudWatch does not publish it: its examples use 5 for N = 3.
	Range int
}

// RuleOf is the rule of an alarm.
func RuleOf(a alarms.Alarm) Rule {
	a = a.Normalize()
	return Rule{M: a.DatapointsToAlarm, N: a.EvaluationPeriods, Missing: a.Missing}
}

func (r Rule) reach() int {
	if r.Range < r.N {
		return r.N + 2
	}
	return r.Range
}

// Next is the state after an evaluation. Marks are oldest first; of those only
// the last of the rule's range are looked at, and a range that is not yet full
// is missing at its old end.
//
// N real datapoints in the range decide by the newest N of them. With fewer,
// missing ones are filled in as the rule says; under missing and ignore the
// real ones decide, but where there is no real datapoint in the range but
// breaching ones, fewer than M. If the oldest of these is at least M periods
// old, missing makes it ALARM and ignore keeps the state, which is AWS's rule
// against late alarms; else missing makes it INSUFFICIENT_DATA and ignore keeps
// the state, as rows of the page's edition of 2019 have it. So has that edition
// a breach that is older than N but inside the range: it counts.
func (r Rule) Next(state State, marks []Mark) State {
	state = cmp.Or(state, Insufficient)
	if reach := r.reach(); len(marks) > reach {
		marks = marks[len(marks)-reach:]
	}
	real, breaching, good, oldest := 0, 0, 0, 0
	for age := 1; age <= len(marks) && real < r.N; age++ {
		switch marks[len(marks)-age] {
		case Breach:
			real, breaching, oldest = real+1, breaching+1, age
		case Good:
			real, good = real+1, good+1
		}
	}
	filled := breaching
	switch {
	case real == r.N:
	case real == 0:
		return r.nothing(state)
	case r.Missing == alarms.Breaching:
		filled += r.N - real
	case r.Missing == alarms.NotBreaching:
	case breaching < r.M && good == 0:
		switch {
		case r.Missing == alarms.Ignore:
			return state
		case oldest >= r.M:
			return InAlarm
		}
		return Insufficient
	}
	if filled >= r.M {
		return InAlarm
	}
	return OK
}

// nothing is the state where no datapoint is in the range.
func (r Rule) nothing(state State) State {
	switch r.Missing {
	case alarms.Ignore:
		return state
	case alarms.Breaching:
		return InAlarm
	case alarms.NotBreaching:
		return OK
	default:
		return Insufficient
	}
}
