package alarms

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hours are the times at which an alarm can be in ALARM: on some days of the week, from
// one minute of the day up to another, in UTC. If from is after to, the minutes after
// midnight count for the day on which they are. The expression has the form of AWS's
// example
// (https://aws.amazon.com/blogs/mt/enhance-cloudwatch-metrics-with-metric-math-functions/).
// HOUR and the other time functions have a value for each period, with or without a
// datapoint ("Using math expressions with CloudWatch metrics").
type hours struct {
	days     [7]bool // Monday first
	from, to int     // minutes of the day
}

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// parseHours reads "Mon-Fri 09:00-17:30", "Sat,Sun 00:00-24:00" or "09:00-17:00".
func parseHours(text string) (hours, error) {
	wrong := fmt.Errorf("%q is not of the form Mon-Fri 09:00-17:00, in UTC", text)
	words := strings.Fields(text)
	if n := len(words); n > 0 && words[n-1] == "UTC" {
		words = words[:n-1]
	}
	h := hours{days: [7]bool{true, true, true, true, true, true, true}}
	switch len(words) {
	case 1:
	case 2:
		h.days = [7]bool{}
		for piece := range strings.SplitSeq(strings.ToLower(words[0]), ",") {
			first, last, span := strings.Cut(piece, "-")
			if !span {
				last = first
			}
			a, b := slices.Index(weekdays, first), slices.Index(weekdays, last)
			if a < 0 || b < 0 {
				return hours{}, wrong
			}
			for day := a; ; day = (day + 1) % 7 {
				h.days[day] = true
				if day == b {
					break
				}
			}
		}
	default:
		return hours{}, wrong
	}
	from, to, span := strings.Cut(words[len(words)-1], "-")
	var okFrom, okTo bool
	h.from, okFrom = minuteOfDay(from)
	h.to, okTo = minuteOfDay(to)
	if !span || !okFrom || !okTo || h.from == h.to || h.from == 24*60 {
		return hours{}, wrong
	}
	return h, nil
}

func minuteOfDay(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil
}

// condition returns the metric math that is true for datapoints of the series id within
// the hours.
func (h hours) condition(id string) string {
	var all []string
	if days := h.dayTerms(id); len(days) > 0 {
		all = append(all, "("+strings.Join(days, " OR ")+")")
	}
	clock := func(comparison string, minute int) string {
		if h.from%60 == 0 && h.to%60 == 0 {
			return fmt.Sprintf("HOUR(%s) %s %d", id, comparison, minute/60)
		}
		return fmt.Sprintf("HOUR(%s)*60 + MINUTE(%s) %s %d", id, id, comparison, minute)
	}
	switch {
	case h.from > h.to:
		all = append(all, fmt.Sprintf("(%s OR %s)", clock(">=", h.from), clock("<", h.to)))
	default:
		if h.from > 0 {
			all = append(all, "("+clock(">=", h.from)+")")
		}
		if h.to < 24*60 {
			all = append(all, "("+clock("<", h.to)+")")
		}
	}
	return strings.Join(all, " AND ")
}

// dayTerms returns the conditions on DAY, where Monday is 1, or nil for all days.
func (h hours) dayTerms(id string) []string {
	var terms []string
	for day := 0; day < 7; day++ {
		if !h.days[day] {
			continue
		}
		last := day
		for last+1 < 7 && h.days[last+1] {
			last++
		}
		switch {
		case day == 0 && last == 6:
			return nil
		case day == last:
			terms = append(terms, fmt.Sprintf("DAY(%s) == %d", id, day+1))
		default:
			terms = append(terms, fmt.Sprintf("(DAY(%s) >= %d AND DAY(%s) <= %d)", id, day+1, id, last+1))
		}
		day = last
	}
	return terms
}

// within makes the alarm compare its metric with the threshold only during the hours.
// Outside of them its value does not breach. The expression fills in missing datapoints
// as the alarm treats them, so that missing data can only breach during the hours.
func (h hours) within(a *Alarm) {
	condition := h.condition("filled")
	if condition == "" {
		return // always
	}
	quiet, breach := a.Threshold-1, a.Threshold+1
	if a.Comparison == Less || a.Comparison == LessOrEqual {
		quiet, breach = breach, quiet
	} else {
		quiet = min(quiet, 0)
	}
	fill := quiet
	if a.Missing == Breaching {
		fill = breach
	}
	queries := slices.Clone(a.Queries)
	for i := range queries {
		if !queries[i].Return {
			continue
		}
		queries[i].Return = false
		queries = append(queries,
			Query{ID: "filled", Expression: fmt.Sprintf("FILL(%s, %s)", queries[i].ID, number(fill))},
			Query{ID: "hours", Expression: fmt.Sprintf("IF(%s, filled, %s)", condition, number(quiet)), Return: true})
		break
	}
	a.Queries = queries
}
