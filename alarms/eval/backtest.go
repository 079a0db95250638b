package eval

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/throughline/throughline/alarms"
)

// Limits describes the limits of a backtest, for the end of a report.
const Limits = `Limits of a backtest: datapoints that arrived late count as if they had arrived in time, so ` +
	`CloudWatch may have changed state later, or more often; an alarm with a longer period is evaluated at the end of each period, ` +
	`but CloudWatch evaluates it each minute; a percentile cannot be computed from stored averages, so a file must have the observations.`

// Transition is a change of an alarm's state, at the end of the period whose datapoint
// caused it.
type Transition struct {
	At   time.Time `json:"at"`
	From State     `json:"from"`
	To   State     `json:"to"`
}

// Report is the result of [Backtest]: what an alarm would have done over a stretch of
// history.
type Report struct {
	Alarm      string        `json:"alarm"`
	Known      bool          `json:"known"` // whether any of its metrics has data; if not, the other fields are empty
	From       time.Time     `json:"from"`
	To         time.Time     `json:"to"`
	Range      int           `json:"range"` // the number of periods that each evaluation looked back over
	Evaluated  int           `json:"evaluations"`
	Datapoints int           `json:"datapoints"`
	Breaching  int           `json:"breaching"`
	Pages      int           `json:"pages"` // the number of changes to ALARM
	InAlarm    time.Duration `json:"in_alarm_ns"`
	Longest    time.Duration `json:"longest_ns"`
	NoData     time.Duration `json:"insufficient_ns"`
	// Transitions are the changes of state, without the first state of a new alarm.
	Transitions []Transition `json:"transitions"`
}

// PagesAWeek returns Pages as a weekly rate, or 0 if no time was evaluated.
func (r Report) PagesAWeek() float64 {
	if stretch := r.To.Sub(r.From); stretch > 0 {
		return float64(r.Pages) * float64(7*24*time.Hour) / float64(stretch)
	}
	return 0
}

// Backtest evaluates the alarm over every period between from and to. reach is the rule's
// range; 0 means its default. It returns an error for an expression that this package
// does not compute, and if no whole period is between from and to.
func Backtest(a alarms.Alarm, data Data, from, to time.Time, reach int) (Report, error) {
	a = a.Normalize()
	points, known, err := Datapoints(a, data)
	if err != nil {
		return Report{Alarm: a.Name}, err
	}
	return replay(a, points, known, from, to, reach)
}

func replay(a alarms.Alarm, points Series, known bool, from, to time.Time, reach int) (Report, error) {
	period := int64(a.Period())
	report := Report{Alarm: a.Name, Known: known, From: from.UTC(), To: to.UTC()}
	if period <= 0 {
		return report, fmt.Errorf("%s: it has no metric", a.Name)
	}
	first, last := floor(from.Unix(), period), floor(to.Unix()-1, period)
	if last < first || (last-first)/period > maxPeriods {
		return report, fmt.Errorf("%s: from %s to %s no period can be evaluated: give a longer stretch", a.Name, from, to)
	}
	report.Transitions = []Transition{}
	rule := RuleOf(a)
	rule.Range = reach
	report.Range = rule.reach()
	// Datapoints before the stretch are missing. The window moves over the marks.
	marks := make([]Mark, rule.reach(), 2*rule.reach()+64)
	state, since := State(""), time.Time{}
	for at := first; at <= last; at += period {
		mark := None
		if f, ok := points[at]; ok {
			report.Datapoints++
			if mark = Good; a.Comparison.Breaches(f, a.Threshold) {
				mark = Breach
				report.Breaching++
			}
		}
		if len(marks) == cap(marks) {
			marks = append(marks[:0], marks[len(marks)-rule.reach():]...)
		}
		marks = append(marks, mark)
		next, end := rule.Next(state, marks), time.Unix(at+period, 0).UTC()
		report.Evaluated++
		report.spend(next, time.Duration(period)*time.Second)
		if next == state {
			continue
		}
		if state != "" {
			report.Transitions = append(report.Transitions, Transition{end, state, next})
		}
		if next == InAlarm {
			report.Pages++
			since = end
		} else if state == InAlarm {
			report.Longest = max(report.Longest, end.Sub(since))
		}
		state = next
	}
	if state == InAlarm {
		report.Longest = max(report.Longest, time.Unix(last+2*period, 0).Sub(since))
	}
	return report, nil
}

func (r *Report) spend(state State, d time.Duration) {
	switch state {
	case InAlarm:
		r.InAlarm += d
	case Insufficient:
		r.NoData += d
	}
}

func floor(second, period int64) int64 {
	second -= second % period
	return second
}

// Step is the result of a backtest with one threshold.
type Step struct {
	Threshold float64 `json:"threshold"`
	Pages     int     `json:"pages"`
	PerWeek   float64 `json:"pages_a_week"`
	InAlarm   float64 `json:"in_alarm"` // a fraction of the time, from 0 to 1
}

// Sweep runs the backtest with the alarm's own threshold and with at most steps others,
// spread over the observed values. The result is sorted by threshold.
func Sweep(a alarms.Alarm, data Data, from, to time.Time, reach, steps int) ([]Step, error) {
	return sweep(a, data, from, to, reach, steps, false)
}

// sweep is [Sweep]. If beyond is set, it adds a threshold that no observed value
// breaches.
func sweep(a alarms.Alarm, data Data, from, to time.Time, reach, steps int, beyond bool) ([]Step, error) {
	a = a.Normalize()
	points, known, err := Datapoints(a, data)
	if err != nil {
		return nil, err
	}
	var out []Step
	tried := thresholds(points, from, to, steps, a.Threshold)
	if beyond {
		tried = append(tried, pastObserved(points, a.Comparison)...)
		slices.Sort(tried)
	}
	for _, threshold := range tried {
		a.Threshold = threshold
		report, err := replay(a, points, known, from, to, reach)
		if err != nil {
			return nil, err
		}
		out = append(out, Step{threshold, report.Pages, report.PagesAWeek(), float64(report.InAlarm) / float64(to.Sub(from))})
	}
	return out, nil
}

// thresholds returns quantiles of the observed values, and always.
func thresholds(points Series, from, to time.Time, steps int, always float64) []float64 {
	var seen []float64
	for at, f := range points {
		if at >= from.Unix() && at < to.Unix() {
			seen = append(seen, f)
		}
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	out := []float64{always}
	if len(seen) <= steps {
		out = append(out, seen...)
	} else {
		for i := range steps {
			out = append(out, seen[i*(len(seen)-1)/max(1, steps-1)])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ShortestRecord is the shortest history that [Suggest] accepts.
const ShortestRecord = 24 * time.Hour

// pastObserved returns a threshold that no observed value breaches, for a comparison that
// the most extreme value breaches at its own value.
func pastObserved(points Series, c alarms.Comparison) []float64 {
	if len(points) == 0 {
		return nil
	}
	values := slices.Sorted(maps.Values(points))
	switch highest, lowest := values[len(values)-1], values[0]; c {
	case alarms.GreaterOrEqual:
		return []float64{highest + max(1, math.Abs(highest)/10)}
	case alarms.LessOrEqual:
		return []float64{lowest - max(1, math.Abs(lowest)/10)}
	}
	return nil
}

// Suggest returns the threshold closest to normal values with which the alarm would have
// paged at most pages times a week, and would have been in ALARM at most a tenth of the
// time. (An alarm that stays in ALARM pages only once.) This is the smallest such
// threshold if high values breach, the largest if low values do, and a value beyond all
// observed ones if no other fits. ok is false if nothing was observed. A history shorter
// than [ShortestRecord] is an error, because it does not represent a week.
func Suggest(a alarms.Alarm, data Data, from, to time.Time, reach int, pages float64) (step Step, ok bool, err error) {
	if to.Sub(from) < ShortestRecord {
		return Step{}, false, fmt.Errorf("the history is %s long: a weekly rate of pages needs at least %s", to.Sub(from), ShortestRecord)
	}
	sweep, err := sweep(a, data, from, to, reach, 200, true)
	if err != nil || len(sweep) == 0 {
		return Step{}, false, err
	}
	if a.Comparison == alarms.Less || a.Comparison == alarms.LessOrEqual {
		slices.Reverse(sweep)
	}
	points, known, err := Datapoints(a, data)
	if err != nil || !known || len(points) == 0 {
		return Step{}, false, err
	}
	// A stricter threshold can have more pages: a looser one can join two alarms into
	// one. So all thresholds from this one on have to fit.
	best := -1
	for i := len(sweep) - 1; i >= 0 && sweep[i].PerWeek <= pages && sweep[i].InAlarm <= 0.1; i-- {
		best = i
	}
	if best < 0 {
		return Step{}, false, nil
	}
	return sweep[best], true, nil
}
