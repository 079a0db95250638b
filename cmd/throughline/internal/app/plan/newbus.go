package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
)

// The types of EventBridge's new custom buses that are played.
const (
	newBusType     = "AWS::EventsV2::EventBus"
	subscriberType = "AWS::EventsV2::Subscriber"
	newBusPath     = ":event-busv2/"
)

// NewBus is a new custom bus.
type NewBus struct {
	ID, Name, ARN string
	Days          int // for which it keeps events; 0: one
}

// Subscriber has events of a new custom bus delivered to a target.
type Subscriber struct {
	ID, Name, Bus string // Bus is the ARN
	Target        string // ARN
	Filters       []Filter
	Transformer   string // "" for RAW
	Expression    string // of JSONATA
	FIFO          bool
	Batch         int // 0: the service's own
	Window        time.Duration
	Retries       int           // negative: the service's own
	MaxAge        time.Duration // zero: the service's own
	DeadLetter    string        // ARN of a queue, "" for none
	Stopped       bool
	Sync          bool // a function's answer is waited for
	// What the parameters of a queue, a topic or another new bus say, each a text or an
	// expression.
	Attributes             map[string]string
	TraceHeader            string
	Metadata               map[string]string
	Group, DeduplicationID string
}

// Filter is one of a subscriber's filters: a pattern in JSON on one part of an event.
type Filter struct{ Pattern, Scope string }

// NewBusID is the last part of a new bus's ARN on this machine, of its name.
func NewBusID(name string) string {
	const letters = 25
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:]))[:letters]
}

// NewBusARN is that of a new bus's name.
func NewBusARN(name string) string { return arn("events", "event-busv2/"+name+"/"+NewBusID(name)) }

// IsNewBus says whether an ARN is a new bus's.
func IsNewBus(arn string) bool { return strings.Contains(arn, newBusPath) }

// NewBus is the new bus of an ARN, nil where there is none.
func (p *Plan) NewBus(arn string) *NewBus {
	for i := range p.NewBuses {
		if p.NewBuses[i].ARN == arn {
			return &p.NewBuses[i]
		}
	}
	return nil
}

// NewBusName is the name in a new bus's ARN.
func NewBusName(arn string) string {
	_, path, _ := strings.Cut(arn, newBusPath)
	name, _, _ := strings.Cut(path, "/")
	return name
}

func (b *building) newBus(r template.Resource) {
	bus := NewBus{ID: r.ID, Name: r.Name, ARN: NewBusARN(r.Name), Days: b.number(r.Property("StorageConfiguration", "RetentionPeriodInDays"), 0)}
	b.plan.NewBuses = append(b.plan.NewBuses, bus)
}

func (b *building) subscriber(r template.Resource) {
	text := func(keys ...string) string { return b.Text(r.Property(keys...)) }
	s := Subscriber{
		ID: r.ID, Name: r.Name, Bus: text("EventBusArn"), Target: text("InvokeConfiguration", "TargetArn"),
		Transformer: text("Transformer", "Type"), Expression: text("Transformer", "JsonataConfiguration", "Expression"),
		FIFO: text("Type") == "FIFO", Batch: b.number(r.Property("BatchConfiguration", "MaxBatchSize"), 0),
		Window:  time.Duration(b.number(r.Property("BatchConfiguration", "MaxBatchWindowInSeconds"), 0)) * time.Second,
		Retries: b.number(r.Property("RetryPolicy", "MaxRetryAttempts"), -1), MaxAge: time.Duration(b.number(r.Property("RetryPolicy", "MaxEventAgeInSeconds"), 0)) * time.Second,
		DeadLetter: text("OnFailureConfiguration", "Arn"), Stopped: text("State") == "STOPPED",
		Sync: text("InvokeConfiguration", "LambdaParameters", "InvocationType") == "REQUEST_RESPONSE", Attributes: map[string]string{}, Metadata: map[string]string{},
	}
	for _, f := range r.Property("FilterConfiguration", "Filters").List() {
		filter := Filter{b.Text(f.Get("Pattern")), b.Text(f.Get("Scope"))}
		if filter.Scope == "" {
			filter.Scope = "DATA"
		}
		s.Filters = append(s.Filters, filter)
	}
	for _, kind := range []string{"SqsParameters", "SnsParameters"} {
		parameters := r.Property("InvokeConfiguration", kind)
		for _, p := range parameters.Get("MessageAttributes").Members() {
			s.Attributes[p.Key] = b.Text(p.Value.Get("StringValue"))
		}
		s.Group += b.Text(parameters.Get("MessageGroupId"))
		s.DeduplicationID += b.Text(parameters.Get("MessageDeduplicationId"))
		s.TraceHeader += b.Text(parameters.At("MessageSystemAttributes", "AWSTraceHeader", "StringValue"))
	}
	bus := r.Property("InvokeConfiguration", "EventBusV2Parameters")
	for _, p := range bus.Get("Metadata").Members() {
		s.Metadata[p.Key] = b.Text(p.Value)
	}
	s.Group += b.Text(bus.At("SystemMetadata", "EventGroupId"))
	s.DeduplicationID += b.Text(bus.At("SystemMetadata", "DeduplicationId"))
	if text("StartingPosition") == "POINT_IN_TIME" {
		b.notPlayed(r.ID, r.Type, "it reads what was published before: a bus is empty when it starts")
		return
	}
	b.plan.Subscribers = append(b.plan.Subscribers, s)
}

// finishNewBuses leaves out what subscribes to, or sends to, what is not played.
func (b *building) finishNewBuses() {
	b.plan.Subscribers = slices.DeleteFunc(b.plan.Subscribers, func(s Subscriber) bool {
		if b.plan.NewBus(s.Bus) == nil {
			b.notPlayed(s.ID, subscriberType, "its bus "+s.Bus+" is not in the template")
			return true
		}
		return len(b.played(s.ID, []Target{{ARN: s.Target}})) == 0
	})
	for i := range b.plan.Schedules {
		one := &b.plan.Schedules[i]
		one.Targets = slices.DeleteFunc(one.Targets, func(t Target) bool {
			if IsNewBus(t.ARN) {
				b.notPlayed(one.ID, "target", "schedules do not publish on new custom buses here")
			}
			return IsNewBus(t.ARN)
		})
	}
}
