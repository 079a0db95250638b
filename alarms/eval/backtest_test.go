package eval

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
)

func stat(id, metric string) alarms.Query {
	return alarms.Query{ID: id, Stat: &alarms.Stat{Namespace: "N", Metric: metric, Statistic: "Sum", Period: 60}}
}

func over(expression string, names ...string) alarms.Alarm {
	a := alarms.Alarm{Name: "a", Comparison: alarms.Greater, EvaluationPeriods: 1, DatapointsToAlarm: 1, Missing: alarms.NotBreaching}
	for _, n := range names {
		a.Queries = append(a.Queries, stat(n, n))
	}
	a.Queries = append(a.Queries, alarms.Query{ID: "e", Expression: expression, Return: true})
	return a
}

func TestMetricMath(t *testing.T) {
	data := Table{
		Key(*stat("", "a").Stat): {0: 10, 60: 20, 180: 0},
		Key(*stat("", "b").Stat): {0: 2, 120: 4, 180: 0},
	}
	for expression, want := range map[string]Series{
		"a":                              {0: 10, 60: 20, 180: 0},
		"a + b":                          {0: 12, 60: 20, 120: 4, 180: 0},
		"a / b":                          {0: 5, 120: 0}, // by zero there is no datapoint
		"100*FILL(b,0)/a":                {0: 20, 60: 0},
		"FILL(a,0)+FILL(b,0)":            {0: 12, 60: 20, 120: 4, 180: 0},
		"IF(FILL(a,0) >= 15, a, 0)":      {0: 0, 60: 20, 120: 0, 180: 0},
		"IF(a > 5 AND FILL(b,0)==0,1,0)": {0: 0, 60: 1, 120: 0, 180: 0},
		"-(a - 1) ^ 2":                   {0: 81, 60: 361, 180: 1},
		"IF(a > 5, a)":                   {0: 10, 60: 20},
		"MAX([a, b])":                    {0: 10, 60: 20, 120: 4, 180: 0},
		"SUM(a, b) * 2":                  {0: 24, 60: 40, 120: 8, 180: 0},
		"AVG([a,b]) + ABS(-1)":           {0: 7, 60: 11, 120: 3, 180: 1},
		"2 >= 1 || 0":                    {0: 1, 60: 1, 120: 1, 180: 1},
		"CEIL(a/3) - FLOOR(a/3)":         {0: 1, 60: 1, 180: 0},
		"MIN(a, 15)":                     {0: 10, 60: 15, 180: 0},
	} {
		got, known, err := Datapoints(over(expression, "a", "b"), data)
		if err != nil || !known || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v, %v; not %v", expression, got, known, err, want)
		}
	}
	for expression, message := range map[string]string{
		"STDDEV(a)":              "STDDEV is not supported in a backtest",
		"[a, b]":                 "several series",
		"[a, b] * [a, b]":        "only one operand of an operator can be an array",
		"METRICS(\"z\") + 1":     "selects no metric",
		"[a, b":                  "a list is not closed",
		"a +":                    "ends early",
		"(a":                     "not closed",
		"a b":                    `unexpected "b"`,
		"c":                      "there is no metric or expression c",
		"e + 1":                  "in a cycle",
		"IF(a)":                  "takes 2 or 3 arguments",
		"SUM(a)":                 "a single number over all datapoints",
		strings.Repeat("(", 300): "nested too deep",
		"IF(a, 1":                "not closed",
	} {
		if _, _, err := Datapoints(over(expression, "a", "b"), data); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, without %q", expression[:min(len(expression), 20)], err, message)
		}
	}
}

func FuzzExpression(f *testing.F) {
	f.Add("IF(FILL(a,0) >= 20, 100*FILL(b,0)/a, 0)")
	f.Add("((((a")
	f.Add("SUM([a,b])")
	f.Add("0/0")
	f.Add("IF(FILL(a, 1/0), 1/0, FILL(b, 0/0))")
	f.Fuzz(func(t *testing.T, expression string) {
		points, _, err := Datapoints(over(expression, "a", "b"), Table{Key(*stat("", "a").Stat): {0: 1, 60: 2}})
		for _, v := range points {
			if err == nil && math.IsNaN(v) {
				t.Fatalf("%q gives a datapoint that is no number", expression)
			}
		}
	})
}

// TestBacktestAgreesWithASecondEvaluation: transitions, pages and times of random
// histories, told by a loop that keeps nothing but the whole history.
func TestBacktestAgreesWithASecondEvaluation(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		n := 1 + random.IntN(5)
		period := []int{60, 300, 3600}[random.IntN(3)]
		a := alarms.Alarm{Name: "a", Comparison: []alarms.Comparison{alarms.Greater, alarms.LessOrEqual}[random.IntN(2)], Threshold: 50,
			EvaluationPeriods: n, DatapointsToAlarm: 1 + random.IntN(n), Missing: treatments[random.IntN(4)]}
		s := alarms.Stat{Namespace: "N", Metric: "m", Statistic: "Maximum", Period: period}
		a.Queries = []alarms.Query{{ID: "m1", Stat: &s, Return: true}}
		start := time.Unix(int64(period)*1000, 0)
		points := Series{}
		var all []Mark
		for i := range 400 {
			mark := None
			if density := random.Float64(); density < 0.7 {
				f := float64(random.IntN(100))
				points[start.Unix()+int64(i*period)] = f
				mark = Good
				if (a.Comparison == alarms.Greater) == (f > 50) {
					mark = Breach
				}
			}
			all = append(all, mark)
		}
		report, err := Backtest(a, Table{Key(s): points}, start, start.Add(time.Duration(400*period)*time.Second), 0)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		state, pages, inAlarm := State(""), 0, 0
		for i := range all {
			before := state
			if before == "" {
				before = Insufficient
			}
			history := append(make([]Mark, n+2), all[:i+1]...)
			next := plain(RuleOf(a), before, history)
			if state != "" && next != state {
				want = append(want, fmt.Sprint(start.Unix()+int64((i+1)*period), state, next))
			}
			if next == InAlarm {
				inAlarm++
				if state != InAlarm {
					pages++
				}
			}
			state = next
		}
		var got []string
		for _, tr := range report.Transitions {
			got = append(got, fmt.Sprint(tr.At.Unix(), tr.From, tr.To))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || report.Pages != pages || report.InAlarm != time.Duration(inAlarm*period)*time.Second {
			t.Fatalf("round %d, %+v: %v, %d pages; by the second evaluation %v, %d pages", round, RuleOf(a), got, report.Pages, want, pages)
		}
	}
}

// TestScale: values and threshold times a thousand change nothing.
func TestScale(t *testing.T) {
	a := over("m", "m")
	a.Queries[1].Expression = "m"
	random := rand.New(rand.NewPCG(5, 6))
	one, thousand := Series{}, Series{}
	for i := range int64(500) {
		f := random.Float64() * 10
		one[i*60], thousand[i*60] = f, f*1000
	}
	end := time.Unix(500*60, 0)
	a.Threshold = 7
	first, err := Backtest(a, Table{Key(*a.Queries[0].Stat): one}, time.Unix(0, 0), end, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.Threshold = 7000
	second, err := Backtest(a, Table{Key(*a.Queries[0].Stat): thousand}, time.Unix(0, 0), end, 0)
	if err != nil || fmt.Sprint(first) != fmt.Sprint(second) || first.Pages == 0 {
		t.Errorf("%v\n%v\n%v", err, first, second)
	}
}

func TestSuggest(t *testing.T) {
	a := alarms.Alarm{Name: "a", Comparison: alarms.Greater, Threshold: 1, EvaluationPeriods: 1, DatapointsToAlarm: 1, Missing: alarms.NotBreaching,
		Queries: []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{Namespace: "N", Metric: "m", Statistic: "Maximum", Period: 60}}}}
	points := Series{}
	for i := range int64(7 * 24 * 60) {
		points[i*60] = 10
		if i%1440 == 700 { // once a day
			points[i*60] = 50
		}
		if i == 5000 {
			points[i*60] = 90
		}
	}
	data, from, to := Table{Key(*a.Queries[0].Stat): points}, time.Unix(0, 0), time.Unix(7*24*3600, 0)
	for pages, want := range map[float64]float64{0: 90, 1: 50, 8: 10} {
		step, ok, err := Suggest(a, data, from, to, 0, pages)
		if err != nil || !ok || step.Threshold != want || step.PerWeek > pages {
			t.Errorf("at most %v pages: %+v, %v, %v", pages, step, ok, err)
		}
	}
	low := a
	low.Comparison = alarms.Less
	if step, ok, err := Suggest(low, data, from, to, 0, 0); err != nil || !ok || step.Threshold != 10 {
		t.Errorf("low values: %+v, %v, %v", step, ok, err)
	}
	// A threshold that is too low is raised, one that is too high lowered; where every
	// observed value pages, beyond all of them.
	for _, now := range []float64{1, 1000} {
		reached := a
		reached.Comparison, reached.Threshold = alarms.GreaterOrEqual, now
		if step, ok, err := Suggest(reached, data, from, to, 0, 0); err != nil || !ok || step.Threshold != 99 || step.Pages != 0 {
			t.Errorf(">= %v: %+v, %v, %v", now, step, ok, err)
		}
	}
	if _, _, err := Suggest(a, data, from, from.Add(23*time.Hour), 0, 1); err == nil || !strings.Contains(err.Error(), "the history is 23h0m0s long") {
		t.Errorf("a short record: %v", err)
	}
	if _, ok, err := Suggest(a, Table{}, from, to, 0, 0); ok || err != nil {
		t.Errorf("nothing observed: %v, %v", ok, err)
	}
}

func TestRecording(t *testing.T) {
	rec, err := ReadRecording(strings.NewReader(`not json
2026-11-24 INFO {"Service":"a","Errors":[1,0,2],"D":{"Values":[5,10],"Counts":[3,1]},"_aws":{"Timestamp":120500,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Service"]],"Metrics":[{"Name":"Errors"},{"Name":"D"}]}]}}
{"Service":"a","Errors":4,"_aws":{"Timestamp":190000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Service"]],"Metrics":[{"Name":"Errors"}]}]}}
{"_aws":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		metric, statistic string
		period            int
		series            Series
	}{
		{"Errors", "Sum", 60, Series{120: 3, 180: 4}},
		{"Errors", "Sum", 300, Series{0: 7}},
		{"Errors", "SampleCount", 60, Series{120: 3, 180: 1}},
		{"D", "Average", 60, Series{120: 6.25}},
		{"D", "p50", 60, Series{120: 5}},
		{"D", "p99", 60, Series{120: 10}},
		{"D", "Minimum", 60, Series{120: 5}},
		{"D", "Maximum", 60, Series{120: 10}},
		{"D", "tm90", 60, Series{}},
	} {
		got, known := rec.Series(alarms.Stat{Namespace: "N", Metric: want.metric, Dimensions: []alarms.Dimension{{Name: "Service", Value: "a"}}, Statistic: want.statistic, Period: want.period})
		if !known || fmt.Sprint(got) != fmt.Sprint(want.series) {
			t.Errorf("%s of %s: %v, %v", want.statistic, want.metric, got, known)
		}
	}
	if _, known := rec.Series(alarms.Stat{Namespace: "N", Metric: "Errors", Period: 60}); known {
		t.Error("another set of dimensions is another metric")
	}
	if from, to := rec.Span(); from.Unix() != 120 || to.Unix() != 240 {
		t.Error(from, to)
	}
	for input, message := range map[string]string{"": "no line is in the embedded metric format", strings.Repeat("x", maxLine+1): "longer than"} {
		if _, err := ReadRecording(strings.NewReader(input)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%v, without %q", err, message)
		}
	}
}

func FuzzReadRecording(f *testing.F) {
	f.Add([]byte(`{"Service":"a","E":1,"_aws":{"Timestamp":120500,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Service"]],"Metrics":[{"Name":"E"}]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := ReadRecording(bytes.NewReader(data))
		if (rec == nil) == (err == nil) {
			t.Fatal("neither a recording nor an error, or both")
		}
	})
}

func ExampleBacktest() {
	s := alarms.Stat{Namespace: "AWS/Lambda", Metric: "Errors", Statistic: "Sum", Period: 60}
	alarm := alarms.Alarm{Name: "errors", Comparison: alarms.Greater, EvaluationPeriods: 1, Missing: alarms.NotBreaching,
		Queries: []alarms.Query{{ID: "m1", Stat: &s, Return: true}}}
	history := Table{Key(s): {0: 0, 60: 2, 120: 0, 180: 0}}
	report, err := Backtest(alarm, history, time.Unix(0, 0), time.Unix(240, 0), 0)
	fmt.Println(report.Pages, report.InAlarm, err)
	// Output: 1 1m0s <nil>
}
