package alarmscmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/cmd/throughline/internal/alarmparse"
)

// system is the template of a trading system, its path and its text.
func system(t *testing.T) (path, text string) {
	t.Helper()
	path = filepath.Join("testdata", "system.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(data)
}

// TestSystem: init, lint, plan, apply and plan again, without an edit and without a --set;
// all of the system is found, and fewer than 70 alarms watch it.
func TestSystem(t *testing.T) {
	inMoto(t)
	path, _ := system(t)
	text := run(t, "alarms", "init", path, "--name", "trading", "--notify", "arn:aws:sns:eu-west-1:123456789012:alerts").want(t, 0).out
	for kind, want := range map[string]int{"lambda": 13, "event-rule": 11, "queue": 3, "dlq": 3, "dynamodb": 2, "scheduler": 1} {
		if got := strings.Count(text, "\n  - {kind: "+kind+","); got != want {
			t.Errorf("%d of %s, not %d\n%s", got, kind, want, text)
		}
	}
	for _, want := range []string{
		`{kind: dlq, name: "trading-${Stage}-execution-dlq.fifo", of: "trading-${Stage}-execution"}`, `{kind: lambda, name: "trading-${Stage}-execution", timeout: 600s, reserved: 10}`,
		`{kind: lambda, name: "trading-${Stage}-strategy-reports", timeout: 300s, async: true}`, `{kind: lambda, name: "trading-${Stage}-strategy-worker", timeout: 900s, destination: true, async: true}`,
		`{kind: event-rule, bus: "trading-${Stage}-events", name: "${TradeAggregatorFunctionTradeExecuted}", of: "trading-${Stage}-trade-aggregator"}`,
		`{kind: event-rule, name: "${NotificationsFunctionAlarmStateChanged}", of: "trading-${Stage}-notifications"}`, `Stage: {default: "dev"`, "watch: essential",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	spec := file(t, "alarms.yaml", text)
	lintsClean(t, spec)
	explained := decode[struct {
		Alarms, Composites []struct{ Name, Rule string }
	}](t, run(t, "alarms", "explain", "-f", spec, "--json").want(t, 0))
	if n := len(explained.Alarms) + len(explained.Composites); n >= 70 || len(explained.Composites) < 4 {
		t.Errorf("%d alarms, %d of them composites", n, len(explained.Composites))
	}
	perService := map[string]int{}
	for _, a := range slices.Concat(explained.Alarms, explained.Composites) {
		for _, service := range strings.Fields("strategy-worker strategy-orchestrator execution trade-aggregator notifications hedge-evaluator hedge-executor hedge-roll-manager data schedule-manager account-data strategy-analytics strategy-reports") {
			if strings.HasPrefix(a.Name, "trading-trading-${Stage}-"+service+"-") {
				perService[service]++
			}
		}
	}
	for service, n := range perService {
		if n > 5 {
			t.Errorf("%d alarms of %s", n, service)
		}
	}
	if len(perService) != 13 {
		t.Errorf("alarms of %v", perService)
	}
	said := run(t, "alarms", "explain", "-f", spec).want(t, 0).out
	for _, line := range strings.Split(text, "\n") {
		if _, rest, ok := strings.Cut(line, "kind: event-rule"); ok {
			_, name, _ := strings.Cut(rest, `name: "`)
			name, _, _ = strings.Cut(name, `"`)
			if !strings.Contains(said, "RuleName="+name+"\n") {
				t.Errorf("nothing watches rule %s", name)
			}
		}
	}

	type plan struct {
		Steps []struct{ Action, Name string }
		Kept  int
	}
	// SAM's rules have names that CloudFormation makes up: they are left out and said.
	planned := run(t, "alarms", "plan", "-f", spec, "--json").want(t, 1, "11 resources are not watched", "--stack NAME")
	first := decode[plan](t, ran{out: planned.out})
	if len(first.Steps) < 50 {
		t.Errorf("%d steps", len(first.Steps))
	}
	run(t, "alarms", "apply", "-f", spec, "--yes").want(t, 0, "done")
	run(t, "alarms", "plan", "-f", spec).want(t, 0, fmt.Sprintf("no changes: %d alarms", len(first.Steps)))
	// With their names everything is there, and a plan without them takes nothing away.
	named := []string{"-f", spec}
	for _, line := range strings.Split(text, "\n") {
		if name, rest, ok := strings.Cut(line, ": {logicalId: "); ok && rest != "" {
			named = append(named, "--set", strings.TrimSpace(name)+"=made-up-"+strings.TrimSpace(name))
		}
	}
	run(t, slices.Concat([]string{"alarms", "apply", "--yes"}, named)...).want(t, 0, "done")
	run(t, slices.Concat([]string{"alarms", "plan"}, named)...).want(t, 0, fmt.Sprintf("no changes: %d alarms", len(explained.Alarms)+len(explained.Composites)))
	run(t, "alarms", "plan", "-f", spec).want(t, 0, "no changes")

	// Without topics, lint and plan say that the alarm notifies nobody.
	silent := file(t, "silent.yaml", run(t, "alarms", "init", path, "--name", "silent").want(t, 0).out)
	for verb, code := range map[string]int{"lint": 0, "plan": 1} {
		if r := run(t, "alarms", verb, "-f", silent).want(t, code); !strings.Contains(r.out+r.errs, "no alarm notifies anybody") || verb == "lint" && (r.errs != "" || !strings.Contains(r.out, ", 1 warning;")) {
			t.Errorf("%s: %s\n%s", verb, r.out, r.errs)
		}
	}
	if found := decode[[]alarms.Finding](t, run(t, "alarms", "lint", "-f", silent, "--json").want(t, 0)); len(found) != 1 || !found[0].Warning {
		t.Errorf("%v", found)
	}
	// A spec of this kind works in a row: the next verb needs no --set either.
	run(t, "alarms", "backtest", "-f", spec, "--metrics", file(t, "metrics.jsonl", day(t))).want(t, 0, "nothing was recorded")
	for _, format := range [][]string{{"--format", "cloudformation"}, {"--format", "sam"}, {"--format", "terraform"}, {"--format", "sh"}, {"--inline", path}} {
		args := slices.Concat([]string{"alarms", "render", "-f", spec}, format)
		if one := run(t, args...).want(t, 0).out; one != run(t, args...).out {
			t.Errorf("%s: other bytes the second time", format)
		}
	}
	run(t, "alarms", "destroy", "-f", spec, "--yes").want(t, 0, "done")
	if left := inAccount(t); len(left) != 0 {
		t.Errorf("%d alarms left", len(left))
	}
}

// TestAuthorsAlarms: whatever puts one of the template's own alarms into ALARM puts one of
// ours there, and somebody is told. The one on a metric that nothing of AWS publishes has
// a better one: of messages that wait and are not done with.
func TestAuthorsAlarms(t *testing.T) {
	path, text := system(t)
	theirs, err := alarmparse.CloudFormation([]byte(text), nil)
	if err != nil || len(theirs.Alarms) != 7 {
		t.Fatal(len(theirs.Alarms), err)
	}
	ours, err := alarms.Compile([]byte(run(t, "alarms", "init", path, "--name", "trading", "--notify", "arn:aws:sns:eu-west-1:123456789012:alerts").out))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{ // what Ref gives, as the names are in ours
		"StrategyOrchestratorFunction": "trading-${Stage}-strategy-orchestrator", "StrategyFunction": "trading-${Stage}-strategy-worker", "ExecutionFunction": "trading-${Stage}-execution",
		"NotificationsFunction": "trading-${Stage}-notifications", "ExecutionDLQ": "trading-${Stage}-execution-dlq", "ExecutionFifoDLQ": "trading-${Stage}-execution-dlq.fifo",
	}
	for _, a := range theirs.Alarms {
		stat := a.Stats()[0]
		if stat.Namespace == "Trading/Execution" {
			if !slices.ContainsFunc(ours.Alarms, func(o alarms.Alarm) bool {
				return o.Meta.Key == "stuck" && o.Meta.Resource == names["ExecutionFunction"] && told(ours, o)
			}) {
				t.Errorf("nothing is better than %s", a.Name)
			}
			continue
		}
		id := strings.Trim(stat.Dimensions[0].Value, "${}")
		stat.Dimensions = []alarms.Dimension{{Name: stat.Dimensions[0].Name, Value: names[id]}}
		fires := func(o alarms.Alarm) bool {
			for _, s := range o.Stats() {
				if s.Metric != stat.Metric || !slices.Equal(s.Dimensions, stat.Dimensions) {
					continue
				}
				// One datapoint of the least that theirs takes, of a minute.
				report, err := eval.Backtest(o, eval.Table{eval.Key(s): eval.Series{3600: a.Threshold}}, time.Unix(0, 0), time.Unix(7200, 0), 0)
				return err == nil && report.Pages > 0 && told(ours, o)
			}
			return false
		}
		if !slices.ContainsFunc(ours.Alarms, fires) {
			t.Errorf("%s fires where none of ours does", a.Name)
		}
	}
}

// told says whether an alarm tells somebody, by itself or through a composite.
func told(s alarms.Set, a alarms.Alarm) bool {
	return len(a.Actions) > 0 || slices.ContainsFunc(s.Composites, func(c alarms.Composite) bool {
		return len(c.Actions) > 0 && strings.Contains(c.Rule, fmt.Sprintf("ALARM(%q)", a.Name))
	})
}
