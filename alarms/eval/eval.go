// Package eval evaluates alarms as CloudWatch does: from a series of datapoints it
// computes the state of an alarm over history, with M-of-N datapoints and a treatment of
// missing data. It is pure, and safe for concurrent use.
//
// It follows "Configuring how CloudWatch alarms treat missing data" of the CloudWatch
// user guide. Its tests check it against that page's tables. Where the page is silent or
// contradicts its tables, [Rule] documents the choice.
package eval

import (
	"cmp"

	"github.com/throughline/throughline/alarms"
)

// State is an alarm's state, one of CloudWatch's StateValue. The zero value is the state
// of an alarm that was never evaluated.
type State string

// The states.
const (
	Insufficient State = "INSUFFICIENT_DATA"
	OK           State = "OK"
	InAlarm      State = "ALARM"
)

// Mark is the result of comparing one datapoint with the threshold. The zero value is a
// missing datapoint.
type Mark uint8

// The marks.
const (
	None Mark = iota
	Good
	Breach
)

// Rule computes an alarm's state from marks.
type Rule struct {
	M, N    int
	Missing alarms.Missing
	// Range is the number of periods in which CloudWatch looks for N real datapoints. 0
	// means N+2. CloudWatch does not publish the number: its examples use 5 for N = 3.
	Range int
}

// RuleOf returns the rule of an alarm.
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

// Next returns the state after an evaluation. Marks are oldest first, and only those of
// the rule's range count. If there are fewer marks than the range, the older ones are
// missing.
//
// If the range has at least N real datapoints, the newest N decide. With fewer, missing
// datapoints are filled in as the rule says. Under missing and ignore, the real
// datapoints decide, with one exception: all real datapoints in the range breach, and
// there are fewer than M. Then, if the oldest of them is at least M periods old, missing
// sets ALARM and ignore keeps the state: this is AWS's rule against premature alarms.
// Otherwise missing sets INSUFFICIENT_DATA and ignore keeps the state, as the page's
// edition of 2019 shows. As in that edition, a breaching datapoint that is older than N
// but within the range counts.
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

// nothing returns the state if the range has no datapoint.
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
