package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/internal/yamltree"
)

// queueAttributes are the properties of a queue that are also its attributes.
var queueAttributes = []string{
	"DelaySeconds", "VisibilityTimeout", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "MaximumMessageSize",
	"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "RedrivePolicy", "RedriveAllowPolicy",
}

func (b *building) queue(r template.Resource) {
	q := Queue{ID: r.ID, Name: nameOf(r), Attributes: map[string]string{}}
	for _, name := range queueAttributes {
		if text := b.Text(r.Property(name)); text != "" {
			q.Attributes[name] = text
		}
	}
	if q.Attributes["FifoQueue"] != "true" {
		delete(q.Attributes, "FifoQueue")
	}
	b.plan.Queues = append(b.plan.Queues, q)
}

func (b *building) topic(r template.Resource) {
	t := Topic{ID: r.ID, Name: nameOf(r), Attributes: map[string]string{}}
	for _, name := range []string{"FifoTopic", "ContentBasedDeduplication"} {
		if text := b.Text(r.Property(name)); text == "true" {
			t.Attributes[name] = text
		}
	}
	b.plan.Topics = append(b.plan.Topics, t)
	for _, s := range r.Property("Subscription").List() {
		b.subscribe(r.ID, arnOf(r), Subscription{b.Text(s.Get("Protocol")), b.Text(s.Get("Endpoint")), nil})
	}
}

func (b *building) subscription(r template.Resource) {
	p := r.Node.Get("Properties")
	b.subscribe(r.ID, b.Text(p.Get("TopicArn")), Subscription{b.Text(p.Get("Protocol")), b.Text(p.Get("Endpoint")), b.filters(p)})
}

// filters returns the filter attributes of a subscription.
func (b *building) filters(p *yamltree.Node) map[string]string {
	attributes := map[string]string{}
	for _, name := range []string{"FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy"} {
		if text := b.Text(p.Get(name)); text != "" {
			attributes[name] = text
		}
	}
	return attributes
}

// subscribe adds a subscription to its topic, which can be later in the template.
func (b *building) subscribe(id, topic string, s Subscription) {
	if s.Protocol != "sqs" && s.Protocol != "lambda" {
		b.notPlayed(id, "subscription", "the protocol "+s.Protocol+" is not played")
		return
	}
	name := NameOf(topic)
	for i := range b.plan.Topics {
		if b.plan.Topics[i].Name == name {
			b.plan.Topics[i].Subscriptions = append(b.plan.Topics[i].Subscriptions, s)
			return
		}
	}
	b.pending = append(b.pending, pending{id, name, s})
}

// rule reads a rule: a pattern, a schedule, or both.
func (b *building) rule(r template.Resource) {
	p := r.Node.Get("Properties")
	rule := Rule{ID: r.ID, Name: r.Name, Bus: b.bus(p.Get("EventBusName")), Pattern: b.Text(p.Get("EventPattern")), Disabled: b.disabled(p)}
	targets, _ := b.Value(p.Get("Targets")).([]any)
	for i := range targets {
		n := at(p.Get("Targets"), i)
		t := Target{ARN: b.Text(n.Get("Arn"))}
		b.transform(r.ID, &t, n)
		rule.Targets = append(rule.Targets, t)
	}
	if expression := b.Text(p.Get("ScheduleExpression")); expression != "" {
		b.plan.Schedules = append(b.plan.Schedules, Schedule{ID: r.ID, Name: r.Name, Group: "default", Expression: expression, Disabled: rule.Disabled, Targets: slices.Clone(rule.Targets)})
	}
	if rule.Pattern != "" {
		b.plan.Rules = append(b.plan.Rules, rule)
	}
}

func at(n *yamltree.Node, i int) *yamltree.Node {
	if i < len(n.List()) {
		return n.List()[i]
	}
	return nil
}

// schedule reads a schedule of EventBridge Scheduler.
func (b *building) schedule(r template.Resource) {
	p := r.Node.Get("Properties")
	n := p.Get("Target")
	t := Target{ARN: b.Text(n.Get("Arn")), DetailType: b.Text(n.At("EventBridgeParameters", "DetailType")), Source: b.Text(n.At("EventBridgeParameters", "Source"))}
	b.transform(r.ID, &t, n)
	b.plan.Schedules = append(b.plan.Schedules, Schedule{
		ID: r.ID, Name: r.Name, Group: b.either(p.Get("GroupName"), "default"), Expression: b.Text(p.Get("ScheduleExpression")),
		Timezone: b.Text(p.Get("ScheduleExpressionTimezone")), Scheduler: true, Disabled: b.disabled(p), Targets: []Target{t},
	})
}

// tableProperties are the properties of a table that CreateTable accepts.
var tableProperties = []string{"AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"}

func (b *building) table(r template.Resource) {
	create := map[string]any{"TableName": r.Name, "BillingMode": "PAY_PER_REQUEST"}
	for _, name := range tableProperties {
		if v := b.Value(r.Property(name)); v != nil {
			create[name] = withoutThroughput(v)
		}
	}
	if r.Type == "AWS::Serverless::SimpleTable" {
		key, kind := b.either(r.Property("PrimaryKey", "Name"), "id"), "S"
		if typ := b.Text(r.Property("PrimaryKey", "Type")); typ != "" {
			kind = typ[:1]
		}
		create["AttributeDefinitions"] = []any{map[string]any{"AttributeName": key, "AttributeType": kind}}
		create["KeySchema"] = []any{map[string]any{"AttributeName": key, "KeyType": "HASH"}}
	}
	t := Table{ID: r.ID, Name: r.Name, Stream: r.Property("StreamSpecification") != nil}
	if t.Stream {
		create["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": b.either(r.Property("StreamSpecification", "StreamViewType"), "NEW_AND_OLD_IMAGES")}
	}
	t.Create, _ = json.Marshal(create) // these values always marshal
	b.plan.Tables = append(b.plan.Tables, t)
}

// withoutThroughput removes the throughput of indexes, because local tables have
// on-demand capacity.
func withoutThroughput(v any) any {
	list, _ := v.([]any)
	for _, item := range list {
		if of, ok := item.(map[string]any); ok {
			delete(of, "ProvisionedThroughput")
		}
	}
	return v
}

func (b *building) bucket(r template.Resource) {
	bucket := Bucket{ID: r.ID, Name: bucketName(r)}
	for kind, key := range map[string]string{"LambdaConfigurations": "Function", "QueueConfigurations": "Queue", "TopicConfigurations": "Topic"} {
		for _, c := range r.Property("NotificationConfiguration", kind).List() {
			bucket.Notifications = append(bucket.Notifications, b.notification(b.Text(c.Get(key)), []string{b.Text(c.Get("Event"))}, c.Get("Filter")))
		}
	}
	bucket.EventBridge = r.Property("NotificationConfiguration", "EventBridgeConfiguration") != nil && b.Text(r.Property("NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled")) != "false"
	slices.SortFunc(bucket.Notifications, func(a, b Notification) int { return strings.Compare(a.ARN, b.ARN) })
	b.plan.Buckets = append(b.plan.Buckets, bucket)
}

func (b *building) notification(to string, events []string, filter *yamltree.Node) Notification {
	n := Notification{Events: events, ARN: to}
	for _, rule := range filter.At("S3Key", "Rules").List() {
		switch strings.ToLower(b.Text(rule.Get("Name"))) {
		case "prefix":
			n.Prefix = b.Text(rule.Get("Value"))
		case "suffix":
			n.Suffix = b.Text(rule.Get("Value"))
		}
	}
	return n
}

// s3Event adds a notification to a bucket of the template.
func (b *building) s3Event(id, function string, p *yamltree.Node) {
	var events []string
	switch v := b.Value(p.Get("Events")).(type) {
	case string:
		events = []string{v}
	case []any:
		for _, e := range v {
			if text, ok := e.(string); ok {
				events = append(events, text)
			}
		}
	}
	b.objects = append(b.objects, objects{id, NameOf(b.Text(p.Get("Bucket"))), b.notification(FunctionARN(function), events, p.Get("Filter"))})
}
