package alarms

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is the unit of a row's thresholds. CloudWatch gets a number in this unit.
type unit string

const (
	count        unit = "count"
	percent      unit = "%"
	milliseconds unit = "ms"
	seconds      unit = "s"
	bytes        unit = "bytes"
)

// scale is a unit, and the base of thresholds that are given as a share.
type scale struct {
	unit unit
	base string  // timeout, limit, retention, reserved; "" if shares have no meaning
	full float64 // the base's value, in the unit; 0 if the spec does not give it
}

// threshold reads a comparison, "" for the row's own, and a number in the scale's unit.
func (s scale) threshold(text string) (Comparison, float64, error) {
	text = strings.TrimSpace(text)
	var comparison Comparison
	for _, symbol := range []string{">=", "<=", ">", "<"} {
		if rest, ok := strings.CutPrefix(text, symbol); ok {
			comparison, text = comparisons[symbol], strings.TrimSpace(rest)
			break
		}
	}
	value, err := s.value(text)
	return comparison, value, err
}

func (s scale) value(text string) (float64, error) {
	if share, base, ok := strings.Cut(text, " of "); ok {
		return s.share(text, strings.TrimSpace(share), strings.TrimSpace(base))
	}
	number, suffix, err := leadingNumber(text)
	if err != nil {
		return 0, fmt.Errorf("%w: write %s", err, s.example())
	}
	switch s.unit {
	case count:
		if suffix == "" {
			return number, nil
		}
	case percent:
		if suffix == "%" {
			return number, nil
		}
	case milliseconds, seconds:
		if d, ok := duration(text); ok {
			if s.unit == seconds {
				return d.Seconds(), nil
			}
			return float64(d) / float64(time.Millisecond), nil
		}
	case bytes:
		if factor, ok := byteUnits[strings.ToLower(suffix)]; ok {
			return number * factor, nil
		}
	}
	return 0, fmt.Errorf("%q is not %s: write %s", text, s.noun(), s.example())
}

func (s scale) share(text, share, base string) (float64, error) {
	number, suffix, err := leadingNumber(share)
	switch {
	case err != nil || suffix != "%":
		return 0, fmt.Errorf("%q is not a share: write %s", text, s.example())
	case base != s.base:
		return 0, fmt.Errorf("%q: a share of %s has no meaning here: write %s", text, base, s.example())
	case s.full == 0:
		return 0, fmt.Errorf("%q: the resource's %s is not given", text, base)
	}
	return number / 100 * s.full, nil
}

func (s scale) noun() string {
	return map[unit]string{count: "a count", percent: "a percentage", milliseconds: "a duration", seconds: "a duration", bytes: "a size"}[s.unit]
}

func (s scale) example() string {
	text := map[unit]string{count: "5", percent: "1%", milliseconds: "30s", seconds: "5m", bytes: "200KB"}[s.unit]
	if s.base != "" {
		text += " or 80% of " + s.base
	}
	return text
}

// byteUnits are the units of sizes. EventBridge's limits are powers of two.
var byteUnits = map[string]float64{"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20}

func leadingNumber(text string) (float64, string, error) {
	end := 0
	for end < len(text) && strings.IndexByte("0123456789.-+_", text[end]) >= 0 {
		end++
	}
	number, err := strconv.ParseFloat(strings.ReplaceAll(text[:end], "_", ""), 64)
	if err != nil || math.IsInf(number, 0) {
		return 0, "", fmt.Errorf("%q does not begin with a number", text)
	}
	return number, strings.TrimSpace(text[end:]), nil
}

// duration reads 250ms, 30s, 5m, 1h, 14d.
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > 3650 {
			return 0, false
		}
		return time.Duration(n * 24 * float64(time.Hour)), true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}

// window reads "M of N".
func window(text string) (m, n int, err error) {
	first, second, ok := strings.Cut(text, " of ")
	if ok {
		var errM, errN error
		m, errM = strconv.Atoi(strings.TrimSpace(first))
		n, errN = strconv.Atoi(strings.TrimSpace(second))
		ok = errM == nil && errN == nil
	}
	switch {
	case !ok:
		return 0, 0, fmt.Errorf("%q is not of the form 3 of 5", text)
	case m < 1 || n < 1:
		return 0, 0, fmt.Errorf("%q: both are at least 1", text)
	case m > n:
		return 0, 0, fmt.Errorf("%q: %d datapoints can never breach of %d", text, m, n)
	}
	return m, n, nil
}

// number formats a threshold for people.
func number(f float64) string {
	if math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
