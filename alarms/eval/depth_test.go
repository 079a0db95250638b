package eval

import (
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
)

// TestDepthOfExpressions: how deep an expression nests is bounded, how long it is
// is not.
func TestDepthOfExpressions(t *testing.T) {
	for expression, want := range map[string]string{
		strings.Repeat("(m1) + ", 300) + "m1":                                      "",
		strings.Repeat("ABS(m1) + ", 300) + "m1":                                   "",
		strings.Repeat("-m1 + ", 300) + "m1":                                       "",
		strings.Repeat("(", 150) + "m1" + strings.Repeat(")", 150):                 "",
		strings.Repeat("(", 250) + "m1" + strings.Repeat(")", 250):                 "nested too deep",
		strings.Repeat("ABS(", 10_000) + "m1":                                      "nested too deep",
		strings.Repeat("-", 10_000) + "m1":                                         "nested too deep",
		"SUM([" + strings.Repeat("(m1),", 300) + "m1])":                            "",
		"IF(" + strings.Repeat("(m1) AND ", 300) + "m1, m1, m1)":                   "",
		"FILL(" + strings.Repeat("FILL(", 250) + "m1" + strings.Repeat(",0)", 251): "nested too deep",
	} {
		a := alarms.Alarm{Name: "a", Queries: []alarms.Query{
			{ID: "m1", Stat: &alarms.Stat{Namespace: "N", Metric: "M", Statistic: "Sum", Period: 60}}, {ID: "e", Expression: expression, Return: true},
		}}
		_, _, err := Datapoints(a, Table{Key(*a.Queries[0].Stat): {60: 1}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s…: %v, want %q", expression[:min(len(expression), 40)], err, want)
		}
	}
}
