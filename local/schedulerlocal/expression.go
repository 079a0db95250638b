package schedulerlocal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expression is a schedule expression: at(…), rate(…) or cron(…), as in EventBridge's rules
// and EventBridge Scheduler (EventBridge Scheduler user guide, "Schedule types").
// Use [ParseExpression]. It is a value; safe to copy.
type Expression struct {
	once  time.Time
	every time.Duration
	cron  *cron
	zone  *time.Location
}

// ParseExpression reads a schedule expression. zone is a name of the IANA database, "" for
// UTC; only Scheduler's at(…) and cron(…) have one.
func ParseExpression(text, zone string) (Expression, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Expression{}, fmt.Errorf("the time zone %s: %w", zone, err)
	}
	kind, inner, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(text), ")"), "(")
	if !ok || !strings.HasSuffix(strings.TrimSpace(text), ")") {
		return Expression{}, fmt.Errorf("%q is not at(…), rate(…) or cron(…)", text)
	}
	switch kind {
	case "at":
		once, err := time.ParseInLocation("2006-01-02T15:04:05", inner, location)
		return Expression{once: once, zone: location}, err
	case "rate":
		every, err := parseRate(inner)
		return Expression{every: every, zone: location}, err
	case "cron":
		c, err := parseCron(inner)
		return Expression{cron: c, zone: location}, err
	}
	return Expression{}, fmt.Errorf("%q is not at(…), rate(…) or cron(…)", text)
}

func parseRate(text string) (time.Duration, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0, fmt.Errorf("rate(%s): write rate(VALUE UNIT)", text)
	}
	n, err := strconv.Atoi(fields[0])
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(fields[1], "s")]
	if err != nil || n < 1 || unit == 0 {
		return 0, fmt.Errorf("rate(%s): the value is a whole number above zero, the unit minutes, hours or days", text)
	}
	return time.Duration(n) * unit, nil
}

// Once reports whether the schedule fires only once.
func (e Expression) Once() bool { return e.every == 0 && e.cron == nil }

// Next returns the first time after t at which the schedule fires; ok is false if there is
// none. A rate counts from t.
func (e Expression) Next(t time.Time) (next time.Time, ok bool) {
	switch {
	case e.cron != nil:
		return e.cron.next(t.In(e.zone))
	case e.every > 0:
		return t.Add(e.every), true
	}
	return e.once, e.once.After(t)
}

// cron has, for each field, which values match.
type cron struct {
	minutes, hours, months, years []bool
	days                          func(date time.Time) bool
}

// field describes one field of a cron expression.
type field struct {
	name        string
	first, last int
	names       []string // of first and those after it
}

var (
	months   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

	minuteField  = field{"minutes", 0, 59, nil}
	hourField    = field{"hours", 0, 23, nil}
	dayField     = field{"day of month", 1, 31, nil}
	monthField   = field{"month", 1, 12, months}
	weekdayField = field{"day of week", 1, 7, weekdays}
	yearField    = field{"year", 1970, 2199, nil}
)

func parseCron(text string) (*cron, error) {
	fields := strings.Fields(text)
	if len(fields) != 6 {
		return nil, fmt.Errorf("cron(%s) has %d fields: write cron(minutes hours day-of-month month day-of-week year)", text, len(fields))
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return nil, fmt.Errorf("cron(%s): one of day-of-month and day-of-week must be ?", text)
	}
	c := &cron{}
	var err error
	for i, into := range map[int]*[]bool{0: &c.minutes, 1: &c.hours, 3: &c.months, 5: &c.years} {
		of := map[int]field{0: minuteField, 1: hourField, 3: monthField, 5: yearField}[i]
		if *into, err = of.parse(fields[i]); err != nil {
			return nil, fmt.Errorf("cron(%s): %w", text, err)
		}
	}
	if fields[4] == "?" {
		c.days, err = parseDays(fields[2])
	} else {
		c.days, err = parseWeekdays(fields[4])
	}
	if err != nil {
		return nil, fmt.Errorf("cron(%s): %w", text, err)
	}
	return c, nil
}

// value parses a number of the field, or one of its names.
func (f field) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToUpper(text)); i >= 0 {
		return f.first + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.first || n > f.last {
		return 0, fmt.Errorf("%s: %q is not from %d to %d", f.name, text, f.first, f.last)
	}
	return n, nil
}

// parse reads a list of values, ranges and steps: 1,5-8,*/15.
func (f field) parse(text string) ([]bool, error) {
	fits := make([]bool, f.last+1)
	for part := range strings.SplitSeq(text, ",") {
		span, by, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(by); err != nil || step < 1 {
				return nil, fmt.Errorf("%s: %q is not a step", f.name, by)
			}
		}
		from, to, ranged := strings.Cut(span, "-")
		first, last := f.first, f.last
		if span != "*" {
			var err error
			if first, err = f.value(from); err != nil {
				return nil, err
			}
			switch {
			case ranged:
				if last, err = f.value(to); err != nil {
					return nil, err
				}
			case !stepped:
				last = first
			}
		}
		if last < first { // a range that wraps around, such as FRI-MON
			for n := first; n <= f.last; n += step {
				fits[n] = true
			}
			first = f.first
		}
		for n := first; n <= last; n += step {
			fits[n] = true
		}
	}
	return fits, nil
}

// lastDay returns the last day of a date's month.
func lastDay(date time.Time) int {
	return time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// parseDays reads the day of the month: also L, the last day, and 15W, the weekday nearest
// to the 15th in the same month.
func parseDays(text string) (func(time.Time) bool, error) {
	if text == "L" {
		return func(date time.Time) bool { return date.Day() == lastDay(date) }, nil
	}
	if near, ok := strings.CutSuffix(text, "W"); ok {
		wanted, err := dayField.value(near)
		if err != nil {
			return nil, err
		}
		return func(date time.Time) bool {
			if wanted > lastDay(date) {
				return false
			}
			day := time.Date(date.Year(), date.Month(), wanted, 0, 0, 0, 0, time.UTC)
			switch {
			case day.Weekday() == time.Saturday && wanted > 1:
				wanted := wanted - 1
				return date.Day() == wanted
			case day.Weekday() == time.Saturday:
				return date.Day() == wanted+2
			case day.Weekday() == time.Sunday && wanted < lastDay(date):
				return date.Day() == wanted+1
			case day.Weekday() == time.Sunday:
				return date.Day() == wanted-2
			}
			return date.Day() == wanted
		}, nil
	}
	fits, err := dayField.parse(text)
	return func(date time.Time) bool { return fits[date.Day()] }, err
}

// parseWeekdays reads the day of the week: also 6L, the last Friday of the month, L, which
// is Saturday, and 3#2, the second Tuesday of the month.
func parseWeekdays(text string) (func(time.Time) bool, error) {
	weekday := func(date time.Time) int { return int(date.Weekday()) + 1 }
	if day, ok := strings.CutSuffix(text, "L"); ok {
		if day == "" {
			return func(date time.Time) bool { return weekday(date) == 7 }, nil
		}
		wanted, err := weekdayField.value(day)
		return func(date time.Time) bool { return weekday(date) == wanted && date.Day()+7 > lastDay(date) }, err
	}
	if day, nth, ok := strings.Cut(text, "#"); ok {
		wanted, err := weekdayField.value(day)
		n, bad := strconv.Atoi(nth)
		if err == nil && (bad != nil || n < 1 || n > 5) {
			err = fmt.Errorf("day of week: %q is not from 1 to 5", nth)
		}
		return func(date time.Time) bool { return weekday(date) == wanted && (date.Day()-1)/7 == n-1 }, err
	}
	fits, err := weekdayField.parse(text)
	return func(date time.Time) bool { return fits[weekday(date)] }, err
}

// next returns the first matching minute after t, in t's zone. A time that a change to
// daylight saving time skips does not occur that day.
func (c *cron) next(t time.Time) (time.Time, bool) {
	date := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	for ; date.Year() <= yearField.last; date = date.AddDate(0, 0, 1) {
		switch {
		case !c.years[date.Year()]:
			date = time.Date(date.Year(), time.December, 31, 0, 0, 0, 0, time.UTC)
			continue
		case !c.months[date.Month()]:
			date = time.Date(date.Year(), date.Month(), lastDay(date), 0, 0, 0, 0, time.UTC)
			continue
		case !c.days(date):
			continue
		}
		for hour, fits := range c.hours {
			for minute := range c.minutes {
				if !fits || !c.minutes[minute] {
					continue
				}
				at := time.Date(date.Year(), date.Month(), date.Day(), hour, minute, 0, 0, t.Location())
				if at.After(t) && at.Hour() == hour {
					return at, true
				}
			}
		}
	}
	return time.Time{}, false
}
