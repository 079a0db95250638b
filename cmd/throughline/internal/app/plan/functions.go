package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/internal/yamltree"
)

// Lambda's defaults.
const (
	defaultTimeout = 3
	defaultMemory  = 128
	defaultRetries = 2
)

// function reads a function with its events and with values of its template's Globals.
func (b *building) function(r template.Resource) {
	globals := (*yamltree.Node)(nil)
	if r.Type == "AWS::Serverless::Function" {
		globals = b.globals.Get("Function")
	}
	get := func(key string) *yamltree.Node {
		if n := r.Property(key); n != nil {
			return n
		}
		return globals.Get(key)
	}
	f := Function{
		ID: r.ID, Name: r.Name, Runtime: b.Text(get("Runtime")), Handler: b.Text(get("Handler")),
		Timeout: time.Duration(b.number(get("Timeout"), defaultTimeout)) * time.Second, Memory: b.number(get("MemorySize"), defaultMemory),
		Reserved: b.number(get("ReservedConcurrentExecutions"), -1), Retries: defaultRetries, Env: map[string]string{},
		LogJSON: b.Text(get("LoggingConfig").Get("LogFormat")) == "JSON",
	}
	for _, from := range []*yamltree.Node{globals, r.Node.Get("Properties")} {
		variables, _ := b.Value(from.At("Environment", "Variables")).(map[string]any)
		for name, value := range variables {
			f.Env[name] = fmt.Sprint(value)
		}
		layers, _ := b.Value(from.Get("Layers")).([]any)
		for _, layer := range layers {
			b.attach(&f, fmt.Sprint(layer))
		}
	}
	if !b.code(&f, r, get) {
		return
	}
	switch {
	case strings.HasPrefix(f.Runtime, "python"):
		f.Language = Python
	case strings.HasPrefix(f.Runtime, "nodejs"):
		f.Language = Node
	case strings.HasPrefix(f.Runtime, "provided"), f.Runtime == "go1.x":
		f.Language = Custom
	default:
		b.notPlayed(r.ID, r.Type, "the runtime "+f.Runtime+" is not played: only Python, Node.js and provided runtimes are")
		return
	}
	f.DeadLetter = b.Text(get("DeadLetterConfig").Get("TargetArn"))
	if of := get("DeadLetterQueue"); of != nil && r.Type == "AWS::Serverless::Function" {
		f.DeadLetter = b.Text(of.Get("TargetArn"))
	}
	b.plan.Functions = append(b.plan.Functions, f)
	if r.Type == "AWS::Serverless::Function" {
		if c := get("EventInvokeConfig"); c != nil {
			b.invoke[f.Name] = b.invokeConfig(r.ID, f.Name, c)
		}
		if get("FunctionUrlConfig") != nil {
			b.url(f.Name, r.ID+"Url")
		}
		for _, event := range r.Property("Events").Members() {
			b.event(r.ID, f.Name, event.Key, event.Value)
		}
	}
}

func (b *building) url(function, id string) {
	if !b.urls[function] {
		b.urls[function] = true
		b.plan.Routes = append(b.plan.Routes, Route{API: id, Method: "ANY", Function: function, Version: "2.0"})
	}
}

// number returns a number of the template, or otherwise if it has none.
func (b *building) number(n *yamltree.Node, otherwise int) int {
	f, err := strconv.ParseFloat(b.Text(n), 64)
	if err != nil {
		return otherwise
	}
	return int(f)
}

// attach adds a layer whose content is on this machine. It skips Throughline's layer,
// which is attached to every function.
func (b *building) attach(f *Function, layerARN string) {
	content, known := b.layers[layerARN]
	switch {
	case known:
		f.Layers = append(f.Layers, content)
	case strings.Contains(strings.ToLower(layerARN), "throughline"):
	default:
		b.note("%s runs without its layer %s, whose content is not on this machine", f.ID, layerARN)
	}
}

// code finds a function's code. It returns false if the function is not played.
func (b *building) code(f *Function, r template.Resource, get func(string) *yamltree.Node) bool {
	if b.Text(get("PackageType")) == "Image" || get("ImageUri") != nil || r.Property("Code", "ImageUri") != nil {
		b.notPlayed(r.ID, r.Type, "functions from container images are not played: give a copy of the template with its handler and runtime, or run its code separately")
		return false
	}
	f.Inline = b.Text(get("InlineCode"))
	if f.Inline == "" {
		f.Inline = b.Text(r.Property("Code", "ZipFile"))
	}
	if f.Inline != "" {
		return true
	}
	at, isText := b.Value(get("CodeUri")).(string)
	if r.Type == "AWS::Lambda::Function" {
		at = b.assetOf(r, r.Property("Code"))
		isText = at != ""
	} else if get("CodeUri") == nil {
		at, isText = ".", true
	}
	if !isText || remote(at) {
		b.notPlayed(r.ID, r.Type, "its code is in S3: give a template with local code, such as that of sam build or cdk synth")
		return false
	}
	f.Code = b.at(at)
	return true
}

// invokeConfig is how a function is invoked asynchronously.
type invokeConfig struct {
	retries              int
	onSuccess, onFailure string
}

func (c invokeConfig) apply(f *Function) {
	f.Retries, f.OnSuccess, f.OnFailure = c.retries, c.onSuccess, c.onFailure
}

// invokeConfig reads SAM's EventInvokeConfig and Lambda's own. It creates the queue of a
// destination that SAM generates.
func (b *building) invokeConfig(id, function string, n *yamltree.Node) invokeConfig {
	c := invokeConfig{retries: b.number(n.Get("MaximumRetryAttempts"), defaultRetries)}
	for _, end := range []struct {
		key  string
		into *string
	}{{"OnSuccess", &c.onSuccess}, {"OnFailure", &c.onFailure}} {
		to := n.At("DestinationConfig", end.key)
		if to == nil {
			continue
		}
		*end.into = b.Text(to.Get("Destination"))
		made := id + "EventInvokeConfig" + end.key
		switch kind := b.Text(to.Get("Type")); {
		case *end.into != "":
		case kind == "SQS":
			b.plan.Queues = append(b.plan.Queues, Queue{ID: made + "Queue", Name: made + "Queue", Attributes: map[string]string{}})
			*end.into = QueueARN(made + "Queue")
		case kind == "SNS":
			b.plan.Topics = append(b.plan.Topics, Topic{ID: made + "Topic", Name: made + "Topic"})
			*end.into = arn("sns", made+"Topic")
		}
	}
	return c
}
