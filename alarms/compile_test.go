package alarms

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func compile(t *testing.T, text string) Set {
	t.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func every(t *testing.T) Set {
	t.Helper()
	text, err := os.ReadFile("testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, string(text))
}

// table is what a set watches, a line each.
func table(s Set) string {
	var b strings.Builder
	for _, a := range s.Alarms {
		fmt.Fprintf(&b, "%s | %s | %s %s | %s @%d | %s | %s\n", a.Name, describeQueries(a.Queries), a.Comparison.Symbol(), number(a.Threshold), windowText(a), a.Period(), a.Missing, a.Meta.Severity)
	}
	for _, c := range s.Composites {
		fmt.Fprintf(&b, "%s | %s\n", c.Name, c.Rule)
	}
	return b.String()
}

// TestPacks holds every row of every pack, in both profiles, to its golden line,
// and all of them to lint.
func TestPacks(t *testing.T) {
	text, err := os.ReadFile("testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{"full", "basic"} {
		s := compile(t, strings.Replace(string(text), "profile: full", "profile: "+profile, 1))
		golden := filepath.Join("testdata", profile+".golden")
		if os.Getenv("THROUGHLINE_UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(table(s)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := table(s); got != string(want) {
			t.Errorf("%s:\n%s\nnot\n%s", profile, got, want)
		}
		for _, f := range Lint(s) {
			t.Errorf("%s: %s", profile, f)
		}
	}
}

func TestBasicProfileSaysWhatItLeavesOut(t *testing.T) {
	s := compile(t, "name: o\nresources:\n- {kind: events, service: o, detailTypes: [T]}")
	var notes []string
	for _, n := range s.Notes {
		notes = append(notes, fmt.Sprint(n.Line, " ", n.Message))
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{"3 o: no age alarm: only THROUGHLINE_METRICS=full emits DeliveryLag", "no hops alarm: only THROUGHLINE_METRICS=full emits HopCount"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// TestPrecedence: pack, defaults, overrides in their order; and Explain names the
// line that set each field.
func TestPrecedence(t *testing.T) {
	s := compile(t, `name: o
defaults: {for: 2 of 4, minSamples: 7}
resources:
  - {kind: lambda, name: f, timeout: 30s}
  - {kind: lambda, name: g}
overrides:
  - {match: {kind: lambda, key: errors}, threshold: 5%, severity: warning}
  - {match: {name: f, key: errors}, threshold: ">= 10%", minSamples: 50, for: 3 of 3, actions: ["arn:aws:sns:a:1:t"]}
  - {match: {key: duration}, threshold: 50% of timeout, missing: ignore}
  - {match: {name: g}, disable: [errors-any]}
`)
	find := func(name string) Alarm {
		for _, a := range s.Alarms {
			if a.Name == name {
				return a
			}
		}
		t.Fatalf("no %s", name)
		return Alarm{}
	}
	f, g, d := find("o/f-errors"), find("o/g-errors"), find("o/f-duration")
	if f.Threshold != 10 || f.Comparison != GreaterOrEqual || f.EvaluationPeriods != 3 || f.Actions[0] != "arn:aws:sns:a:1:t" || !strings.Contains(describeQueries(f.Queries), "FILL(n,0) >= 50") {
		t.Errorf("%+v", f)
	}
	if g.Threshold != 5 || g.Meta.Severity != Warning || g.DatapointsToAlarm != 2 || g.EvaluationPeriods != 4 || !strings.Contains(describeQueries(g.Queries), ">= 7") {
		t.Errorf("%+v", g)
	}
	if d.Threshold != 15000 || d.Missing != Ignore {
		t.Errorf("%+v", d)
	}
	for _, a := range s.Alarms {
		if a.Name == "o/g-errors-any" {
			t.Error("disabled, and there")
		}
	}
	text := Explain(f, DefaultPrices())
	for _, want := range []string{"(override, line 8)", "(override, line 7)", "(pack lambda, row errors)", "costs $0.20 a month", ">= 10%"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestOverrideOfOneAlarm: an alarm's own name, placeholders and all, matches it
// and no other; and what OverrideText writes is such an override.
func TestOverrideOfOneAlarm(t *testing.T) {
	const spec = "name: o\nparameters: {F: {default: fn}}\nresources:\n- {kind: events, service: s, detailTypes: [A, B]}\n- {kind: lambda, name: \"${F}\", timeout: 30s}\n"
	s, err := compile(t, spec).Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	overrides := "overrides:\n"
	for _, a := range s.Alarms {
		if strings.Contains(a.Name, "A-payload") || a.Name == "o/s-loop" || a.Name == "o/fn-duration" || a.Name == "o/fn-errors" {
			overrides += OverrideText(a, 1_234_567.125) + "\n"
		}
	}
	var changed []string
	for _, a := range compile(t, spec+overrides).Alarms {
		if a.Threshold == 1_234_567.125 {
			changed = append(changed, a.Name)
		}
	}
	if fmt.Sprint(changed) != "[o/${F}-duration o/${F}-errors o/s-A-payload o/s-A-payload-critical o/s-loop]" {
		t.Errorf("%v by\n%s", changed, overrides)
	}
}

// TestNothingLeaks: compiling one spec changes nothing of another's defaults.
func TestNothingLeaks(t *testing.T) {
	plain := "name: a\nresources: [{kind: lambda, name: f, timeout: 30s}, {kind: dlq, name: q}]"
	before := table(compile(t, plain))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s, err := Compile(fmt.Appendf(nil, "name: b\nresources: [{kind: lambda, name: f, timeout: 30s}]\noverrides: [{match: {key: errors}, threshold: %d%%, minSamples: 9}]", 77))
			if err != nil {
				t.Error(err)
				return
			}
			for a := range s.Alarms { // and a caller that writes into what it was given
				s.Alarms[a].Queries[0].ID = "x"
				s.Alarms[a].Tags = append(s.Alarms[a].Tags, Tag{"k", fmt.Sprint(i)})
			}
		})
	}
	wg.Wait()
	if after := table(compile(t, plain)); after != before {
		t.Errorf("%s\nnot\n%s", after, before)
	}
}

func TestBadSpecs(t *testing.T) {
	const head = "name: o\nresources:\n- {kind: lambda, name: f}\n"
	for text, want := range map[string]string{
		"":                       "line 1: the spec is empty",
		"# nothing\n":            "the spec is empty",
		"[1]":                    "the spec is a list: it must be a mapping",
		"name: [":                "not YAML",
		"name: o\nname: p\n":     "name",
		"resources: []":          "the spec has no name",
		"name: o\nresources: []": "add what it is to watch",
		head + "tresholds: 1":    `line 4: the spec has no member "tresholds"`,
		"name: o\nresources:\n- {kind: lamda, name: f}":                                                                    `line 3: there is no kind of resource "lamda"; did you mean lambda?`,
		"name: o\nresources:\n- {kind: lambda, name: f, timout: 3s}":                                                       "did you mean timeout?",
		"name: o\nresources:\n- {kind: lambda}":                                                                            "kind lambda needs name",
		"name: o\nresources:\n- {name: f}":                                                                                 "a resource has no kind",
		"name: o\nresources:\n- f":                                                                                         "a resource is a text",
		"name: o\nresources:\n- {kind: lambda, name: f, timeout: 3}":                                                       `"3" is not a duration: write 30s`,
		"name: o\nresources:\n- {kind: dlq, name: f, drained: perhaps}":                                                    "write true or false",
		"name: o\nresources:\n- {kind: dynamodb, name: f, operations: [a,b,c,d,e,f,g,h,i,j]}":                              "at most nine",
		head + "overrides: [{match: {key: erors}, threshold: 1%}]":                                                         `there is no alarm "erors"; did you mean errors?`,
		head + "overrides: [{match: {name: g}, threshold: 1%}]":                                                            `it matches no alarm of "g"`,
		head + "overrides: [{match: {kind: dlq}, threshold: 1}]":                                                           "it matches no alarm",
		head + "overrides: [{disable: [erors]}]":                                                                           "did you mean errors?",
		head + "overrides: [{match: {key: errors}, threshold: 10s}]":                                                       `"10s" is not a percentage: write 1%`,
		head + "overrides: [{match: {key: errors-any}, threshold: 1%}]":                                                    `is not a count: write 5`,
		"name: o\nresources:\n- {kind: lambda, name: f, timeout: 9s}\noverrides: [{match: {key: duration}, threshold: 5}]": `is not a duration`,
		head + "overrides: [{match: {key: errors}, threshold: 5% of timeout}]":                                             "a share of timeout has no meaning here",
		head + "overrides: [{match: {key: errors}, threshold: lots}]":                                                      "does not begin with a number",
		head + "overrides: [{match: {key: errors}, for: 5 of 3}]":                                                          `"5 of 3": 5 datapoints can never breach of 3`,
		head + "overrides: [{match: {key: errors}, for: 0 of 3}]":                                                          "both are at least 1",
		head + "overrides: [{match: {key: errors}, for: often}]":                                                           "not of the form 3 of 5",
		head + "overrides: [{match: {key: errors}, missing: fine}]":                                                        "missing: \"fine\"",
		head + "overrides: [{match: {key: errors}, severity: page}]":                                                       "severity: \"page\"",
		head + "overrides: [{match: {key: throttles}, minSamples: 5}]":                                                     "is not a rate with a minimum number of samples",
		head + "overrides: [{match: {key: errors}, minSamples: -5}]":                                                       "not a number above 0",
		head + "notify: {critical: [\"${Topic}\"]}":                                                                        "${Topic} is not among the parameters",
		head + "parameters: {Topik: {}}\nnotify: {critical: [\"${Topic}\"]}":                                               "did you mean Topik?",
		head + "prefix: \"${\"":                                                                                            "has no closing bracket",
		head + "composites: [{name: c, any: [f-erors]}]":                                                                   "did you mean f-errors?",
		head + "composites: [{name: c}]":                                                                                   "lists alarms under any or under all",
		head + "alarms: [{name: a, threshold: 5}]":                                                                         "needs its namespace and its metric",
		head + "alarms: [{name: a, namespace: N, metric: M}]":                                                              "has no threshold",
		head + "alarms: [{name: a, threshold: 1, metrics: {m1: {namespace: N, metric: M}}}]":                               "return: name the metric",
		"name: o\nresources:\n- {kind: event-bus, arn: orders}":                                                            "write dimension",
		"name: o\nresources:\n- {kind: subscriber, arn: a}":                                                                "kind subscriber needs bus",
		head + "sizeLimit: big":                                                                                            "sizeLimit",
		head + "profile: fuller":                                                                                           "did you mean full?",
	} {
		_, err := Compile([]byte(text))
		var problems Problems
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &problems) {
			t.Errorf("%q:\n  %v\n  without %q", text, err, want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Compile([]byte("name: o\nresources:\n- {kind: lambda, name: f, timeout: 3}\n- {kind: lamda}\noverrides:\n- {match: {key: erors}}\n"))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 || problems[0].Line != 3 || problems[1].Line != 4 || problems[2].Line != 6 {
		t.Errorf("%v", err)
	}
}

func TestResolve(t *testing.T) {
	s := every(t)
	if _, err := s.Resolve(nil); err == nil || !strings.Contains(err.Error(), "no value for OrdersFn: give --set OrdersFn=…") {
		t.Error(err)
	}
	if _, err := s.Resolve(map[string]string{"OrderFn": "f"}); err == nil || !strings.Contains(err.Error(), "did you mean OrdersFn?") {
		t.Error(err)
	}
	resolved, err := s.Resolve(map[string]string{"OrdersFn": "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	if text := table(resolved); strings.Contains(text, "${") || !strings.Contains(text, "orders/fn-1-errors") {
		t.Error(text)
	}
	depth := slices.IndexFunc(resolved.Alarms, func(a Alarm) bool { return a.Name == "orders/orders-dlq-depth" })
	if actions := resolved.Alarms[depth].Actions; len(actions) != 1 || actions[0] != "arn:aws:sns:eu-west-1:123456789012:alerts" {
		t.Error(actions)
	}
	if resolved.LogGroups[0] != "/aws/lambda/fn-1" {
		t.Error(resolved.LogGroups)
	}
}

func TestCost(t *testing.T) {
	s := compile(t, "name: o\nresources: [{kind: dlq, name: q}]\nalarms:\n- {name: rate, threshold: 1, metrics: {a: {namespace: N, metric: M}, b: {namespace: N, metric: L}, e: {expression: a/b}}, return: e}\n- {name: fast, namespace: N, metric: M, period: 10s, threshold: 1, for: 1 of 1}\ncomposites: [{name: c, all: [rate, fast]}]")
	bill := Cost(s, DefaultPrices())
	want := Bill{Alarms: 3, Metrics: 3, HighResolution: 1, Composites: 1, Dollars: 0.3 + 0.3 + 0.5}
	if bill.Dollars-want.Dollars > 1e-9 || bill.Metrics != want.Metrics || bill.HighResolution != want.HighResolution || bill.Composites != 1 || bill.Alarms != 3 {
		t.Errorf("%+v", bill)
	}
}

func FuzzCompile(f *testing.F) {
	text, err := os.ReadFile("testdata/every.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("name: o\nresources: [{kind: seed}]"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Compile(data)
		if err != nil {
			return
		}
		Lint(s)
		for _, a := range s.Alarms {
			if !Equal(a, a.Normalize()) || a.Hash() != a.Normalize().Hash() {
				t.Fatalf("%+v is not what it is after Normalize", a)
			}
			Explain(a, DefaultPrices())
		}
	})
}

func ExampleReadable() {
	set, err := Compile([]byte("name: o\nresources: [{kind: lambda, name: f, timeout: 30s}, {kind: events, service: s, detailTypes: [T]}, {kind: queue, name: q}]"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range set.Alarms {
		switch a.Name {
		case "o/f-duration", "o/f-errors", "o/s-T-payload", "o/q-age", "o/q-in-flight":
			fmt.Println(a.Name, a.Comparison.Symbol(), Readable(a, a.Threshold))
		}
	}
	// Output:
	// o/f-duration > 27s
	// o/f-errors > 1%
	// o/q-age > 172800s
	// o/q-in-flight > 96000
	// o/s-T-payload > 819.2KiB
}

func ExampleLint() {
	set, err := Compile([]byte("name: o\nalarms:\n- {name: lost, namespace: AWS/Events, metric: FailedInvocations, dimensions: {RuleName: \"orders|created\"}, threshold: \"> 0\", for: 1 of 1, missing: notBreaching}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, finding := range Lint(set) {
		fmt.Println(finding)
	}
	// Output: line 3: o/lost: RuleName "orders|created" is what Ref returns for a rule on a custom bus: write EventBusName=orders and RuleName=created, as the metric has them
}

func ExampleCost() {
	set, err := Compile([]byte("name: o\nresources: [{kind: lambda, name: f}]"))
	if err != nil {
		fmt.Println(err)
		return
	}
	bill := Cost(set, DefaultPrices())
	fmt.Printf("%d alarms evaluate %d metrics: $%.2f a month\n", bill.Alarms, bill.Metrics, bill.Dollars)
	// Output: 3 alarms evaluate 5 metrics: $0.50 a month
}

func ExampleCompile() {
	set, err := Compile([]byte("name: orders\nresources: [{kind: dlq, name: orders-dlq}]"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range set.Alarms {
		fmt.Println(a.Name, a.Comparison.Symbol(), a.Threshold)
	}
	// Output: orders/orders-dlq-depth >= 1
}
