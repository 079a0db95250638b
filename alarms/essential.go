package alarms

import (
	"fmt"
	"slices"
	"strings"
)

// With watch: essential, a service has at most five alarms. A service is a function and
// the queues, dead-letter queues and rules that name it. The alarms are: errors,
// durations near the time-out, lost events, stuck messages (without a queue: throttles
// against the reserved concurrency), and a composite of those that page. An override can
// enable any other row.

// maxMetrics is the number of metrics that CloudWatch allows in an alarm.
const maxMetrics = 10

// group is a service: a function and the resources that name it.
type group struct {
	function            resource
	queues, dlqs, rules []resource
	subscribers         []resource
	members             []string // the alarms of the composite
}

func (c *compiler) group() {
	c.groups = map[string]*group{}
	for _, res := range c.resources {
		if res.kind.name == "lambda" && c.groups[res.name] == nil {
			c.groups[res.name] = &group{function: res}
		}
	}
	for _, res := range c.resources {
		g := c.groups[res.of]
		if g == nil {
			continue
		}
		switch res.kind.name {
		case "queue":
			g.queues = append(g.queues, res)
		case "dlq":
			g.dlqs = append(g.dlqs, res)
		case "event-rule":
			g.rules = append(g.rules, res)
		case "subscriber":
			g.subscribers = append(g.subscribers, res)
		}
	}
}

// essentialRow turns a row off unless it is an essential alarm, and sets the service
// whose composite it belongs to.
func (c *compiler) essentialRow(res resource, row *row) {
	keep, of := false, c.groups[res.of]
	switch key := res.kind.name + " " + row.key; key {
	case "lambda errors-any":
		row.severity, row.service, keep = Critical, res.name, true
	case "lambda duration":
		keep = true
	case "lambda throttles":
		keep = res.reserved > 0 && len(c.groups[res.name].queues) == 0
	case "queue stuck":
		if keep = of == nil || len(of.queues) == 1; of != nil {
			row.severity, row.service = Critical, res.of
		}
	case "dlq depth", "event-rule failed":
		keep = of == nil
	case "subscriber dropped":
		keep = of == nil && res.dlq == ""
	case "subscriber dlq-lost":
		keep = of == nil && res.dlq != ""
	case "dynamodb throttles":
		keep = row.suffix == ""
	case "scheduler dropped", "account concurrency", "account put-failed", "state-machine failed", "state-machine timed-out", "pipe failed",
		"rest-api errors", "http-api errors", "kinesis iterator-age", "topic failed", "subscriber backlog", "event-bus put-failed":
		keep = true
	}
	row.off = !keep
}

// services adds the alarms that cover all parts of a service.
func (c *compiler) services() {
	for _, res := range c.resources {
		g := c.groups[res.name]
		if res.kind.name != "lambda" || g.function.line != res.line {
			continue
		}
		of := resource{line: res.line, kind: kind{name: "service"}, name: res.name, as: res.as}
		if queries, left := g.lost(); len(queries) > 0 {
			c.row(of, row{key: "lost", queries: queries, scale: scale{unit: count}, comparison: Greater, m: 1, n: 5, sustained: true, missing: NotBreaching, severity: Critical, service: res.name,
				help: "events that did not reach the function or failed in it: in dead-letter queues, not delivered by rules, dropped by Lambda"})
			if left > 0 {
				c.set.Notes = append(c.set.Notes, Note{res.line, fmt.Sprintf("%s: %d sources of lost events are not watched, because an alarm has at most %d metrics: write watch: all, or enable their rows", res.label(), left, maxMetrics)})
			}
		}
		if len(g.queues) > 1 {
			c.row(of, row{key: "stuck", queries: g.stuck(), scale: scale{unit: count}, comparison: Greater, m: 15, n: 15, sustained: true, missing: NotBreaching, severity: Critical, service: res.name,
				help: "messages wait in one of the function's queues and none is deleted"})
		}
		c.pager(res, g)
	}
}

// lost sums the metrics that count lost events. left is the number of metrics that do not
// fit into one alarm.
func (g *group) lost() (queries []Query, left int) {
	var stats []*Stat
	for _, q := range g.dlqs {
		stats = append(stats, stat("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", 60, "QueueName", q.name))
	}
	for _, r := range g.rules {
		stats = append(stats, stat("AWS/Events", "FailedInvocations", "Sum", 60, r.ruleDimensions(r.name)...))
	}
	for _, r := range g.subscribers {
		stats = append(stats, r.lost())
	}
	f := g.function
	for metric, has := range map[string]bool{"AsyncEventsDropped": f.async || f.deadLetter || f.destination, "DeadLetterErrors": f.deadLetter, "DestinationDeliveryFailures": f.destination} {
		if has {
			stats = append(stats, stat("AWS/Lambda", metric, "Sum", 60, "FunctionName", f.name))
		}
	}
	slices.SortStableFunc(stats, func(a, b *Stat) int { // functions' metrics last, sorted by name
		if a.Namespace == "AWS/Lambda" && b.Namespace == "AWS/Lambda" {
			return strings.Compare(a.Metric, b.Metric)
		}
		return 0
	})
	if left = max(0, len(stats)-maxMetrics); left > 0 {
		stats = stats[:maxMetrics]
	}
	if len(stats) == 1 {
		return []Query{{ID: "m1", Stat: stats[0], Return: true}}, left
	}
	return total(stats), left
}

// stuck counts the queues in which messages wait and none is deleted, over at most five
// queues.
func (g *group) stuck() []Query {
	var queries []Query
	var terms []string
	for i, q := range g.queues[:min(len(g.queues), maxMetrics/2)] {
		waiting, done := fmt.Sprintf("waiting%d", i+1), fmt.Sprintf("done%d", i+1)
		queries = append(queries,
			Query{ID: waiting, Stat: stat("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Minimum", 60, "QueueName", q.name)},
			Query{ID: done, Stat: stat("AWS/SQS", "NumberOfMessagesDeleted", "Sum", 60, "QueueName", q.name)})
		terms = append(terms, fmt.Sprintf("IF(FILL(%s,0) > 0 AND FILL(%s,0) == 0, 1, 0)", waiting, done))
	}
	return append(queries, Query{ID: "stuck", Expression: strings.Join(terms, " + "), Return: true})
}

// total returns the queries of Σ FILL(metric,0).
func total(stats []*Stat) []Query {
	if len(stats) == 0 {
		return nil
	}
	var queries []Query
	terms := make([]string, len(stats))
	for i, s := range stats {
		id := fmt.Sprintf("m%d", i+1)
		queries = append(queries, Query{ID: id, Stat: s})
		terms[i] = "FILL(" + id + ",0)"
	}
	return append(queries, Query{ID: "total", Expression: strings.Join(terms, " + "), Return: true})
}

// pager adds the composite that pages for a service instead of its members. A single
// member pages itself.
func (c *compiler) pager(res resource, g *group) {
	if len(g.members) < 2 {
		return
	}
	terms := make([]string, len(g.members))
	for i, name := range g.members {
		terms[i] = fmt.Sprintf("ALARM(%q)", name)
	}
	for i := range c.set.Alarms {
		if a := &c.set.Alarms[i]; slices.Contains(g.members, a.Name) && !slices.ContainsFunc(a.Meta.Origins, func(o Origin) bool { return o.Field == "actions" }) {
			a.Actions, a.OKActions, a.NoDataActions = nil, nil, nil
		}
	}
	meta := Meta{Kind: "composite", Resource: res.label(), Key: "service", Severity: Critical, Line: res.line}
	c.set.Composites = append(c.set.Composites, Composite{
		Name: c.prefix + c.called("service", res.label(), row{key: "service", severity: Critical}), Description: c.withRunbook("critical: "+res.label()+" fails, loses events or is stuck", meta), Rule: strings.Join(terms, " OR "),
		Actions: slices.Clone(c.notify[Critical]), OKActions: slices.Clone(c.ok), NoDataActions: slices.Clone(c.noData), Tags: slices.Clone(c.tags),
		Meta: meta,
	}.Normalize())
}
