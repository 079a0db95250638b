package eval

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row reads a row of the documentation: datapoints a minute apart, - for a missing one.
func row(text string) Series {
	out := Series{}
	for i, word := range strings.Fields(text) {
		if f, err := strconv.ParseFloat(word, 64); err == nil {
			out[int64(i)*60] = f
		}
	}
	return out
}

// TestDocumentedMath are the tables and the sentences of "Using math expressions with
// CloudWatch metrics" on missing datapoints.
func TestDocumentedMath(t *testing.T) {
	for _, tt := range []struct{ expression, m1, m2, m3, want string }{
		// Comparison and logical operators.
		{"m1 < m2", "30 20 0 0", "20 - 20 -", "", "0 0 1 0"},
		{"m1 >= 30", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"m1 > 15 AND m2 > 15", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"m1 > 15 && m2 > 15", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"m1 > 15 OR m2 > 15", "30 20 0 0", "20 - 20 -", "", "1 1 1 0"},
		{"m1 == m2", "1 0 - -", "1 - 0 -", "", "1 1 1 -"},
		{"m1 != 1", "1 0 -", "", "", "0 1 -"},
		// Using IF expressions.
		{"IF(m1, m2, m3)", "1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20", "30 0 20 - -"},
		{"IF(m1, 5, m3)", "1 1 0 0 -", "", "0 0 20 - 20", "5 5 20 - -"},
		{"IF(m1, m2, 5)", "1 1 0 0 -", "30 - 0 0 30", "", "30 0 5 5 -"},
		{"IF(m1, m2)", "1 1 0 0 -", "30 - 0 0 30", "", "30 0 - - -"},
		{"IF(m1 < 400, m1)", "300 500 - 100", "", "", "300 - - 100"},
		{"IF(m1 < 400, 10, 2)", "300 500 - 100", "", "", "10 2 - 10"},
		{"IF(1, m2, m3)", "0 0 0", "1 - 3", "4 5 6", "1 - 3"},
		{"IF(0, m2, m3)", "0 0 0", "1 - 3", "4 - 6", "4 - 6"},
		{"IF(-1, m2)", "0 0 0", "1 - 3", "", "1 - 3"},
		// Basic arithmetic: a missing value is 0, a division by zero is dropped.
		{"m1 + m2", "1 2 - -", "10 - 30 -", "", "11 2 30 -"},
		{"m1 - m2", "1 2 - -", "10 - 30 -", "", "-9 2 -30 -"},
		{"m1 * m2", "2 2 - -", "10 - 30 -", "", "20 0 0 -"},
		{"m1 / m2", "10 10 - -", "2 - 5 -", "", "5 - 0 -"},
		{"5 * m1", "2 -", "", "", "10 -"},
		{"-m1", "2 -", "", "", "-2 -"},
		{"m1 ^ 2", "3 -", "", "", "9 -"},
		{"SUM(100/[m1, m2])", "10 20 - -", "50 - 25 -", "", "12 5 4 -"},
		{"AVG([m1,m2]/m3)", "2 4", "6 -", "2 2", "2 1"},
		{"SUM(-[m1, m2])", "1 2", "10 -", "", "-11 -2"},
		// Functions.
		{"AVG([m1, m2])", "1 2 - -", "3 - 5 -", "", "2 1 2.5 -"},
		{"AVG(METRICS())", "1 2", "3 -", "", "2 1"},
		{"SUM(METRICS())", "1 2 -", "10 - -", "", "11 2 -"},
		{"SUM(METRICS(\"2\"))", "1 2", "10 20", "", "10 20"},
		{"METRICS(\"1\") * 0 + 3", "1 2", "10 20", "", ""},
		{"SUM([METRICS(\"1\"), METRICS(\"2\")])", "1 2 -", "10 - -", "", "11 2 -"},
		{"SUM(METRICS(\"1\"))/SUM(METRICS(\"2\"))*100", "1 2", "10 -", "", "10 -"},
		{"SUM(METRICS()*100)", "1 2", "3 -", "", "400 200"},
		{"m1/METRIC_COUNT(METRICS())", "2 4", "1 1", "", "1 2"},
		{"DATAPOINT_COUNT(METRICS())", "2 4 -", "1 - -", "", "2 1 -"},
		{"FIRST(METRICS()) - LAST(METRICS())", "5 4", "1 1", "", "4 3"},
		{"SUM(SLICE(METRICS(), 1))", "5 4", "1 2", "3 3", "4 5"},
		{"SUM(SLICE(METRICS(), 0, 2))", "5 4", "1 2", "3 3", "6 6"},
		{"AVG(REMOVE_EMPTY(METRICS()))", "5 4", "", "3 2", "4 3"},
		{"SUM(FILL(METRICS(), m3))", "1 -", "- 2", "5 7", "11 16"},
		{"IF(FIRST(METRICS()) > 4, 1, 0)", "5 4", "1 2", "", "1 0"},
		{"SUM(DIFF(METRICS()))", "1 3", "2 5", "", "- 5"},
		{"MIN(RATE(METRICS()))", "0 60", "0 120", "", "- 1"},
		{"IF(MONTH(m1) == 1, m1)", "1 2", "", "", "1 2"},
		{"IF((DAY(m1)<6 AND (HOUR(m1)>=9 AND HOUR(m1)<17)), m1)", "1 2", "", "", "- -"},
		{"m1*TIME_SERIES(10)", "1 2", "", "", "10 20"},
		{"FLOOR(m1)", "1.5 -1.5", "", "", "1 -2"},
		{"LOG(METRICS())", "1 1", "1 1", "", ""},
		{"MIN([m1, m2])", "1 2 -", "3 - 5", "", "1 2 5"},
		{"MAX([m1, m2])", "1 2 -", "3 - 5", "", "3 2 5"},
		{"MIN(ABS([m1, m2]))", "-1 2", "3 -4", "", "1 2"},
		{"SUM(CEIL(METRICS()))", "0.5 1", "0.2 -", "", "2 1"},
		{"FILL(m1, 10)", "1 - 3 -", "0 0 0 0", "", "1 10 3 10"},
		{"FILL(m1, m2)", "1 - - -", "9 8 - 7", "", "1 8 - 7"},
		{"FILL(m1, REPEAT)", "- 1 - - 3 -", "0 0 0 0 0 0", "", "- 1 1 1 3 3"},
		{"FILL(m1, LINEAR)", "- 1 - - 4 -", "0 0 0 0 0 0", "", "- 1 2 3 4 -"},
		{"SUM(FILL(METRICS(), 0))", "1 -", "- 2", "", "1 2"},
		{"DIFF(m1)", "1 - 4 6", "", "", "- - 3 2"},
		{"RATE(m1)", "0 60 - 60 0", "", "", "- 1 - 0 -1"},
		{"DIFF_TIME(m1)", "1 - 4 6", "", "", "- - 120 60"},
		{"m1/PERIOD(m1)", "60 120", "", "", "1 2"},
		{"LOG10(m1)", "100 -", "", "", "2 -"},
		{"LOG(m1)", "1 0", "", "", "0 -"},
		{"TIME_SERIES(7)", "1 - 1", "", "", "7 7 7"},
		{"MINUTE(m1)", "1 - 1", "", "", "0 1 2"},
		{"HOUR(m1) * 0 + DAY(m1)", "1 1", "", "", "4 4"}, // 1 January 1970 was a Thursday
		{"DATE(m1) + MONTH(m1) + YEAR(m1)", "1", "", "", "1972"},
		{"EPOCH(m1)", "1 - 1", "", "", "0 60 120"},
		{"IF(DAY(m1)<6,m1)", "3 - 4", "", "", "3 0 4"},
	} {
		data := Table{}
		for name, points := range map[string]string{"m1": tt.m1, "m2": tt.m2, "m3": tt.m3} {
			if points != "" {
				data[Key(*stat(name, name).Stat)] = row(points)
			}
		}
		names := []string{"m1", "m2", "m3"}
		if tt.m3 == "" {
			names = names[:2]
		}
		if tt.m2+tt.m3 == "" {
			names = names[:1]
		}
		got, _, err := Datapoints(over(tt.expression, names...), data)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: an array is no alarm: %v", tt.expression, got)
			}
			continue
		}
		if want := row(tt.want); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v; not %v", tt.expression, got, err, want)
		}
	}
}

// TestBusinessHours: the functions of time are in UTC.
func TestBusinessHours(t *testing.T) {
	at := time.Date(2026, 11, 29, 23, 59, 0, 0, time.UTC).Unix() // a Sunday
	for expression, want := range map[string]float64{"HOUR(m1)": 23, "DAY(m1)": 7, "DATE(m1)": 29, "MONTH(m1)": 11, "YEAR(m1)": 2026, "MINUTE(m1)": 59} {
		got, _, err := Datapoints(over(expression, "m1"), Table{Key(*stat("m1", "m1").Stat): {at: 1}})
		if err != nil || got[at] != want {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
}
