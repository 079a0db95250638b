package alarms

import (
	"strings"
	"testing"
)

// TestWhatIsMeasured: overrides of the period, the statistic and few samples.
func TestWhatIsMeasured(t *testing.T) {
	s := compile(t, `name: o
defaults: {period: 2m, lowSample: ignore}
resources:
  - {kind: event-rule, name: r, every: 2h}
  - {kind: lambda, name: f, timeout: 30s}
overrides:
  - {match: {key: latency}, statistic: p90, period: 5m, lowSample: evaluate}
  - {match: {key: duration}, statistic: p99, hours: "Mon-Fri 09:00-17:00"}
`)
	got := map[string]Alarm{}
	for _, a := range s.Alarms {
		got[a.Meta.Key] = a
	}
	if a := got["latency"]; a.Queries[0].Stat.Statistic != "p90" || a.Period() != 300 || a.LowSample != "" {
		t.Errorf("%+v", a)
	}
	if a := got["errors"]; a.Period() != 120 || a.Queries[0].Stat.Period != 120 || a.LowSample != "" {
		t.Errorf("%+v", a)
	}
	if a := got["silent"]; a.Period() != 3600 {
		t.Errorf("%+v", a)
	}
	if a := got["duration"]; !strings.Contains(describeQueries(a.Queries), "p99 Duration") || !strings.Contains(describeQueries(a.Queries), "IF(((DAY(filled) >= 1 AND DAY(filled) <= 5)) AND (HOUR(filled) >= 9) AND (HOUR(filled) < 17), filled, 0)") {
		t.Error(describeQueries(a.Queries))
	}
	if text := Explain(got["duration"], DefaultPrices()); !strings.Contains(text, "hours") || !strings.Contains(text, "Mon-Fri 09:00-17:00  (override, line 8)") {
		t.Error(text)
	}
	for _, f := range Lint(s) {
		if !strings.Contains(f.Message, "of few samples") {
			t.Errorf("%s", f)
		}
	}
	for change, want := range map[string]string{
		"match: {key: errors}, statistic: Average":        "has several metrics",
		"match: {key: failed}, lowSample: ignore":         "does not watch a percentile",
		"match: {key: latency}, lowSample: maybe":         "lowSample",
		"match: {key: failed}, hours: nine-to-five":       "Mon-Fri 09:00-17:00",
		"match: {key: failed}, hours: Mon 09:00-09:00":    "Mon-Fri 09:00-17:00",
		"match: {key: failed}, hours: Mon-Fry 9:00-17:00": "Mon-Fri 09:00-17:00",
		"match: {key: failed}, period: often":             "not a duration",
	} {
		_, err := Compile([]byte("name: o\nresources: [{kind: event-rule, name: r}, {kind: lambda, name: f}]\noverrides: [{" + change + "}]"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// TestNames: a template of names, which composites and overrides follow.
func TestNames(t *testing.T) {
	s := compile(t, `name: o
prefix: alch-
names: "{severity}-{kind}.{resource}.{key}"
watch: essential
resources:
  - {kind: lambda, name: f, timeout: 30s}
  - {kind: dlq, name: d, of: f}
  - {kind: dynamodb, name: t, indexes: [i]}
overrides:
  - {match: {name: t}, enable: [throttles]}
  - {match: {name: critical-service.f.lost}, threshold: 3}
`)
	text := table(s)
	for _, want := range []string{"alch-critical-lambda.f.errors-any |", "alch-warning-dynamodb.t-i.throttles |", "alch-critical-service.f.service | ALARM(\"alch-critical-lambda.f.errors-any\") OR ALARM(\"alch-critical-service.f.lost\")", "> 3 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if s = compile(t, "name: o\nnames: \"{key}/{detail}/{resource}\"\nresources: [{kind: dynamodb, name: t, indexes: [i]}]"); !strings.Contains(table(s), "o/throttles/i/t |") {
		t.Error(table(s))
	}
	for _, bad := range []string{"{key}", "{resource}", "{resource}-{key}-{stage}"} {
		if _, err := Compile([]byte("name: o\nnames: \"" + bad + "\"\nresources: [{kind: account}]")); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
