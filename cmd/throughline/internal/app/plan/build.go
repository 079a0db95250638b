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

// Options say what a template does not.
type Options struct {
	Values map[string]string // of parameters
	// Open reads the template of a nested stack by its path from the template. Nil: none is there.
	Open func(name string) ([]byte, error)
	// Queues and API are the URLs of the stands, without a slash at the end, which URLs of
	// queues and of functions begin with. Zero: AWS's own for queues, and none.
	Queues, API string
	// Stack is AWS::StackName. Zero: local.
	Stack string
}

// Build reads a template. It returns an error for a document that cannot be read or has
// no Resources; what it does not understand is in Plan.NotPlayed.
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

// building collects a plan.
type building struct {
	plan   Plan
	layers map[string]string // by ARN, where the content is
	invoke map[string]invokeConfig
	urls   map[string]bool // functions with a URL, by name
	// globals are the section Globals of the template that is read.
	globals *yamltree.Node
	// pending are subscriptions and notifications whose topic or bucket was not read yet.
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
	for _, r := range resources { // functions refer to them
		if strings.HasSuffix(r.Type, "LayerVersion") {
			b.layer(r)
		}
	}
	left := l.LeftOut()
	for _, id := range slices.Sorted(maps.Keys(left)) {
		b.plan.Notes = append(b.plan.Notes, fmt.Sprintf("%s is left out: its condition %s does not hold", id, left[id]))
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
			b.notPlayed(r.ID, r.Type, "paths of an OpenAPI definition are not read: those of functions' events are played")
		}
	case "AWS::CloudFormation::Stack", "AWS::Serverless::Application":
		inner, err := b.Nested(r)
		if err != nil {
			b.notPlayed(r.ID, r.Type, "its template is not here")
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

// layer notes where a layer's content is.
func (b *building) layer(r template.Resource) {
	content := b.Text(r.Property("ContentUri"))
	if content == "" {
		content = b.assetOf(r, r.Property("Content"))
	}
	if content != "" && !remote(content) {
		b.layers[arn("lambda", "layer:"+r.ID+":1")] = b.at(content)
	}
}

// at is a path as it is from the outermost template.
func (b *building) at(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(b.Dir, p)
}

// remote says whether code is in S3 or behind a URL.
func remote(location string) bool { return strings.Contains(location, "://") }

// assetOf is the folder of a CDK asset: what cdk synth says of code that it has put aside.
func (b *building) assetOf(r template.Resource, code *yamltree.Node) string {
	if asset := r.Node.At("Metadata", "aws:asset:path").Value(); asset != "" {
		return asset
	}
	if code.Scalar() { // as sam build and aws cloudformation package before it have it
		return code.Value()
	}
	return ""
}

// finish joins what stands in several resources.
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
	for _, r := range b.plan.Rules { // a bus of another stack is played too
		if r.Bus != "default" && !slices.Contains(b.plan.Buses, r.Bus) {
			b.plan.Buses = append(b.plan.Buses, r.Bus)
			b.note("the bus %s is not in the template: an empty one stands in", r.Bus)
		}
	}
}

// missing notes what refers to a function that is not played.
func (b *building) missing(id, function string) bool {
	if b.plan.Function(function) != nil {
		return false
	}
	b.notPlayed(id, "wiring", "the function "+function+" is not played")
	return true
}

// played are those of the targets that are.
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
