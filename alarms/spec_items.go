package alarms

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/yamltree"
)

func (r *reader) resource(n *yamltree.Node) resource {
	out := resource{line: n.Line, retention: 4 * 24 * time.Hour, concurrency: 1000, maxHops: 16} // the defaults of AWS and of Throughline
	if n.Kind != yamltree.Map {
		r.fail(n.Line, "a resource is %s: write {kind: lambda, name: …}", n.Kind)
		return out
	}
	all := kinds()
	found := slices.IndexFunc(all, func(k kind) bool { return k.name == n.Get("kind").Value() })
	if found < 0 {
		wanted := n.Get("kind").Value()
		if wanted == "" {
			r.fail(n.Line, "a resource has no kind: write one of %s", strings.Join(kindNames(), ", "))
		} else {
			r.fail(n.Line, "there is no kind of resource %q%s", wanted, suggestOf(wanted, kindNames()))
		}
		return out
	}
	out.kind = all[found]
	members := r.members(&out)
	take := map[string]func(*yamltree.Node){"kind": func(*yamltree.Node) {}, "as": members["as"], "of": members["of"]}
	for _, name := range append(slices.Clone(out.kind.members), out.kind.needs...) {
		take[name] = members[name]
	}
	r.fields(n, "kind "+out.kind.name, take)
	for _, need := range out.kind.needs {
		if n.Get(need) == nil {
			r.fail(n.Line, "kind %s needs %s", out.kind.name, need)
		}
	}
	if out.kind.name == "event-bus" && n.Get("arn") != nil && out.newBus() == "" {
		r.fail(n.Line, "%q is not an ARN of a new custom bus (…%sNAME/ID): write dimension, the value of EventBus that `aws cloudwatch list-metrics --namespace AWS/EventsV2` shows", out.arn, busArn)
	}
	if out.executedVersion != "" && out.qualifier == "" {
		r.fail(n.Line, "executedVersion needs an alias: give the alias as qualifier")
	}
	return out
}

// members are the members of every kind of resource.
func (r *reader) members(out *resource) map[string]func(*yamltree.Node) {
	text := func(to *string) func(*yamltree.Node) {
		return func(n *yamltree.Node) { *to = r.text(n, "the value") }
	}
	texts := func(to *[]string) func(*yamltree.Node) {
		return func(n *yamltree.Node) {
			*to = r.texts(n, "the value")
			if len(*to) > 9 && to == &out.operations {
				r.fail(n.Line, "%d values: an alarm has at most ten metrics, so list at most nine here and the others in a second resource", len(*to))
			}
		}
	}
	span := func(to *time.Duration) func(*yamltree.Node) {
		return func(n *yamltree.Node) { *to = r.duration(n, "the value") }
	}
	amount := func(to *float64) func(*yamltree.Node) {
		return func(n *yamltree.Node) { *to = r.number(n, "the value") }
	}
	truth := func(to *bool) func(*yamltree.Node) {
		return func(n *yamltree.Node) { *to = r.bool(n, "the value") }
	}
	return map[string]func(*yamltree.Node){
		"name": text(&out.name), "of": text(&out.of), "arn": text(&out.arn), "dimension": text(&out.dimension), "id": text(&out.id), "stage": text(&out.stage), "qualifier": text(&out.qualifier), "executedVersion": text(&out.executedVersion),
		"as": text(&out.as), "bus": text(&out.bus), "dlq": text(&out.dlq),
		"service": text(&out.service), "function": text(&out.function),
		"timeout": span(&out.timeout), "every": span(&out.every), "slack": span(&out.slack),
		"retention": func(n *yamltree.Node) { out.retention, out.retained = r.duration(n, "the value"), true }, "slo": span(&out.slo),
		"reserved": amount(&out.reserved), "concurrency": amount(&out.concurrency), "maxHops": amount(&out.maxHops),
		"stream": truth(&out.stream), "async": truth(&out.async), "deadLetter": truth(&out.deadLetter), "destination": truth(&out.destination), "drained": truth(&out.drained),
		"indexes": texts(&out.indexes), "operations": texts(&out.operations), "detailTypes": texts(&out.detailTypes),
	}
}

func (r *reader) custom(n *yamltree.Node) custom {
	out := custom{line: n.Line, change: change{at: n.Line}, period: 60}
	one := Stat{Statistic: "Sum"}
	var metricsNode *yamltree.Node
	returned := ""
	take := r.changes(&out.change)
	take["name"] = func(n *yamltree.Node) { out.name = r.text(n, "name") }
	take["description"] = func(n *yamltree.Node) { out.description = r.text(n, "description") }
	take["period"] = func(n *yamltree.Node) { out.period = int(r.duration(n, "period").Seconds()) }
	take["metrics"] = func(n *yamltree.Node) { metricsNode = n }
	take["return"] = func(n *yamltree.Node) { returned = r.text(n, "return") }
	maps.Copy(take, r.stat(&one))
	r.fields(n, "an alarm", take)
	if out.name == "" {
		r.fail(n.Line, "an alarm has no name")
	}
	if metricsNode == nil {
		one.Period = out.period
		r.needStat(n.Line, one)
		out.queries = []Query{{ID: "m1", Stat: &one, Return: true}}
		return out
	}
	if metricsNode.Kind != yamltree.Map {
		r.fail(metricsNode.Line, "metrics is %s: it must be a mapping of IDs", metricsNode.Kind)
		return out
	}
	for _, pair := range metricsNode.Pairs {
		q, s := Query{ID: pair.Key, Return: pair.Key == returned}, Stat{Statistic: "Sum", Period: out.period}
		take := r.stat(&s)
		take["expression"] = func(n *yamltree.Node) { q.Expression = n.Value() }
		take["label"] = func(n *yamltree.Node) { q.Label = n.Value() }
		r.fields(pair.Value, "metric "+pair.Key, take)
		if q.Expression == "" {
			r.needStat(pair.Line, s)
			q.Stat = &s
		}
		out.queries = append(out.queries, q)
	}
	if !slices.ContainsFunc(out.queries, func(q Query) bool { return q.Return }) {
		r.fail(metricsNode.Line, "return: name the metric or expression that is compared with the threshold")
	}
	return out
}

func (r *reader) stat(s *Stat) map[string]func(*yamltree.Node) {
	return map[string]func(*yamltree.Node){
		"namespace": func(n *yamltree.Node) { s.Namespace = r.text(n, "namespace") },
		"metric":    func(n *yamltree.Node) { s.Metric = r.text(n, "metric") },
		"statistic": func(n *yamltree.Node) { s.Statistic = r.text(n, "statistic") },
		"dimensions": func(n *yamltree.Node) {
			if n.Kind != yamltree.Map {
				r.fail(n.Line, "dimensions is %s: it must be a mapping", n.Kind)
			}
			for _, pair := range n.Pairs {
				s.Dimensions = append(s.Dimensions, Dimension{pair.Key, r.text(pair.Value, "dimension "+pair.Key)})
			}
		},
	}
}

func (r *reader) needStat(line int, s Stat) {
	if s.Namespace == "" || s.Metric == "" {
		r.fail(line, "a metric needs its namespace and its metric")
	}
}

func (r *reader) composite(n *yamltree.Node) composite {
	out := composite{line: n.Line, severity: Critical}
	r.fields(n, "a composite", map[string]func(*yamltree.Node){
		"name":        func(n *yamltree.Node) { out.name = r.text(n, "name") },
		"description": func(n *yamltree.Node) { out.description = r.text(n, "description") },
		"severity": func(n *yamltree.Node) {
			out.severity = Severity(r.choice(n, "severity", string(Critical), string(Warning)))
		},
		"any": func(n *yamltree.Node) { out.any = r.texts(n, "any") },
		"all": func(n *yamltree.Node) { out.all = r.texts(n, "all") },
	})
	if out.name == "" {
		r.fail(n.Line, "a composite has no name")
	}
	if (len(out.any) == 0) == (len(out.all) == 0) {
		r.fail(n.Line, "a composite lists alarms under any or under all")
	}
	return out
}
