package alarms

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms/internal/node"
)

func (r *reader) resource(n *node.Node) resource {
	out := resource{line: n.Line, retention: 4 * 24 * time.Hour, concurrency: 1000, maxHops: 16} // AWS's and our own defaults
	if n.Kind != node.Map {
		r.fail(n.Line, "a resource is %s: write {kind: lambda, name: …}", n.Kind)
		return out
	}
	all := kinds()
	found := slices.IndexFunc(all, func(k kind) bool { return k.name == n.Get("kind").Value() })
	if found < 0 {
		wanted := n.Get("kind").Value()
		if wanted == "" {
			r.fail(n.Line, "a resource without a kind: there are %s", strings.Join(kindNames(), ", "))
		} else {
			r.fail(n.Line, "there is no kind %q%s", wanted, suggestOf(wanted, kindNames()))
		}
		return out
	}
	out.kind = all[found]
	members := r.members(&out)
	take := map[string]func(*node.Node){"kind": func(*node.Node) {}, "as": members["as"]}
	for _, name := range append(slices.Clone(out.kind.members), out.kind.needs...) {
		take[name] = members[name]
	}
	r.fields(n, "kind "+out.kind.name, take)
	for _, need := range out.kind.needs {
		if n.Get(need) == nil {
			r.fail(n.Line, "kind %s needs %s", out.kind.name, need)
		}
	}
	return out
}

// members are the members of every kind of resource.
func (r *reader) members(out *resource) map[string]func(*node.Node) {
	text := func(to *string) func(*node.Node) {
		return func(n *node.Node) { *to = r.text(n, "the value") }
	}
	texts := func(to *[]string) func(*node.Node) {
		return func(n *node.Node) {
			*to = r.texts(n, "the value")
			if len(*to) > 9 && to != &out.detailTypes {
				r.fail(n.Line, "%d values: an alarm takes at most ten metrics, so list at most nine and write a second resource", len(*to))
			}
		}
	}
	span := func(to *time.Duration) func(*node.Node) {
		return func(n *node.Node) { *to = r.duration(n, "the value") }
	}
	amount := func(to *float64) func(*node.Node) {
		return func(n *node.Node) { *to = r.number(n, "the value") }
	}
	truth := func(to *bool) func(*node.Node) {
		return func(n *node.Node) { *to = r.bool(n, "the value") }
	}
	return map[string]func(*node.Node){
		"name": text(&out.name), "as": text(&out.as), "bus": text(&out.bus), "dlq": text(&out.dlq),
		"service": text(&out.service), "function": text(&out.function), "queue": text(&out.queue),
		"timeout": span(&out.timeout), "every": span(&out.every), "retention": span(&out.retention), "slo": span(&out.slo),
		"reserved": amount(&out.reserved), "concurrency": amount(&out.concurrency), "maxHops": amount(&out.maxHops),
		"stream": truth(&out.stream), "fifo": truth(&out.fifo), "drained": truth(&out.drained),
		"indexes": texts(&out.indexes), "operations": texts(&out.operations), "detailTypes": texts(&out.detailTypes), "rules": texts(&out.rules),
	}
}

func (r *reader) custom(n *node.Node) custom {
	out := custom{line: n.Line, change: change{at: n.Line}, period: 60}
	one := Stat{Statistic: "Sum"}
	var metricsNode *node.Node
	returned := ""
	take := r.changes(&out.change)
	take["name"] = func(n *node.Node) { out.name = r.text(n, "name") }
	take["description"] = func(n *node.Node) { out.description = r.text(n, "description") }
	take["period"] = func(n *node.Node) { out.period = int(r.duration(n, "period").Seconds()) }
	take["metrics"] = func(n *node.Node) { metricsNode = n }
	take["return"] = func(n *node.Node) { returned = r.text(n, "return") }
	for key, f := range r.stat(&one) {
		take[key] = f
	}
	r.fields(n, "an alarm", take)
	if out.name == "" {
		r.fail(n.Line, "an alarm without a name")
	}
	if metricsNode == nil {
		one.Period = out.period
		r.needStat(n.Line, one)
		out.queries = []Query{{ID: "m1", Stat: &one, Return: true}}
		return out
	}
	if metricsNode.Kind != node.Map {
		r.fail(metricsNode.Line, "metrics is %s: it must be a mapping of IDs", metricsNode.Kind)
		return out
	}
	for _, pair := range metricsNode.Pairs {
		q, s := Query{ID: pair.Key, Return: pair.Key == returned}, Stat{Statistic: "Sum", Period: out.period}
		take := r.stat(&s)
		take["expression"] = func(n *node.Node) { q.Expression = n.Value() }
		take["label"] = func(n *node.Node) { q.Label = n.Value() }
		r.fields(pair.Value, "metric "+pair.Key, take)
		if q.Expression == "" {
			r.needStat(pair.Line, s)
			q.Stat = &s
		}
		out.queries = append(out.queries, q)
	}
	if !slices.ContainsFunc(out.queries, func(q Query) bool { return q.Return }) {
		r.fail(metricsNode.Line, "return: name the metric or expression that is held against the threshold")
	}
	return out
}

func (r *reader) stat(s *Stat) map[string]func(*node.Node) {
	return map[string]func(*node.Node){
		"namespace": func(n *node.Node) { s.Namespace = r.text(n, "namespace") },
		"metric":    func(n *node.Node) { s.Metric = r.text(n, "metric") },
		"statistic": func(n *node.Node) { s.Statistic = r.text(n, "statistic") },
		"dimensions": func(n *node.Node) {
			if n.Kind != node.Map {
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

func (r *reader) composite(n *node.Node) composite {
	out := composite{line: n.Line, severity: Critical}
	r.fields(n, "a composite", map[string]func(*node.Node){
		"name":        func(n *node.Node) { out.name = r.text(n, "name") },
		"description": func(n *node.Node) { out.description = r.text(n, "description") },
		"severity": func(n *node.Node) {
			out.severity = Severity(r.choice(n, "severity", string(Critical), string(Warning)))
		},
		"any": func(n *node.Node) { out.any = r.texts(n, "any") },
		"all": func(n *node.Node) { out.all = r.texts(n, "all") },
	})
	if out.name == "" {
		r.fail(n.Line, "a composite without a name")
	}
	if (len(out.any) == 0) == (len(out.all) == 0) {
		r.fail(n.Line, "a composite lists alarms under any or under all")
	}
	return out
}
