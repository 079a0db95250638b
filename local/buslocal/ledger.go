package buslocal

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
)

// Event is one event that the bus has accepted.
type Event struct {
	ID         string // EventBridge's, as PutEvents returned it
	EnvelopeID string // of the envelope, if different; else empty
	Bus        string
	Source     string
	DetailType string
	Detail     string // byte for byte as published
	Resources  []string
	Time       time.Time
	// TraceHeader is sent with the event, and is not part of an archive.
	TraceHeader string
	Replay      string // the replay's name, else empty
	Size        int    // by AWS's formula
	Taken       time.Time
	Envelope    []byte // as delivered
}

// Line returns the value of the resource line "name:value", "" if there is none.
// It is deliberately independent of the product's own reader.
func (e *Event) Line(name string) string {
	for _, r := range e.Resources {
		if value, ok := strings.CutPrefix(r, name+":"); ok {
			return value
		}
	}
	return ""
}

// Delivery is one attempt to deliver an event to a target.
type Delivery struct {
	Event     *Event
	Rule      string
	Target    string
	Payload   []byte
	Replay    string
	Duplicate bool // a fault: delivered again after a success
	Attempt   int
	At        time.Time
	Err       error
}

// Receipt is one message of a batch that a consumer received from a queue.
type Receipt struct {
	Queue, MessageID, Body string
	Event                  *Event
	ReceiveCount           int
	At                     time.Time
	Failed                 bool
}

// Ledger is the ground truth: what was published and what was delivered, in
// chronological order.
type Ledger struct {
	Calls      int // of PutEvents, including failed ones
	Published  []*Event
	Refused    int // entries that were rejected with an error code
	Deliveries []Delivery
	Receipts   []Receipt
	// Total also counts those that were removed because of [Options.Keep].
	Total struct{ Published, Deliveries, Receipts int }
}

// note adds an accepted event to the ledger and the archive.
func (b *Bus) note(e *Event) {
	if b.options.OnEvent != nil {
		b.options.OnEvent(e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger.Published, _ = recent.Append(b.ledger.Published, b.options.Keep, e)
	b.archive, _ = recent.Append(b.archive, b.options.Keep, e)
	b.ledger.Total.Published++
}

// Ledger returns a copy of the ledger so far.
func (b *Bus) Ledger() Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.ledger
	l.Published = append([]*Event(nil), l.Published...)
	l.Deliveries = append([]Delivery(nil), l.Deliveries...)
	l.Receipts = append([]Receipt(nil), l.Receipts...)
	return l
}

// DeadLetter is a message in a dead-letter queue, with EventBridge's message
// attributes ("Using dead-letter queues to process undelivered events").
type DeadLetter struct {
	Body       string
	Attributes map[string]string // RULE_ARN, TARGET_ARN, ERROR_CODE, …
	// TraceHeader is the system attribute AWSTraceHeader.
	TraceHeader string
	Event       *Event
}

// DeadLetters is a dead-letter queue. The zero value is empty and usable. A nil
// one drops all messages. It is safe for concurrent use.
type DeadLetters struct {
	// To, if not nil, receives each message instead of the queue.
	To func(DeadLetter)

	mu       sync.Mutex
	messages []DeadLetter
}

func (d *DeadLetters) add(m DeadLetter) {
	if d == nil {
		return
	}
	if d.To != nil {
		d.To(m)
		return
	}
	d.mu.Lock()
	d.messages = append(d.messages, m)
	d.mu.Unlock()
}

// Messages returns the messages in the queue.
func (d *DeadLetters) Messages() []DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]DeadLetter(nil), d.messages...)
}

// newDeadLetter returns the message of a failed delivery. As in EventBridge, it has
// no RETRY_ATTEMPTS and EXHAUSTED_RETRY_CONDITION if the failure was permanent.
func newDeadLetter(m Message, rule, target string, err error, retries int, exhausted bool) DeadLetter {
	letter := DeadLetter{Body: string(m.Payload), TraceHeader: m.TraceHeader, Event: m.Event, Attributes: map[string]string{
		"RULE_ARN": rule, "TARGET_ARN": target, "ERROR_CODE": "ERROR_FROM_TARGET", "ERROR_MESSAGE": err.Error(),
	}}
	if !exhausted {
		letter.Attributes["ERROR_CODE"] = "NO_PERMISSIONS"
		return letter
	}
	letter.Attributes["RETRY_ATTEMPTS"] = strconv.Itoa(retries)
	letter.Attributes["EXHAUSTED_RETRY_CONDITION"] = "MaximumRetryAttempts"
	return letter
}
