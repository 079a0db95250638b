// Package system describes a deployed system and its observed traffic as plain values,
// which `throughline check` judges. `throughline demo` writes such a description of its
// own system.
package system

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
)

// System is the description of a system. The zero value is empty.
type System struct {
	// Source says where the description was read: a folder, or an account and Region.
	Source    string     `json:"source"`
	Local     bool       `json:"local,omitempty"` // a demo, without AWS
	Buses     []Bus      `json:"buses"`
	Functions []Function `json:"functions"`
	Queues    []Queue    `json:"queues,omitempty"`
	Topics    []Topic    `json:"topics,omitempty"`
	// Missing are targets of rules: functions that do not exist.
	Missing []string `json:"missing,omitempty"`
	Notes   []string `json:"notes,omitempty"` // what was not read
	// Permissions are those of the template that throughline dev plays; nil elsewhere.
	Permissions *Permissions `json:"permissions,omitempty"`
	Alarms      []Alarm      `json:"alarms,omitempty"`

	// PublishedMetrics are the metric names in CloudWatch, by namespace.
	PublishedMetrics map[string][]string `json:"published_metrics,omitempty"`
	Observed         Observed            `json:"-"`
	// Unread says why a part could not be read, by part.
	Unread map[Part]string `json:"-"`
}

// Permissions is whether the policies of a template let its rules send to their targets.
type Permissions struct {
	Targets int      `json:"targets"`           // how many were judged
	Refused []string `json:"refused,omitempty"` // "rule R cannot send to …"
}

// Part is a part of the description that is read with separate calls.
type Part string

// The parts.
const (
	Buses     Part = "buses"
	Rules     Part = "rules"
	Functions Part = "functions"
	Policies  Part = "policies"
	Queues    Part = "queues"
	Logs      Part = "logs"
	Groups    Part = "log groups"
	Metrics   Part = "metrics"
	Alarms    Part = "alarms"
	Archives  Part = "archives"
)

// Bus is an event bus. A bus that does not exist has only its name and similar names.
type Bus struct {
	Name     string    `json:"name"`
	ARN      string    `json:"arn,omitempty"`
	Exists   bool      `json:"exists"`
	Others   []string  `json:"others,omitempty"`
	Rules    []Rule    `json:"rules"`
	Archives []Archive `json:"archives,omitempty"`
	// New is of a new custom bus alone, whose Rules are its subscribers.
	New *NewBus `json:"new,omitempty"`
}

// NewBus is what is known of a new custom bus.
type NewBus struct {
	RetentionDays int `json:"retention_days,omitempty"`
	// Found are answers to what AWS does not document, in the order in which they were found.
	Found []Found `json:"found,omitempty"`
	// Why says why there are none, or not all: that nothing was to be tried, or what failed.
	Why string `json:"why,omitempty"`
}

// Found is an answer that an account gave.
type Found struct{ Question, Answer string }

// Rule is one rule of a bus, or a subscriber of a new custom bus.
type Rule struct {
	Name     string   `json:"name"`
	ARN      string   `json:"arn,omitempty"`
	Pattern  string   `json:"pattern,omitempty"`
	Beyond   string   `json:"beyond,omitempty"` // what else a subscriber asks of events
	Disabled bool     `json:"disabled,omitempty"`
	Targets  []Target `json:"targets"`
}

// Target is a target of a rule. DeadLetter is the ARN of its dead-letter queue, or "".
type Target struct {
	ID         string `json:"id"`
	ARN        string `json:"arn"`
	Role       string `json:"role,omitempty"`
	DeadLetter string `json:"dead_letter,omitempty"`
	// Attempts and MaxAge limit the retries of a delivery; nil and 0 mean EventBridge's
	// defaults of 185 retries and 24 hours.
	Attempts *int32        `json:"attempts,omitempty"`
	MaxAge   time.Duration `json:"max_age,omitempty"`
	// Of a subscriber: how many events a call brings at most, 0 where that is not known; what
	// the transformer gives; and how a function is invoked, "" for the default.
	Batch       int    `json:"batch,omitempty"`
	Transformer string `json:"transformer,omitempty"`
	Invocation  string `json:"invocation,omitempty"`
}

// Archive is an archive of a bus.
type Archive struct {
	Name    string `json:"name"`
	ARN     string `json:"arn,omitempty"`
	Enabled bool   `json:"enabled"`
	Events  int64  `json:"events"`
}

// Queue is a queue that is a target or a dead-letter queue.
type Queue struct {
	ARN      string `json:"arn"`
	URL      string `json:"url,omitempty"`
	Exists   bool   `json:"exists"`
	Policy   string `json:"policy,omitempty"`
	Messages int    `json:"messages"`
}

// Topic is an SNS topic that is a target.
type Topic struct {
	ARN    string `json:"arn"`
	Exists bool   `json:"exists"`
	Policy string `json:"policy,omitempty"`
}

// Function is a Lambda function.
type Function struct {
	Name      string        `json:"name"`
	ARN       string        `json:"arn,omitempty"`
	Service   string        `json:"service"`   // the Service dimension of its metrics
	Namespace string        `json:"namespace"` // the namespace of its metrics
	Timeout   time.Duration `json:"timeout"`
	// Environment has Throughline's settings and variables that name a bus.
	Environment map[string]string `json:"environment,omitempty"`
	LogFormat   string            `json:"log_format,omitempty"` // Text or JSON
	LogLevel    string            `json:"log_level,omitempty"`  // ApplicationLogLevel
	LogGroup    string            `json:"log_group,omitempty"`
	LogClass    string            `json:"log_class,omitempty"` // empty if the group does not exist
	Policy      string            `json:"policy,omitempty"`
}

// Alarm is an alarm's metric.
type Alarm struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Metric    string `json:"metric"`
}

// Bus returns the bus with a name, or nil.
func (s *System) Bus(name string) *Bus {
	for i := range s.Buses {
		if s.Buses[i].Name == name {
			return &s.Buses[i]
		}
	}
	return nil
}

// Queue returns the queue with the ARN, or nil if it was not read.
func (s *System) Queue(arn string) *Queue {
	for i := range s.Queues {
		if s.Queues[i].ARN == arn {
			return &s.Queues[i]
		}
	}
	return nil
}

// Guarding returns the policy of the resource with an ARN, and the action that
// EventBridge performs on it. known is false if this kind has no policy, or if it was not
// read.
func (s *System) Guarding(resource string) (what, policy, action string, known bool) {
	switch arn.Service(resource) {
	case "lambda":
		for _, fn := range s.Functions {
			if fn.ARN == resource || fn.ARN != "" && strings.HasPrefix(resource, fn.ARN+":") {
				return "function", fn.Policy, "lambda:InvokeFunction", true
			}
		}
	case "sqs":
		if q := s.Queue(resource); q != nil && q.Exists {
			return "queue", q.Policy, "sqs:SendMessage", true
		}
	case "sns":
		for _, t := range s.Topics {
			if t.ARN == resource {
				return "topic", t.Policy, "sns:Publish", true
			}
		}
	}
	return "", "", "", false
}

// DeadLetterQueues returns the distinct ARNs of the dead-letter queues of the bus's
// rules, sorted.
func (b Bus) DeadLetterQueues() []string {
	var list []string
	for _, r := range b.Rules {
		for _, t := range r.Targets {
			if t.DeadLetter != "" {
				list = append(list, t.DeadLetter)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// DeadLetterQueues returns those of all buses.
func (s *System) DeadLetterQueues() []string {
	var list []string
	for _, b := range s.Buses {
		list = append(list, b.DeadLetterQueues()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

var busVariable = regexp.MustCompile(`(?i)(event_?bus|(^|_)bus(_|$))`)

// NamesBus reports whether a variable of a function's environment names an event bus, by
// name or ARN, and which. URLs and switches do not count.
func NamesBus(variable, value string) (bus string, ok bool) {
	switch {
	case !busVariable.MatchString(variable):
		return "", false
	case strings.HasPrefix(value, "arn:"):
		return arn.Name(value), strings.Contains(value, ":event-bus/")
	}
	return value, len(value) > 1 && value != "true" && value != "false" && !strings.ContainsAny(value, ": ,/")
}

// Cannot records why a part could not be read. The first reason stays.
func (s *System) Cannot(p Part, why string) {
	if s.Unread == nil {
		s.Unread = map[Part]string{}
	}
	s.Unread[p] = cmp.Or(s.Unread[p], why)
}

// Read reads a description from JSON.
func Read(data []byte) (System, error) {
	var s System
	err := json.Unmarshal(data, &s)
	return s, err
}
