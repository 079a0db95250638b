package app

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/cmd/throughline/internal/app/stage"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/metrics"
)

// Function is the state of a function while the application runs.
type Function = stage.Function

// describe describes the application in the form that throughline check reads.
func (a *App) describe(spans []workflow.Span, f Flags) system.System {
	s := system.System{Source: a.path, Local: true, Permissions: a.permissions}
	delayed := delayOf(a.faults.Past())
	for _, fn := range a.plan.Functions {
		described := system.Function{Name: fn.Name, ARN: plan.FunctionARN(fn.Name), Service: fn.Name, Namespace: metrics.DefaultNamespace, Timeout: fn.Timeout, LogFormat: "Text", Environment: map[string]string{}}
		if fn.LogJSON {
			described.LogFormat = "JSON"
		}
		all := maps.Clone(fn.Env)
		maps.Copy(all, f.env)
		for name, value := range all {
			if _, bus := system.NamesBus(name, value); bus || strings.HasPrefix(name, "THROUGHLINE_") {
				described.Environment[name] = value
			}
		}
		if delayed > 0 && calls(spans, fn.Name) { // the setting with which the sidecar and the layer delay calls
			described.Environment["THROUGHLINE_ALPACA_FAULTS"] = "delay=" + delayed.String()
		}
		s.Functions = append(s.Functions, described)
	}
	for _, q := range a.plan.Queues {
		// A fault sent the messages in the dead-letter queues.
		s.Queues = append(s.Queues, system.Queue{ARN: plan.QueueARN(q.Name), Exists: true})
	}
	for _, t := range a.plan.Topics {
		s.Topics = append(s.Topics, system.Topic{ARN: plan.TopicARN(t.Name), Exists: true})
	}
	s.Buses = a.buses(s.Functions)
	return s
}

// buses returns the buses of the application, and those that functions name in variables.
func (a *App) buses(functions []system.Function) []system.Bus {
	rules := map[string][]system.Rule{}
	for _, r := range a.plan.Rules {
		rule := system.Rule{Name: r.Name, ARN: plan.RuleARN(r.Bus, r.Name), Pattern: r.Pattern, Disabled: r.Disabled}
		for _, t := range r.Targets {
			rule.Targets = append(rule.Targets, system.Target{ID: plan.NameOf(t.ARN), ARN: t.ARN, DeadLetter: t.DeadLetter})
		}
		rules[r.Bus] = append(rules[r.Bus], rule)
	}
	there := slices.Clone(a.plan.Buses)
	if len(rules["default"]) > 0 {
		there = append(there, "default")
	}
	var list []system.Bus
	for _, name := range there {
		list = append(list, system.Bus{Name: name, ARN: plan.BusARN(name), Exists: true, Rules: rules[name]})
	}
	for _, b := range a.plan.NewBuses {
		list = append(list, a.newBus(b))
	}
	for _, fn := range functions {
		for _, name := range slices.Sorted(maps.Keys(fn.Environment)) {
			bus, ok := system.NamesBus(name, fn.Environment[name])
			if ok && bus != "default" && !slices.ContainsFunc(list, func(b system.Bus) bool { return b.Name == bus }) {
				list = append(list, system.Bus{Name: bus, Others: there})
			}
		}
	}
	return list
}

// newBus describes a new custom bus with its subscribers.
func (a *App) newBus(b plan.NewBus) system.Bus {
	bus := system.Bus{Name: b.Name, ARN: b.ARN, Exists: true, New: &system.NewBus{RetentionDays: max(1, b.Days)}}
	for _, sub := range a.plan.Subscribers {
		if sub.Bus != b.ARN {
			continue
		}
		target := system.Target{ID: sub.Name, ARN: sub.Target, DeadLetter: sub.DeadLetter, MaxAge: sub.MaxAge, Batch: cmp.Or(sub.Batch, 10), Transformer: sub.Transformer}
		if sub.Retries >= 0 {
			attempts := int32(sub.Retries)
			target.Attempts = &attempts
		}
		const everything = `{"source":[{"exists":true}]}`
		rule := system.Rule{Name: sub.Name, Disabled: sub.Stopped, Pattern: everything, Targets: []system.Target{target}}
		for _, f := range sub.Filters {
			if f.Scope == "DATA" && rule.Pattern == everything {
				rule.Pattern = f.Pattern
			} else {
				rule.Beyond = "other filters"
			}
		}
		bus.Rules = append(bus.Rules, rule)
	}
	return bus
}

// calls reports whether a function made HTTP calls.
func calls(spans []workflow.Span, function string) bool {
	return slices.ContainsFunc(spans, func(s workflow.Span) bool {
		return s.Service == function && s.Kind == "CLIENT" && s.Text("http.request.method") != ""
	})
}

// delayOf returns how long faults delay HTTP calls.
func delayOf(rules []faults.Rule) time.Duration {
	longest := time.Duration(0)
	for _, r := range rules {
		if r.Kind == faults.HTTPDelay {
			longest = max(longest, r.Duration)
		}
	}
	return longest
}
