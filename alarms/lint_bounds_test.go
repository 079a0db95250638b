package alarms

import (
	"fmt"
	"strings"
	"testing"
)

// TestBounds: an expression whose values cannot meet the threshold is named, in whatever
// form it is written. One whose values can is not.
func TestBounds(t *testing.T) {
	lambda := func(id, metric, function string) Query {
		return Query{ID: id, Stat: &Stat{Namespace: "AWS/Lambda", Metric: metric, Dimensions: []Dimension{{"FunctionName", function}}, Statistic: "Sum", Period: 60}}
	}
	for _, tt := range []struct {
		expression string
		comparison Comparison
		threshold  float64
		want       string
	}{
		{"e/i", Greater, 1, "at most 1"},
		{"e/i", GreaterOrEqual, 1, ""},
		{"100 * (e / i)", GreaterOrEqual, 101, "at most 100"},
		{"100*e/i", Greater, 99, ""},
		{"e/(i/100)", Greater, 100, "at most 100"},
		{"100*FILL(e,0)/FILL(i, REPEAT)", Greater, 100, "at most 100"},
		{"100-100*e/i", Greater, 100, "at most 100"},
		{"100*(1-e/i)", Less, 0, "at least 0"},
		{"100*(i-e)/i", Less, 99, ""},
		{"100*(i-e)/i", LessOrEqual, -1, "at least 0"},
		{"IF(i>100, 100*e/i, 0)", Greater, 100, "at most 100"},
		{"IF(i>100, 100*e/i)", Greater, 100, "at most 100"},
		{"IF(i>100, e, 0)", Greater, 100, ""},
		{"e > 5 AND i > 10", Greater, 1, "at most 1"},
		{"e > 5 || i > 10", GreaterOrEqual, 1, ""},
		{"MAX([e/i, o/i])", Greater, 1, ""},
		{"MAX([e/i, e/i])", Greater, 1, "at most 1"},
		{"o/i", Greater, 1, ""}, // the errors of another function
		{"i/e", Greater, 5, ""},
		{"e+i", Less, 0, "at least 0"},
		{"e-i", Less, -5, ""},
		{"-e", Greater, 0, "at most 0"},
		{"c/i", Less, 0, ""}, // a custom metric can be negative
		{"RATE(e)", Less, 0, ""},
		{"SUM(METRICS())", Less, 0, ""},
		{"share", Greater, 1, "at most 1"},
		{"loop", Greater, 1, ""},
		{"HOUR(e)", Greater, 23, "at most 23"},
		{"CEIL(e/i)+FLOOR(ABS(e/i))", Greater, 2, "at most 2"},
		{"e/i)", Greater, 1, ""},
		{strings.Repeat("(", 500) + "e" + strings.Repeat(")", 500), Less, 0, ""},
	} {
		a := Alarm{Comparison: tt.comparison, Threshold: tt.threshold, Queries: []Query{
			lambda("e", "Errors", "f"), lambda("i", "Invocations", "f"), lambda("o", "Errors", "g"),
			{ID: "c", Stat: &Stat{Namespace: "Own", Metric: "Balance", Statistic: "Sum", Period: 60}},
			{ID: "share", Expression: "e/i"}, {ID: "loop", Expression: "loop+1"},
			{ID: "r", Expression: tt.expression, Return: true},
		}}
		l := &linter{set: Set{Namespace: "Throughline"}}
		l.reach(a, a.Queries[len(a.Queries)-1])
		got := ""
		for _, f := range l.findings {
			got += f.Message
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s %v: %q, not %q", tt.expression, tt.comparison, tt.threshold, got, tt.want)
		}
	}
}

// TestQuotedTexts: names within quotes are no IDs, whichever quotes they are.
func TestQuotedTexts(t *testing.T) {
	for _, expression := range []string{`INSIGHT_RULE_METRIC("my-rule", "UniqueContributors")`, `INSIGHT_RULE_METRIC('my-rule', 'UniqueContributors')`} {
		l := &linter{}
		l.expression(Query{ID: "r", Expression: expression}, map[string]bool{"r": true})
		for _, f := range l.findings {
			t.Errorf("%s: %s", expression, f)
		}
	}
}

// TestBoundsOfAChain: each expression names the one before twice. Each is computed once.
func TestBoundsOfAChain(t *testing.T) {
	queries := []Query{{ID: "m0", Stat: &Stat{Namespace: "AWS/Lambda", Metric: "Errors", Statistic: "Sum", Period: 60, Dimensions: []Dimension{{Name: "FunctionName", Value: "f"}}}}}
	for n := range 100 {
		queries = append(queries, Query{ID: fmt.Sprint("m", n+1), Expression: fmt.Sprintf("MAX([m%d, m%[1]d])", n), Return: n == 99})
	}
	l := &linter{set: Set{Namespace: "Throughline"}}
	l.reach(Alarm{Comparison: Less, Threshold: 0, Queries: queries}, queries[100])
	if len(l.findings) != 1 || !strings.Contains(l.findings[0].Message, "at least 0") {
		t.Errorf("%v", l.findings)
	}
}
