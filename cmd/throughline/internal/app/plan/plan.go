// Package plan reads a SAM or CloudFormation template as what of it is played on this
// machine: functions with their code and variables, queues, topics, buses, rules,
// schedules and what joins them, and a line for each resource that is not played.
package plan

import (
	"encoding/json"
	"time"
)

// Plan is an application as it is played. It is read only.
type Plan struct {
	Functions []Function
	Queues    []Queue
	Topics    []Topic
	Buses     []string // custom ones, by name
	Rules     []Rule
	// NewBuses are EventBridge's new custom buses (AWS::EventsV2).
	NewBuses    []NewBus
	Subscribers []Subscriber
	Schedules   []Schedule
	Mappings    []Mapping // of event sources to functions
	Routes      []Route
	Tables      []Table
	Buckets     []Bucket
	// NotPlayed are the resources and wirings that are left out, with the reason.
	NotPlayed []NotPlayed
	// Notes are what was made up, or is played in another way than Lambda has it.
	Notes []string
}

// NotPlayed is a part of a template that is not played.
type NotPlayed struct {
	ID, Type string // logical ID and type of the resource or of the event
	Why      string
}

// Language is what runs a function.
type Language string

// The languages. Custom is a bootstrap: what a Go main package is built to, or one of the
// user's own.
const (
	Python Language = "python"
	Node   Language = "node"
	Custom Language = "custom"
)

// Function is a Lambda function.
type Function struct {
	ID, Name string
	Runtime  string // as the template has it: python3.12
	Language Language
	Handler  string
	// Code is the folder, archive or file of the code, from the template's folder; "" where
	// Inline is the code.
	Code, Inline string
	Layers       []string // their folders or archives, from the template's folder
	Env          map[string]string
	Timeout      time.Duration
	Memory       int // MB
	// Reserved is the reserved concurrency, negative for none.
	Reserved int
	LogJSON  bool
	// Retries of an asynchronous invocation that failed.
	Retries                          int
	OnSuccess, OnFailure, DeadLetter string // ARNs, "" for none
}

// Queue is an SQS queue with its attributes as CreateQueue takes them.
type Queue struct {
	ID, Name   string
	Attributes map[string]string
}

// Topic is an SNS topic.
type Topic struct {
	ID, Name      string
	Attributes    map[string]string
	Subscriptions []Subscription
}

// Subscription is a queue or a function that a topic notifies. Attributes are those that
// Subscribe takes.
type Subscription struct {
	Protocol, Endpoint string
	Attributes         map[string]string
}

// Rule sends events of a bus that match a pattern to targets.
type Rule struct {
	ID, Name, Bus string
	Pattern       string // JSON
	Disabled      bool
	Targets       []Target
}

// Target is where a rule or a schedule sends.
type Target struct {
	ARN string
	// Input is a constant, Path a part of the event, Template with Paths a transformer's;
	// at most one of the three is given.
	Input, Path string
	Paths       map[string]string
	Template    string
	Group       string // of a FIFO queue
	Retries     int    // negative: Scheduler's or EventBridge's own 185
	DeadLetter  string // ARN of a queue, "" for none
	// DetailType and Source are of a schedule's target that is a bus.
	DetailType, Source string
}

// Schedule is a rule with a schedule, or one of EventBridge Scheduler.
type Schedule struct {
	ID, Name, Group      string
	Expression, Timezone string
	Scheduler            bool // of EventBridge Scheduler
	Disabled             bool
	Targets              []Target
}

// Mapping is an event source mapping.
type Mapping struct {
	ID, Function string // Function is its name
	Source       string // ARN of a queue, or of a table's stream
	BatchSize    int
	Concurrency  int  // zero: none is given
	Failures     bool // ReportBatchItemFailures
	Filters      []string
	// Retries of a stream's batch and the age of its records at which they are given up are
	// negative where the template has no bound.
	Retries   int
	MaxAge    time.Duration
	Bisect    bool   // a stream's batch that fails is tried again in two
	OnFailure string // ARN of the queue or topic that is told of a batch that is given up, "" for none
}

// Route is a path over HTTP that invokes a function.
type Route struct {
	// API is the logical ID of the API, or the function's ID where it is its URL.
	API, Method, Path string // Method ANY and Path "" of a function's URL
	Function          string // its name
	Version           string // of the payload's format: 1.0 or 2.0
}

// Table is a DynamoDB table, as CreateTable takes it.
type Table struct {
	ID, Name string
	Create   json.RawMessage
	Stream   bool
}

// Bucket is an S3 bucket.
type Bucket struct {
	ID, Name      string
	Notifications []Notification
	EventBridge   bool // it tells the default bus of each change
}

// Notification is what a bucket tells of its objects, to a function, queue or topic.
type Notification struct {
	Events         []string
	ARN            string
	Prefix, Suffix string
}

// Function is the function of a name or an ARN, nil where there is none.
func (p *Plan) Function(name string) *Function {
	name = NameOf(name)
	for i := range p.Functions {
		if p.Functions[i].Name == name {
			return &p.Functions[i]
		}
	}
	return nil
}
