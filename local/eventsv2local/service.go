package eventsv2local

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/internal/wire"
)

// Options of a [Service]. The zero value means an account without buses, the
// machine's clock, and no faults.
type Options struct {
	Account string       // zero: 123456789012
	Region  string       // zero: us-east-1
	Clock   *clock.Clock // of events, retention, windows and retries; nil: the machine's
	Limit   int          // of a request, in bytes; 0 means 1 MiB
	// RetryDelay is the wait before the second attempt of a delivery, doubled before
	// each further one. Zero: 10 ms. EventBridge waits longer.
	RetryDelay time.Duration
	// Provisioning is how long the creation of a bus or of a subscriber takes. While a
	// subscriber is created, the creation of another one is rejected. Zero: no time.
	Provisioning time.Duration
	// Fault is called before each delivery of an event to a target. Nil: no faults. It
	// may be called from several goroutines at once. A Fail that wraps
	// buslocal.ErrPermanent fails every attempt, another one only the first.
	Fault func(buslocal.Delivery) buslocal.Fault
	// ID returns the last part of the ARN of the bus with a name. Nil: a random one.
	ID func(name string) string
	// Keep limits the stored events of each bus, and the entries of each list of the
	// ledger, to about this number; 0 keeps all.
	Keep int
	// OnEvent is called with each event that a bus has accepted, while the service is
	// locked: it must neither change the event nor use the service. Nil: not called.
	OnEvent func(*Bus, *Event)

	// Switches for behaviour that AWS does not document. The zero values seem likely.

	// SameID gives the envelope the event ID that the publisher receives. AWS's
	// samples show another one.
	SameID bool
	// HashAll makes CONTENT_BASED deduplication include resources, time and metadata.
	HashAll bool
	// AlwaysCount adds FailedEntryCount to every response, not only if entries failed.
	AlwaysCount bool
	// KeepMetadata forwards an event's metadata to another bus.
	KeepMetadata bool
	// Dimension is the value of the metrics' dimension EventBus.
	Dimension Dimension
}

// Service is a local EventBridge. Use [New], and close it. Safe for concurrent use.
type Service struct {
	options Options
	server  wire.Server
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever there may be work
	buses    map[string]*Bus
	order    []*Bus
	targets  map[string]Target
	letters  map[string]*DeadLetters
	ledger   buslocal.Ledger
	counts   counts
	sequence uint64
	throttle int
	cut      int
	fail     failure
}

// failure makes the next entries fail.
type failure struct {
	code  string
	count int
}

// New returns a Service without buses.
func New(options Options) *Service {
	options.Account = cmp.Or(options.Account, "123456789012")
	options.Region = cmp.Or(options.Region, "us-east-1")
	options.Limit = cmp.Or(options.Limit, 1<<20)
	options.RetryDelay = cmp.Or(options.RetryDelay, 10*time.Millisecond)
	s := &Service{options: options, changed: make(chan struct{}), buses: map[string]*Bus{}, targets: map[string]Target{}, letters: map[string]*DeadLetters{}, counts: counts{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start listens on a free port of the loopback interface and returns the URL for
// AWS_ENDPOINT_URL_EVENTBRIDGEV2.
func (s *Service) Start() (string, error) {
	url, err := s.server.Start(s)
	if err != nil {
		return "", fmt.Errorf("start the local EventBridge: %w", err)
	}
	return url, nil
}

// Close stops the server and the deliveries in progress.
func (s *Service) Close() {
	s.stop()
	s.server.Close()
	s.running.Wait()
}

// Target registers the target with an ARN.
func (s *Service) Target(arn string, t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets[arn] = t
}

// Throttle makes the next n calls that put events fail with ThrottlingException.
func (s *Service) Throttle(n int) { s.mu.Lock(); s.throttle += n; s.mu.Unlock() }

// Cut closes the connection of the next n of them after the events were accepted.
func (s *Service) Cut(n int) { s.mu.Lock(); s.cut += n; s.mu.Unlock() }

// FailEntries makes the next n entries fail with the given code.
func (s *Service) FailEntries(code string, n int) {
	s.mu.Lock()
	s.fail = failure{code, n}
	s.mu.Unlock()
}

// Ledger returns a copy of the ledger so far. A delivery's rule is its subscriber,
// and a batch has one delivery for each event.
func (s *Service) Ledger() buslocal.Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger
	l.Published = append([]*buslocal.Event(nil), l.Published...)
	l.Deliveries = append([]buslocal.Delivery(nil), l.Deliveries...)
	return l
}

// Wait returns when no running subscriber has an event left to deliver, or with ctx's
// error.
func (s *Service) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		idle, changed := s.idleLocked(), s.changed
		s.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for deliveries: %w", ctx.Err())
		}
	}
}

func (s *Service) idleLocked() bool {
	for _, b := range s.order {
		for _, sub := range b.subscribers {
			if sub.busyLocked() {
				return false
			}
		}
	}
	return true
}

// wakeLocked wakes the goroutines that wait for work.
func (s *Service) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Service) now() time.Time { return s.options.Clock.Now().UTC() }

// sleep waits according to the clock. It returns false if the service was closed.
func (s *Service) sleep(d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	rings, stop := s.options.Clock.At(s.now().Add(d))
	defer stop()
	select {
	case <-rings:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// generatedID returns the last part of an ARN: 25 lower-case letters and digits.
func generatedID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	var random [25]byte
	_, _ = rand.Read(random[:]) // it never fails
	var id strings.Builder
	for _, b := range random {
		id.WriteByte(alphabet[int(b)%len(alphabet)])
	}
	return id.String()
}

// Error is an error of the API.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{400, "InvalidInputException", fmt.Sprintf(format, args...)}
}

func notFound(what, name string) *Error {
	return &Error{404, "ResourceNotFoundException", fmt.Sprintf("%s %s does not exist", what, name)}
}
