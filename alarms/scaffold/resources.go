package scaffold

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms/internal/node"
)

func (t *reading) function(id string, p, globals *node.Node) {
	name := t.name(id, p.Get("FunctionName"), "function")
	timeout := 3.0 // Lambda's default
	for _, from := range []*node.Node{globals, p} {
		if f, err := from.Get("Timeout").Float(); err == nil && f > 0 {
			timeout = f
		}
	}
	reserved := ""
	if f, err := p.Get("ReservedConcurrentExecutions").Float(); err == nil && f > 0 {
		reserved = strconv.FormatFloat(f, 'f', -1, 64)
	}
	t.add(0, "lambda", "name", name, "timeout", fmt.Sprintf("%gs", timeout), "reserved", reserved)
	t.services = append(t.services, t.service(name, p, globals))
	group := strings.TrimSuffix(`"/aws/lambda/`+strings.TrimPrefix(name, `"`), `"`) + `"`
	for _, from := range []*node.Node{globals, p} {
		if n := from.At("LoggingConfig", "LogGroup"); n != nil {
			group = t.name(id+"Logs", n, "log group of")
		}
	}
	if !slices.Contains(t.logGroups, group) {
		t.logGroups = append(t.logGroups, group)
	}
}

// service reads from a function's environment whether the layer is attached and
// what its metrics call the function.
func (t *reading) service(name string, p, globals *node.Node) service {
	s := service{name: name, function: name}
	for _, from := range []*node.Node{globals, p} {
		for _, v := range pairs(from.At("Environment", "Variables")) {
			switch {
			case v.Key == "AWS_LAMBDA_EXEC_WRAPPER" && v.Value.Value() == "/opt/throughline/wrapper":
				s.attached = true
			case v.Key == "THROUGHLINE_SERVICE":
				s.name = t.name(strings.Trim(name, `"${}`)+"Service", v.Value, "service of")
				s.attached = true
			case v.Key == "THROUGHLINE_METRICS" && v.Value.Value() == "full":
				t.full = true
				s.attached = true
			case strings.HasPrefix(v.Key, "THROUGHLINE_"):
				s.attached = true
			}
		}
	}
	return s
}

// event is one of a SAM function's events: rules and schedules are resources of
// their own once SAM has read them.
func (t *reading) event(function, id string, n *node.Node) {
	p := n.Get("Properties")
	switch n.Get("Type").Value() {
	case "EventBridgeRule", "CloudWatchEvent":
		t.rule(function+id, p, p.Get("RuleName"), []*node.Node{p})
	case "Schedule":
		t.rule(function+id, p, p.Get("Name"), []*node.Node{p})
	case "ScheduleV2":
		if group := p.Get("GroupName"); group != nil {
			t.add(5, "scheduler", "name", t.name(function+id, group, "schedule group"))
		} else {
			t.defaultGroup()
		}
	}
}

func (t *reading) defaultGroup() { t.add(5, "scheduler", "name", `"default"`) }

func (t *reading) rule(id string, p, name *node.Node, targets []*node.Node) {
	bus := ""
	if n := p.Get("EventBusName"); n != nil && n.Value() != "default" {
		if refs := references(n); len(refs) == 1 && t.root.At("Resources", refs[0], "Properties", "Name") != nil {
			bus = t.name(refs[0], t.root.At("Resources", refs[0], "Properties", "Name"), "event bus")
		} else {
			bus = t.name(id+"Bus", n, "event bus")
		}
	}
	dlq := ""
	for _, target := range targets {
		for _, key := range []string{"DeadLetterConfig", "DeadLetterQueue"} {
			config := target.Get(key)
			if queue := references(config); len(queue) > 0 {
				dlq = t.queueName(queue[0])
			} else if config.Get("Type").Value() == "SQS" && config.Get("Arn") == nil { // which SAM makes
				made := config.Get("QueueLogicalId").Value()
				if made == "" {
					made = id + "Queue"
				}
				dlq = t.queueName(made)
				t.add(3, "dlq", "name", dlq)
			} else if config != nil {
				dlq = `"a dead-letter queue"`
			}
		}
	}
	expression := p.Get("ScheduleExpression").Value() + p.Get("Schedule").Value()
	t.add(1, "event-rule", "bus", bus, "name", t.name(id, name, "rule"), "dlq", dlq, "every", every(expression))
}

// every is how often a rate expression fires, where that is at least an hour; a
// cron expression says nothing of it here.
func every(expression string) string {
	inner, ok := strings.CutPrefix(expression, "rate(")
	if !ok {
		return ""
	}
	var n int
	var unit string
	if _, err := fmt.Sscan(strings.TrimSuffix(inner, ")"), &n, &unit); err != nil || n <= 0 {
		return ""
	}
	d := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(unit, "s")] * time.Duration(n)
	if d < time.Hour || d > 7*24*time.Hour {
		return ""
	}
	return fmt.Sprintf("%dh", int(d.Hours()))
}

func (t *reading) queueName(id string) string {
	return t.name(id, t.root.At("Resources", id, "Properties", "QueueName"), "queue")
}

func (t *reading) queue(id string, p *node.Node) {
	name := t.queueName(id)
	if t.dead[id] {
		t.add(3, "dlq", "name", name)
		return
	}
	retention, fifo := "", ""
	if f, err := p.Get("MessageRetentionPeriod").Float(); err == nil && f > 0 {
		retention = fmt.Sprintf("%gs", f)
	}
	if p.Get("FifoQueue").Value() == "true" { // false is written out too
		fifo = "true"
	}
	t.add(2, "queue", "name", name, "retention", retention, "fifo", fifo)
}

func (t *reading) table(id string, p *node.Node) {
	var indexes []string
	for _, index := range p.Get("GlobalSecondaryIndexes").List() {
		if name := index.Get("IndexName").Value(); name != "" && len(indexes) < 9 {
			indexes = append(indexes, strconv.Quote(name))
		}
	}
	list := ""
	if len(indexes) > 0 {
		list = "[" + strings.Join(indexes, ", ") + "]"
	}
	t.add(4, "dynamodb", "name", t.name(id, p.Get("TableName"), "table"), "indexes", list)
}
