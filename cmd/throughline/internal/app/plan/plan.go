// Package plan reads a SAM or CloudFormation template and lists what of it can run on
// this machine: functions with their code and variables, queues, topics, buses, rules,
// schedules and their connections. It has a line for each resource that is not played.
package plan

import (
	"encoding/json"
	"time"
)

// Plan is the part of an application that is played. It must not be changed.
type Plan struct {
	Functions []Function
	Queues    []Queue
	Topics    []Topic
	Buses     []string // the names of custom buses
	Rules     []Rule
	// NewBuses are EventBridge's new custom buses (AWS::EventsV2).
	NewBuses    []NewBus
	Subscribers []Subscriber
	Schedules   []Schedule
	Mappings    []Mapping // event source mappings
	Routes      []Route
	Tables      []Table
	Buckets     []Bucket
	// NotPlayed are the resources and connections that are not played, with the reason.
	NotPlayed []NotPlayed
	// Notes are values that were made up, and differences from Lambda.
	Notes []string
}

// NotPlayed is a part of a template that is not played.
type NotPlayed struct {
	ID, Type string // logical ID and type of the resource or of the event
	Why      string
}

// Language is the kind of runtime of a function.
type Language string

// The languages. Custom is a bootstrap: the binary of a Go main package, or the user's
// own.
const (
	Python Language = "python"
	Node   Language = "node"
	Custom Language = "custom"
)

// Function is a Lambda function.
type Function struct {
	ID, Name string
	Runtime  string // the runtime in the template: python3.12
	Language Language
	Handler  string
	// Code is the path of the code's folder, archive or file, relative to the template's
	// folder. It is empty if Inline is the code.
	Code, Inline string
	Layers       []string // paths of folders or archives, relative to the template's folder
	Env          map[string]string
	Timeout      time.Duration
	Memory       int // MB
	// Reserved is the reserved concurrency. A negative value means none.
	Reserved int
	LogJSON  bool
	// Retries is the number of retries of a failed asynchronous invocation.
	Retries                          int
	OnSuccess, OnFailure, DeadLetter string // ARNs; "" for none
}

// Queue is an SQS queue, with its attributes in the form of CreateQueue.
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

// Subscription is a queue or a function that a topic notifies, with attributes in the
// form of Subscribe.
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

// Target is a target of a rule or a schedule.
type Target struct {
	ARN string
	// Input is a constant, Path is a part of the event, and Template with Paths is an
	// input transformer. At most one of the three is set.
	Input, Path string
	Paths       map[string]string
	Template    string
	Group       string // message group of a FIFO queue
	Retries     int    // a negative value means the default of 185
	DeadLetter  string // ARN of a queue; "" for none
	// DetailType and Source are set for a schedule's target that is a bus.
	DetailType, Source string
}

// Schedule is a rule with a schedule expression, or a schedule of EventBridge Scheduler.
type Schedule struct {
	ID, Name, Group      string
	Expression, Timezone string
	Scheduler            bool // a schedule of EventBridge Scheduler
	Disabled             bool
	Targets              []Target
}

// Mapping is an event source mapping.
type Mapping struct {
	ID, Function string // Function is its name
	Source       string // ARN of a queue, or of a table's stream
	BatchSize    int
	Concurrency  int  // 0 means none is set
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
	// API is the logical ID of the API, or the function's ID for a function URL.
	API, Method, Path string // a function URL has Method ANY and Path ""
	Function          string // the function's name
	Version           string // the payload format version: 1.0 or 2.0
}

// Table is a DynamoDB table, in the form of CreateTable.
type Table struct {
	ID, Name string
	Create   json.RawMessage
	Stream   bool
}

// Bucket is an S3 bucket.
type Bucket struct {
	ID, Name      string
	Notifications []Notification
	EventBridge   bool // sends an event to the default bus for each change
}

// Notification is an event notification of a bucket to a function, queue or topic.
type Notification struct {
	Events         []string
	ARN            string
	Prefix, Suffix string
}

// Function returns the function with a name or an ARN, or nil.
func (p *Plan) Function(name string) *Function {
	name = NameOf(name)
	for i := range p.Functions {
		if p.Functions[i].Name == name {
			return &p.Functions[i]
		}
	}
	return nil
}
