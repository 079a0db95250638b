package buslocal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/internal/recent"
)

// Options of a [Bus]. The zero value means a 1 MiB limit, only the default bus, and no faults.
type Options struct {
	Limit   int      // of a request, in bytes; 0 means 1 MiB
	Buses   []string // custom buses besides the default one
	Account string   // zero: 123456789012
	Region  string   // zero: us-east-1
	// Now is the clock of envelopes and ledger. Nil: time.Now.
	Now func() time.Time
	// RetryDelay is the wait before the second attempt of a delivery, doubled
	// before each further one. Zero: 10 ms. EventBridge waits seconds.
	RetryDelay time.Duration
	// Keep is how many events, deliveries and receipts the ledger and the archive keep at
	// least; older ones are removed. Zero: all.
	Keep int
	// Fault is called before each delivery to a target. Nil: no faults. It may be
	// called from several goroutines at once.
	Fault func(Delivery) Fault
	// OnEvent, if not nil, is called with each event that the bus has accepted, before the
	// event is delivered. It must not change the event. It may be called from several
	// goroutines at once.
	OnEvent func(*Event)
}

// Fault is a fault injected into a delivery. The zero value is no fault.
type Fault struct {
	Duplicate int             // how many more times it is delivered after the first success
	Delay     time.Duration   // before the first attempt
	Until     <-chan struct{} // closed when the delivery may begin
	Fail      error           // the result of the first attempt, which is not made
}

// Bus is a local EventBridge with its buses, rules and targets. It is safe for
// concurrent use. Use [New].
type Bus struct {
	options Options
	server  *http.Server
	serving chan struct{} // closed when the server has ended
	ctx     context.Context
	stop    context.CancelFunc

	mu        sync.Mutex
	rules     []*rule
	archive   []*Event
	ledger    Ledger
	throttle  int
	cut       int
	failCode  string
	failCount int

	pending flight
}

// New returns a Bus without rules. Close it.
func New(options Options) *Bus {
	options.Limit = cmp.Or(options.Limit, 1<<20)
	options.Account = cmp.Or(options.Account, "123456789012")
	options.Region = cmp.Or(options.Region, "us-east-1")
	if options.Now == nil {
		options.Now = time.Now
	}
	options.RetryDelay = cmp.Or(options.RetryDelay, 10*time.Millisecond)
	b := &Bus{options: options}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Rule sends the events that match a pattern to targets.
type Rule struct {
	Name    string
	Bus     string // zero: default
	Pattern string // EventBridge's JSON; zero matches everything
	Targets []RuleTarget
}

// RuleTarget is a target of a rule.
type RuleTarget struct {
	Target Target
	// DetailOnly delivers only $.detail, as an InputPath does.
	DetailOnly bool
	// Retries after a failed attempt. Zero: 185, as in EventBridge; negative: none.
	Retries    int
	DeadLetter *DeadLetters // nil: events that cannot be delivered are dropped
}

type rule struct {
	Rule
	pattern *eventpattern.Pattern
	arn     string
}

// Target receives deliveries.
type Target interface {
	// Name returns the target's name in the ledger.
	Name() string
	// Deliver returns nil when the target has accepted the message. An error that
	// is ErrPermanent is not retried.
	Deliver(ctx context.Context, m Message) error
}

// Message is a message that a target receives.
type Message struct {
	Payload     []byte
	TraceHeader string // an X-Ray header, not part of the payload
	Event       *Event
}

// ErrPermanent marks a failure that is not retried, such as a missing permission.
var ErrPermanent = errors.New("NO_PERMISSIONS")

// AddRule adds a rule. It returns an error if the pattern is invalid or there is no such bus.
func (b *Bus) AddRule(r Rule) error {
	r.Bus = cmp.Or(r.Bus, "default")
	if !b.exists(r.Bus) {
		return fmt.Errorf("rule %s: there is no bus %s", r.Name, r.Bus)
	}
	compiled := &rule{Rule: r, arn: fmt.Sprintf("arn:aws:events:%s:%s:rule/%s/%s", b.options.Region, b.options.Account, r.Bus, r.Name)}
	if r.Pattern != "" {
		p, err := eventpattern.Compile([]byte(r.Pattern))
		if err != nil {
			return fmt.Errorf("rule %s: %w", r.Name, err)
		}
		compiled.pattern = p
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = append(b.rules, compiled)
	return nil
}

// exists reports whether there is a bus with this name or ARN.
func (b *Bus) exists(name string) bool {
	name = busName(name)
	if name == "default" {
		return true
	}
	return slices.Contains(b.options.Buses, name)
}

func busName(nameOrARN string) string {
	if nameOrARN == "" {
		return "default"
	}
	return nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
}

// Throttle makes the next n calls of PutEvents fail with ThrottlingException.
func (b *Bus) Throttle(n int) { b.mu.Lock(); b.throttle += n; b.mu.Unlock() }

// Cut closes the connection of the next n calls after their events were accepted.
func (b *Bus) Cut(n int) { b.mu.Lock(); b.cut += n; b.mu.Unlock() }

// FailEntries makes the next n entries fail with the given code.
func (b *Bus) FailEntries(code string, n int) {
	b.mu.Lock()
	b.failCode, b.failCount = code, n
	b.mu.Unlock()
}

// Wait returns when all deliveries have ended, or with ctx's error.
func (b *Bus) Wait(ctx context.Context) error {
	if err := b.pending.wait(ctx); err != nil {
		return fmt.Errorf("wait for deliveries: %w", err)
	}
	return nil
}

// Close stops the server and the deliveries in progress.
func (b *Bus) Close() {
	b.stop()
	if b.server != nil {
		_ = b.server.Close()
		<-b.serving
	}
	_ = b.pending.wait(context.Background())
}

// route delivers an event to the targets of every rule that it matches.
// onlyRules, if given, restricts the rules by name.
func (b *Bus) route(e *Event, onlyRules ...string) {
	b.mu.Lock()
	rules := append([]*rule(nil), b.rules...)
	b.mu.Unlock()
	for _, r := range rules {
		if r.Bus != e.Bus || (len(onlyRules) > 0 && !slices.Contains(onlyRules, r.Name)) || (r.pattern != nil && !r.pattern.Match(e.Envelope)) {
			continue
		}
		for _, t := range r.Targets {
			b.pending.add(1)
			go func() {
				defer b.pending.add(-1)
				b.deliver(e, r, t)
			}()
		}
	}
}

// deliver delivers one event to one target: at least once, with retries, or else
// to the dead-letter queue.
func (b *Bus) deliver(e *Event, r *rule, t RuleTarget) {
	m := Message{Payload: e.Envelope, TraceHeader: e.TraceHeader, Event: e}
	if t.DetailOnly {
		m.Payload = []byte(e.Detail)
	}
	d := Delivery{Event: e, Rule: r.Name, Target: t.Target.Name(), Payload: m.Payload, Replay: e.Replay}
	var fault Fault
	if b.options.Fault != nil {
		fault = b.options.Fault(d)
	}
	if !b.sleep(fault.Delay) || !b.until(fault.Until) {
		return
	}
	for copies := 0; copies <= fault.Duplicate; copies++ {
		d.Duplicate = copies > 0
		if !b.attempts(d, m, r, t, &fault) {
			return
		}
	}
}

// attempts delivers until an attempt succeeds or the retries are used up. It
// reports success.
func (b *Bus) attempts(d Delivery, m Message, r *rule, t RuleTarget, fault *Fault) bool {
	retries := t.Retries
	switch {
	case retries == 0:
		retries = 185
	case retries < 0:
		retries = 0
	}
	delay := b.options.RetryDelay
	for attempt := 1; ; attempt++ {
		d.Attempt, d.At = attempt, b.options.Now()
		err := fault.Fail
		fault.Fail = nil
		if err == nil {
			err = t.Target.Deliver(b.ctx, m)
		}
		d.Err = err
		b.mu.Lock()
		b.ledger.Deliveries, _ = recent.Append(b.ledger.Deliveries, b.options.Keep, d)
		b.ledger.Total.Deliveries++
		b.mu.Unlock()
		switch {
		case err == nil:
			return true
		case errors.Is(err, ErrPermanent):
			t.DeadLetter.add(newDeadLetter(m, r.arn, t.Target.Name(), err, 0, false))
			return false
		case attempt > retries:
			t.DeadLetter.add(newDeadLetter(m, r.arn, t.Target.Name(), err, retries, true))
			return false
		case !b.sleep(delay):
			return false
		}
		delay = min(2*delay, time.Second)
	}
}

func (b *Bus) sleep(d time.Duration) bool {
	if d <= 0 {
		return b.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.ctx.Done():
		return false
	}
}

func (b *Bus) until(c <-chan struct{}) bool {
	if c == nil {
		return true
	}
	select {
	case <-c:
		return true
	case <-b.ctx.Done():
		return false
	}
}

// newID returns a random UUID, version 4.
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
