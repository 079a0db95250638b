package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/internal/yamltree"
)

// Options are the values that a template does not have.
type Options struct {
	Values map[string]string // values of parameters
	// Open reads the template of a nested stack by its path relative to the template. If
	// nil, nested stacks are not read.
	Open func(name string) ([]byte, error)
	// Queues and API are the URLs of the local services, without a trailing slash, with
	// which URLs of queues and of functions begin. Empty means AWS's own URLs for queues,
	// and no URL for functions.
	Queues, API string
	// Stack is the value of AWS::StackName. Empty means local.
	Stack string
}

// Build makes the plan of a template. It returns an error for a document that cannot be
// read or has no Resources. Plan.NotPlayed lists resources that it does not support.
func Build(data []byte, o Options) (*Plan, error) {
	if o.Queues == "" {
		o.Queues = "https://sqs." + Region + ".amazonaws.com"
	}
	if o.Stack == "" {
		o.Stack = "local"
	}
	values := map[string]string{
		"AWS::Region": Region, "AWS::AccountId": Account, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::StackName": o.Stack,
		"AWS::StackId": arn("cloudformation", "stack/"+o.Stack+"/local"), "AWS::NotificationARNs": "",
	}
	maps.Copy(values, o.Values)
	l, err := template.OpenLocal(data, template.LocalOptions{Values: values, Open: o.Open, Give: o.give})
	if err != nil {
		return nil, err
	}
	for name := range o.Values {
		if l.Root().At("Parameters", name) == nil {
			return nil, fmt.Errorf("the template has no parameter %s: it has %s", name, keys(l.Root().Get("Parameters")))
		}
	}
	b := &building{layers: map[string]string{}, invoke: map[string]invokeConfig{}, urls: map[string]bool{}}
	b.template(l)
	b.finish()
	b.plan.Notes = append(slices.Clone(l.Notes()), b.plan.Notes...)
	return &b.plan, nil
}

func keys(n *yamltree.Node) string {
	var list []string
	for _, p := range n.Members() {
		list = append(list, p.Key)
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// building is a plan in progress.
type building struct {
	plan   Plan
	layers map[string]string // paths of the content, by ARN
	invoke map[string]invokeConfig
	urls   map[string]bool // names of functions with a URL
	// globals is the section Globals of the template that is being read.
	globals *yamltree.Node
	// pending are subscriptions and notifications whose topic or bucket is not read yet.
	pending []pending
	objects []objects
	*template.Local
}

type pending struct {
	id, topic string
	Subscription
}

type objects struct {
	id, bucket string
	Notification
}

// template reads the resources of a template and of its nested stacks.
func (b *building) template(l *template.Local) {
	outer, globals := b.Local, b.globals
	b.Local, b.globals = l, l.Root().Get("Globals")
	defer func() { b.Local, b.globals = outer, globals }()
	resources := l.Resources()
	for _, r := range resources { // layers first, because functions refer to them
		if strings.HasSuffix(r.Type, "LayerVersion") {
			b.layer(r)
		}
	}
	left := l.LeftOut()
	for _, id := range slices.Sorted(maps.Keys(left)) {
		b.plan.Notes = append(b.plan.Notes, fmt.Sprintf("%s is not created: its condition %s is false", id, left[id]))
	}
	for _, r := range resources {
		b.resource(r)
	}
}

func (b *building) resource(r template.Resource) {
	switch r.Type {
	case "AWS::Serverless::Function", "AWS::Lambda::Function":
		b.function(r)
	case "AWS::SQS::Queue":
		b.queue(r)
	case "AWS::SNS::Topic":
		b.topic(r)
	case "AWS::SNS::Subscription":
		b.subscription(r)
	case "AWS::Events::EventBus":
		b.plan.Buses = append(b.plan.Buses, r.Name)
	case newBusType:
		b.newBus(r)
	case subscriberType:
		b.subscriber(r)
	case "AWS::Events::Rule":
		b.rule(r)
	case "AWS::Scheduler::Schedule":
		b.schedule(r)
	case "AWS::Lambda::EventSourceMapping":
		b.mapping(r.ID, r.Type, NameOf(b.Text(r.Property("FunctionName"))), b.Text(r.Property("EventSourceArn")), r.Node.Get("Properties"))
	case "AWS::Lambda::EventInvokeConfig":
		name := NameOf(b.Text(r.Property("FunctionName")))
		b.invoke[name] = b.invokeConfig(r.ID, name, r.Node.Get("Properties"))
	case "AWS::Lambda::Url":
		b.url(NameOf(b.Text(r.Property("TargetFunctionArn"))), r.ID)
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable":
		b.table(r)
	case "AWS::S3::Bucket":
		b.bucket(r)
	case "AWS::Serverless::Api", "AWS::Serverless::HttpApi":
		if r.Property("DefinitionBody") != nil || r.Property("DefinitionUri") != nil {
			b.notPlayed(r.ID, r.Type, "paths of an OpenAPI definition are not read: only those of functions' events are played")
		}
	case "AWS::CloudFormation::Stack", "AWS::Serverless::Application":
		inner, err := b.Nested(r)
		if err != nil {
			b.notPlayed(r.ID, r.Type, "the template of the nested stack was not found")
			return
		}
		b.template(inner)
	default:
		if why := why(r.Type); why != "" {
			b.notPlayed(r.ID, r.Type, why)
		}
	}
}

func (b *building) notPlayed(id, typ, why string) {
	b.plan.NotPlayed = append(b.plan.NotPlayed, NotPlayed{id, typ, why})
}

func (b *building) note(format string, args ...any) {
	b.plan.Notes = append(b.plan.Notes, fmt.Sprintf(format, args...))
}

// layer records the path of a layer's content.
func (b *building) layer(r template.Resource) {
	content := b.Text(r.Property("ContentUri"))
	if content == "" {
		content = b.assetOf(r, r.Property("Content"))
	}
	if content != "" && !remote(content) {
		b.layers[arn("lambda", "layer:"+r.ID+":1")] = b.at(content)
	}
}

// at converts a path to one relative to the outermost template.
func (b *building) at(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(b.Dir, p)
}

// remote reports whether code is in S3 or behind a URL.
func remote(location string) bool { return strings.Contains(location, "://") }

// assetOf returns the folder of a CDK asset, from the metadata that cdk synth writes.
func (b *building) assetOf(r template.Resource, code *yamltree.Node) string {
	if asset := r.Node.At("Metadata", "aws:asset:path").Value(); asset != "" {
		return asset
	}
	if code.Scalar() { // a path, as sam build writes it
		return code.Value()
	}
	return ""
}

// finish joins parts that are in several resources.
func (b *building) finish() {
	for i := range b.plan.Functions {
		f := &b.plan.Functions[i]
		if c, ok := b.invoke[f.Name]; ok {
			c.apply(f)
		}
	}
	for _, p := range b.pending {
		i := slices.IndexFunc(b.plan.Topics, func(t Topic) bool { return t.Name == p.topic })
		if i < 0 {
			b.notPlayed(p.id, "subscription", "the topic "+p.topic+" is not in the template")
			continue
		}
		b.plan.Topics[i].Subscriptions = append(b.plan.Topics[i].Subscriptions, p.Subscription)
	}
	for _, o := range b.objects {
		i := slices.IndexFunc(b.plan.Buckets, func(bucket Bucket) bool { return bucket.Name == o.bucket })
		if i < 0 {
			b.notPlayed(o.id, "S3 event", "the bucket "+o.bucket+" is not in the template")
			continue
		}
		b.plan.Buckets[i].Notifications = append(b.plan.Buckets[i].Notifications, o.Notification)
	}
	b.plan.Mappings = slices.DeleteFunc(b.plan.Mappings, func(m Mapping) bool { return b.missing(m.ID, m.Function) })
	b.plan.Routes = slices.DeleteFunc(b.plan.Routes, func(r Route) bool { return b.missing(r.API, r.Function) })
	for i := range b.plan.Rules {
		b.plan.Rules[i].Targets = b.played(b.plan.Rules[i].ID, b.plan.Rules[i].Targets)
	}
	for i := range b.plan.Schedules {
		b.plan.Schedules[i].Targets = b.played(b.plan.Schedules[i].ID, b.plan.Schedules[i].Targets)
	}
	b.finishNewBuses()
	for _, r := range b.plan.Rules { // a bus of another stack is created too
		if r.Bus != "default" && !slices.Contains(b.plan.Buses, r.Bus) {
			b.plan.Buses = append(b.plan.Buses, r.Bus)
			b.note("the bus %s is not in the template: an empty bus replaces it", r.Bus)
		}
	}
}

// missing records a reference to a function that is not played.
func (b *building) missing(id, function string) bool {
	if b.plan.Function(function) != nil {
		return false
	}
	b.notPlayed(id, "wiring", "the function "+function+" is not played")
	return true
}

// played returns the targets that are played, and records the others.
func (b *building) played(id string, targets []Target) []Target {
	return slices.DeleteFunc(targets, func(t Target) bool {
		name := NameOf(t.ARN)
		var ok bool
		switch ServiceOf(t.ARN) {
		case "lambda":
			ok = b.plan.Function(name) != nil
		case "sqs":
			ok = slices.ContainsFunc(b.plan.Queues, func(q Queue) bool { return q.Name == name })
		case "sns":
			ok = slices.ContainsFunc(b.plan.Topics, func(topic Topic) bool { return topic.Name == name })
		case "events":
			ok = name == "default" || slices.Contains(b.plan.Buses, name) || b.plan.NewBus(t.ARN) != nil
		}
		if !ok {
			b.notPlayed(id, "target", t.ARN+" is not played")
		}
		return !ok
	})
}
