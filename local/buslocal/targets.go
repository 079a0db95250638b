package buslocal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
)

// Function is a Lambda function as a target, implemented by a Go func. EventBridge
// invokes it asynchronously: a delivery succeeds once the invocation is queued.
type Function struct {
	FunctionName string
	Invoke       func(ctx context.Context, payload []byte, traceHeader string) error
}

// Name implements Target.
func (f Function) Name() string { return f.FunctionName }

// Deliver implements Target.
func (f Function) Deliver(ctx context.Context, m Message) error {
	return f.Invoke(ctx, m.Payload, m.TraceHeader)
}

// Forward is a target that puts events on another bus of the same Region. It does
// not change the envelope, including id and time.
type Forward struct {
	To  *Bus
	Bus string // zero: default
}

// Name implements Target.
func (f Forward) Name() string { return "bus " + busName(f.Bus) }

// Deliver implements Target.
func (f Forward) Deliver(_ context.Context, m Message) error {
	e := *m.Event
	e.Bus = busName(f.Bus)
	f.To.mu.Lock()
	f.To.archive, _ = recent.Append(f.To.archive, f.To.options.Keep, &e)
	f.To.mu.Unlock()
	f.To.route(&e)
	return nil
}

// Topic is a target like an SNS topic. Subscribers receive a notification, or with
// Raw only the message, as SNS supports for queues and not for functions.
type Topic struct {
	TopicName   string
	Subscribers []Target
	Raw         bool
}

// Name implements Target.
func (t *Topic) Name() string { return t.TopicName }

// notification is the Sns member of a record, and with other names of the URLs the
// body of a queue's message (SNS developer guide, "Parsing message formats").
type notification struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicARN          string `json:"TopicArn"`
	Subject           *string
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string `json:"SigningCertUrl"`
	UnsubscribeURL    string `json:"UnsubscribeUrl"`
	MessageAttributes map[string]any
}

// Deliver implements Target.
func (t *Topic) Deliver(ctx context.Context, m Message) error {
	n := notification{
		Type: "Notification", MessageID: newID(), TopicARN: "arn:aws:sns:us-east-1:123456789012:" + t.TopicName,
		Message: string(m.Payload), Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "1",
		Signature: "LOCAL", SigningCertURL: "LOCAL", UnsubscribeURL: "LOCAL", MessageAttributes: map[string]any{},
	}
	for _, s := range t.Subscribers {
		payload, err := t.payload(n, s)
		if err != nil {
			return err
		}
		if err := s.Deliver(ctx, Message{Payload: payload, TraceHeader: m.TraceHeader, Event: m.Event}); err != nil {
			return fmt.Errorf("notify %s: %w", s.Name(), err)
		}
	}
	return nil
}

func (t *Topic) payload(n notification, to Target) ([]byte, error) {
	if _, queue := to.(*Queue); queue {
		if t.Raw {
			return []byte(n.Message), nil
		}
		return json.Marshal(n)
	}
	return json.Marshal(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": n.TopicARN + ":" + n.MessageID, "Sns": n,
	}}})
}

// Envelope returns an event as targets receive it. Except for the ID, empty members get
// generated values.
func (b *Bus) Envelope(e Event) []byte {
	if e.Time.IsZero() {
		e.Time = b.options.Now()
	}
	e.Resources = append([]string{}, e.Resources...)
	return b.envelope(&e)
}

// Emit puts an event on the bus without PutEvents: an event of an AWS service, or a recorded
// one, which keeps its ID and time and is part of a replay if Replay is set. Empty members
// get generated values. Emit returns the event as targets receive it.
func (b *Bus) Emit(e Event) *Event {
	now := b.options.Now()
	e.Taken = now
	if e.ID == "" {
		e.ID = newID()
	}
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Bus, e.Resources = busName(e.Bus), append([]string{}, e.Resources...)
	e.Size = (&entry{Source: &e.Source, DetailType: &e.DetailType, Detail: &e.Detail, Resources: e.Resources}).size()
	e.Envelope = b.envelope(&e)
	b.note(&e)
	b.route(&e)
	return &e
}

// Archived returns the events that an archive of the named bus holds. They
// have no trace header: an archive does not keep it.
func (b *Bus) Archived(bus string) []*Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []*Event
	for _, e := range b.archive {
		if e.Bus == busName(bus) {
			events = append(events, e)
		}
	}
	return events
}

// Replay is a replay of an archive.
type Replay struct {
	Name  string            // replay-name
	Bus   string            // zero: default
	Match func(*Event) bool // nil: every event
	Rules []string          // nil: every rule
	// NewIDs gives replayed events new IDs, as moto does. AWS reportedly keeps the
	// ID.
	NewIDs bool
}

// Replay sends archived events through the rules again and returns how many.
func (b *Bus) Replay(r Replay) int {
	n := 0
	for _, archived := range b.Archived(r.Bus) {
		if r.Match != nil && !r.Match(archived) {
			continue
		}
		e := *archived
		e.Replay, e.TraceHeader = r.Name, ""
		if r.NewIDs {
			e.ID = newID()
		}
		e.Envelope = b.envelope(&e)
		b.route(&e, r.Rules...)
		n++
	}
	return n
}
