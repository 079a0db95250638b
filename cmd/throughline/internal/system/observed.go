package system

import (
	"maps"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// Observed is a system's observed traffic. The zero value is no traffic.
type Observed struct {
	Over      time.Duration // the observed time; 0 for a whole file
	Functions map[string]*Traffic
	Lines     []Line          // log lines of repeats, loops and oversize events
	Delivered []Delivered     // events as consumers received them
	Broken    []string        // deliveries that are not events, with their lines
	Letters   []Letter        // messages in dead-letter queues
	Spans     []workflow.Span // nil means not read
	Errors    []LogError      // log lines of functions that could not serialise an event
	Dead      DeadLettering
	// EMFRejected counts metric lines that CloudWatch could not read, by log group.
	EMFRejected map[string]float64
	Matched     map[string]float64 // events that matched a rule, by bus
	Account     AccountWide
	// Trials are the results of --write.
	Replay *ReplayTrial
	DLQ    []DLQTrial
}

// AccountWide is EventBridge's metrics of PutEvents, which do not name the publisher.
type AccountWide struct {
	Entries, Failed, LargestRequest float64
}

// Of returns the traffic of a service, and creates it if needed.
func (o *Observed) Of(service string) *Traffic {
	if o.Functions == nil {
		o.Functions = map[string]*Traffic{}
	}
	t := o.Functions[service]
	if t == nil {
		t = &Traffic{Sum: map[string]float64{}, Codes: map[string]float64{}, Hosts: map[string]float64{}, Correlations: map[string]bool{}, Metrics: map[string]bool{}, Sizes: map[string]Size{}}
		o.Functions[service] = t
	}
	return t
}

// Traffic is the metrics of one service.
type Traffic struct {
	Sum          map[string]float64 // counters
	Codes        map[string]float64 // kinds of counters: EventsFailed_MalformedDetail
	Duration     time.Duration      // the longest invocation
	SlowestID    string             // the request ID of the longest invocation
	Hosts        map[string]float64 // the longest outbound request to each host, in ms
	Hops         float64
	Sizes        map[string]Size // by event type
	Correlations map[string]bool
	Metrics      map[string]bool // the names of its metrics
	Invocations  float64
	Last         time.Time
}

// Size is the largest event of a type.
type Size struct {
	Max     float64
	Count   float64
	EventID string
}

// Line is a log line of Throughline about an event.
type Line struct {
	Kind          string // repeat, loop, out-of-order, oversize
	Repeat        string // for a repeat: retry, redelivery, republish, replay
	Service       string
	EventID       string
	EventType     string
	CorrelationID string
	Hops          float64
	Bytes         float64
	At            time.Time
}

// Delivered is an event as a consumer received it.
type Delivered struct {
	ID, Type, CorrelationID string
}

// Letter is a message of a dead-letter queue.
type Letter struct {
	// Subscriber is the name of the one that gave the event up, of a new custom bus.
	Subscriber                                      string `json:"subscriber,omitempty"`
	EventID, EventType, Rule, Target, Code, Message string
}

// LogError is a line of a function that failed to serialise an event.
type LogError struct {
	Function, Message string
	At                time.Time
}

// DeadLettering are EventBridge's counts, by rule.
type DeadLettering struct {
	Sent, Lost map[string]float64
}

// ReplayTrial is a replay that check started.
type ReplayTrial struct {
	Name, Archive string
	From, To      time.Time
	State         string
	Reason        string
	Replayed      []Line // deliveries flagged as replays
	Again         []Line // events that were published again because of it
	Published     map[string]float64
	Dry           bool // --write would do it
	Rules         []string
	Reaches       []string // the targets
}

// DLQTrial is a failing event that check sent to one dead-letter queue.
type DLQTrial struct {
	Queue, Rule, EventID string
	Dry                  bool
	Why                  string // why it was not tried, or what went wrong
	Letter               *Letter
	After                time.Duration
	Waited               time.Duration
	Left                 []string // what could not be deleted
}

// Services returns the observed services, sorted.
func (o *Observed) Services() []string {
	return slices.Sorted(maps.Keys(o.Functions))
}
