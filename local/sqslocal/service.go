package sqslocal

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/internal/recent"
	"github.com/throughline/throughline/local/internal/wire"
)

// Options of a [Service]. The zero value means an empty account and the machine's clock.
type Options struct {
	Account string       // zero: 123456789012
	Region  string       // zero: us-east-1
	Clock   *clock.Clock // of visibility, delays and deduplication; nil: the machine's
	// Keep is how many messages and moves the ledger keeps at least; older ones are removed.
	// Zero: all.
	Keep int
	// Fault is called before each entry of [Queue.SendBatch]. The entry fails with the error
	// that it returns. Nil: no faults.
	Fault func(queue string, entry Entry) *Error
}

// Service is a local SQS. Use [New], and close it. Safe for concurrent use.
type Service struct {
	options Options
	server  wire.Server
	ctx     context.Context // ends with Close
	stop    context.CancelFunc

	mu     sync.Mutex
	url    string
	queues map[string]*Queue
	moves  []moveTask
	ledger Ledger
}

// New returns a Service without queues.
func New(options Options) *Service {
	if options.Account == "" {
		options.Account = "123456789012"
	}
	if options.Region == "" {
		options.Region = "us-east-1"
	}
	s := &Service{options: options, queues: map[string]*Queue{}, url: "http://sqs.local"}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start listens on a free port of the loopback interface and returns the URL.
func (s *Service) Start() (string, error) {
	url, err := s.server.Start(s)
	if err != nil {
		return "", fmt.Errorf("start the local SQS: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = url
	return url, nil
}

// Close stops the server and ends calls that wait for messages.
func (s *Service) Close() {
	s.stop()
	s.server.Close()
}

// Ledger has the messages that were sent and moved, in order.
type Ledger struct {
	Sent  []Sent
	Moved []Moved
}

// Sent is one message that a queue accepted.
type Sent struct {
	Queue, MessageID string
	Body             string
	TraceHeader      string // AWSTraceHeader, of the entry or the call
	Deduplicated     bool   // accepted and not stored: MessageID is that of the first message
	At               time.Time
}

// Moved is one message that was moved to another queue: to a dead-letter queue with
// its ID, or by a message move task with a new one.
type Moved struct {
	From, To        string
	Before, Message string // IDs
	At              time.Time
}

// Ledger returns a copy of the ledger so far.
func (s *Service) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Ledger{Sent: slices.Clone(s.ledger.Sent), Moved: slices.Clone(s.ledger.Moved)}
}

func (s *Service) moveLocked(m Moved) {
	s.ledger.Moved, _ = recent.Append(s.ledger.Moved, s.options.Keep, m)
}

// Queue returns the queue with that name, URL or ARN, nil if there is none.
func (s *Service) Queue(name string) *Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queueLocked(name)
}

func (s *Service) queueLocked(name string) *Queue {
	return s.queues[name[strings.LastIndexAny(name, "/:")+1:]]
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// Create creates a queue, or returns the one with that name if its attributes are
// the same. A name that ends with .fifo requires FifoQueue=true.
func (s *Service) Create(name string, attributes map[string]string) (*Queue, error) {
	base, fifo := strings.CutSuffix(name, ".fifo")
	if !queueName.MatchString(base) || len(name) > 80 {
		return nil, invalidValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if fifo != (attributes["FifoQueue"] == "true") {
		return nil, invalidValue("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	q := &Queue{service: s, name: name, fifo: fifo, attributes: map[string]string{}, changed: make(chan struct{}), seen: map[string]first{}}
	q.created = s.options.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.setLocked(attributes); err != nil {
		return nil, err
	}
	if known := s.queues[name]; known != nil {
		for key, value := range q.attributes {
			if known.attributes[key] != value {
				return nil, &Error{"QueueNameExists", "QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute " + key}
			}
		}
		return known, nil
	}
	s.queues[name] = q
	return q, nil
}

// Delete removes a queue with its messages.
func (s *Service) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queueLocked(name); q != nil {
		delete(s.queues, q.name)
		q.gone = true
		q.wakeLocked()
	}
}
