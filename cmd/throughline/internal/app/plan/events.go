package plan

import (
	"strings"
	"time"

	"github.com/throughline/throughline/internal/yamltree"
)

// event reads one of the events of a SAM function.
func (b *building) event(id, function, key string, n *yamltree.Node) {
	typ, p := b.Text(n.Get("Type")), n.Get("Properties")
	of := id + key
	target := Target{ARN: FunctionARN(function)}
	switch typ {
	case "EventBridgeRule", "CloudWatchEvent":
		b.transform(of, &target, p)
		b.plan.Rules = append(b.plan.Rules, Rule{
			ID: of, Name: b.either(p.Get("RuleName"), of), Bus: b.bus(p.Get("EventBusName")), Pattern: b.pattern(p.Get("Pattern"), p.Get("EventPattern")),
			Disabled: b.disabled(p), Targets: []Target{target},
		})
	case "Schedule", "ScheduleV2":
		b.transform(of, &target, p)
		expression := b.Text(p.Get("Schedule"))
		if typ == "ScheduleV2" {
			expression = b.Text(p.Get("ScheduleExpression"))
		}
		b.plan.Schedules = append(b.plan.Schedules, Schedule{
			ID: of, Name: b.either(p.Get("Name"), of), Group: b.either(p.Get("GroupName"), "default"), Expression: expression, Timezone: b.Text(p.Get("ScheduleExpressionTimezone")),
			Scheduler: typ == "ScheduleV2", Disabled: b.disabled(p), Targets: []Target{target},
		})
	case "SQS":
		b.mapping(of, "SQS event", function, b.Text(p.Get("Queue")), p)
	case "DynamoDB":
		b.mapping(of, "DynamoDB event", function, b.Text(p.Get("Stream")), p)
	case "SNS":
		b.snsEvent(of, function, p)
	case "Api":
		b.plan.Routes = append(b.plan.Routes, Route{API: b.either(p.Get("RestApiId"), "ServerlessRestApi"), Method: method(b.Text(p.Get("Method"))), Path: b.Text(p.Get("Path")), Function: function, Version: "1.0"})
	case "HttpApi":
		path, verb := b.Text(p.Get("Path")), method(b.Text(p.Get("Method")))
		if path == "" {
			path, verb = "$default", "ANY"
		}
		b.plan.Routes = append(b.plan.Routes, Route{API: b.either(p.Get("ApiId"), "ServerlessHttpApi"), Method: verb, Path: path, Function: function, Version: b.either(p.Get("PayloadFormatVersion"), "2.0")})
	case "S3":
		b.s3Event(of, function, p)
	default:
		b.notPlayed(of, typ+" event", "this kind of event is not played: invoke the function with throughline dev invoke "+function)
	}
}

func method(text string) string {
	if text == "" || strings.EqualFold(text, "any") || text == "x-amazon-apigateway-any-method" {
		return "ANY"
	}
	return strings.ToUpper(text)
}

func (b *building) either(n *yamltree.Node, otherwise string) string {
	if text := b.Text(n); text != "" {
		return text
	}
	return otherwise
}

// bus returns the name of a bus from a property that has its name or ARN.
func (b *building) bus(n *yamltree.Node) string {
	if name := NameOf(b.Text(n)); name != "" {
		return name
	}
	return "default"
}

func (b *building) pattern(either ...*yamltree.Node) string {
	for _, n := range either {
		if n != nil {
			return b.Text(n)
		}
	}
	return ""
}

func (b *building) disabled(p *yamltree.Node) bool {
	enabled := p.Get("Enabled")
	return strings.HasPrefix(b.Text(p.Get("State")), "DISABLED") || enabled != nil && b.Text(enabled) == "false"
}

// transform reads the input of a target, its retries and its dead-letter queue.
func (b *building) transform(id string, t *Target, p *yamltree.Node) {
	t.Input, t.Path = b.Text(p.Get("Input")), b.Text(p.Get("InputPath"))
	if of := p.Get("InputTransformer"); of != nil {
		t.Template, t.Paths = b.Text(of.Get("InputTemplate")), map[string]string{}
		paths, _ := b.Value(of.Get("InputPathsMap")).(map[string]any)
		for name, path := range paths {
			t.Paths[name], _ = path.(string)
		}
	}
	t.Retries = b.number(p.At("RetryPolicy", "MaximumRetryAttempts"), -1)
	t.Group = b.Text(p.At("SqsParameters", "MessageGroupId"))
	dead := p.Get("DeadLetterConfig")
	t.DeadLetter = b.Text(dead.Get("Arn"))
	if dead != nil && t.DeadLetter == "" && b.Text(dead.Get("Type")) == "SQS" { // SAM creates this queue
		name := b.either(dead.Get("QueueLogicalId"), id+"Queue")
		b.plan.Queues = append(b.plan.Queues, Queue{ID: name, Name: name, Attributes: map[string]string{}})
		t.DeadLetter = QueueARN(name)
	}
}

// mapping reads an event source mapping of a function.
func (b *building) mapping(id, typ, function, source string, p *yamltree.Node) {
	service := ServiceOf(source)
	if service != "sqs" && service != "dynamodb" {
		b.notPlayed(id, typ, "the source "+source+" is not played")
		return
	}
	if b.disabled(p) {
		b.note("%s is disabled", id)
		return
	}
	size := 10
	if service == "dynamodb" {
		size = 100
	}
	m := Mapping{
		ID: id, Function: function, Source: source, BatchSize: b.number(p.Get("BatchSize"), size), Concurrency: b.number(p.At("ScalingConfig", "MaximumConcurrency"), 0),
		Retries: b.number(p.Get("MaximumRetryAttempts"), -1), MaxAge: time.Duration(b.number(p.Get("MaximumRecordAgeInSeconds"), -1)) * time.Second,
		Bisect: b.Text(p.Get("BisectBatchOnFunctionError")) == "true", OnFailure: b.Text(p.At("DestinationConfig", "OnFailure", "Destination")),
	}
	types, _ := b.Value(p.Get("FunctionResponseTypes")).([]any)
	for _, t := range types {
		m.Failures = m.Failures || t == "ReportBatchItemFailures"
	}
	for _, filter := range p.At("FilterCriteria", "Filters").List() {
		m.Filters = append(m.Filters, b.Text(filter.Get("Pattern")))
	}
	b.plan.Mappings = append(b.plan.Mappings, m)
}

// snsEvent subscribes a function to a topic, through a queue if SqsSubscription asks for
// one.
func (b *building) snsEvent(id, function string, p *yamltree.Node) {
	topic, attributes := b.Text(p.Get("Topic")), b.filters(p)
	between := p.Get("SqsSubscription")
	if between == nil || b.Text(between) == "false" {
		b.subscribe(id, topic, Subscription{"lambda", FunctionARN(function), attributes})
		return
	}
	queue := b.Text(between.Get("QueueArn"))
	if queue == "" {
		b.plan.Queues = append(b.plan.Queues, Queue{ID: id + "Queue", Name: id + "Queue", Attributes: map[string]string{}})
		queue = QueueARN(id + "Queue")
	}
	b.subscribe(id, topic, Subscription{"sqs", queue, attributes})
	b.mapping(id, "SNS event", function, queue, between)
}
