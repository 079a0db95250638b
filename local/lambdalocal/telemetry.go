package lambdalocal

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// relay delivers an environment's records to its subscribers. It is stopped while
// the environment is frozen, like everything in the sandbox.
type relay struct {
	fault func(Record) Fault

	mu          sync.Mutex
	thawed      chan struct{} // closed while records may be delivered
	frozen      bool
	freezes     int
	backlog     []Record // records since the generation began, until subscriptions close
	keeping     bool
	subscribers []*subscriber
	held        []held
	invocations int
}

// held is a record that is delayed until an invocation count is reached.
type held struct {
	record Record
	copies int
	until  int
}

func newRelay(fault func(Record) Fault) *relay {
	thawed := make(chan struct{})
	close(thawed)
	return &relay{fault: fault, thawed: thawed, keeping: true}
}

// emit creates a record and passes it to the subscribers of its type.
func (r *relay) emit(kind string, body any) Record {
	raw, ok := body.(json.RawMessage)
	if !ok {
		raw, _ = json.Marshal(body)
	}
	record := Record{Time: time.Now(), Type: kind, Body: raw}
	fault := Fault{}
	if r.fault != nil {
		fault = r.fault(record)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case fault.Drop:
	case fault.Hold > 0:
		r.held = append(r.held, held{record, fault.Repeat, r.invocations + fault.Hold})
	case fault.Delay > 0:
		time.AfterFunc(fault.Delay, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.spread(record, fault.Repeat)
		})
	default:
		r.spread(record, fault.Repeat)
	}
	return record
}

func (r *relay) spread(record Record, repeat int) {
	for range repeat + 1 {
		if r.keeping {
			r.backlog = append(r.backlog, record)
		}
		for _, s := range r.subscribers {
			s.add(record)
		}
	}
}

// invocationBegins releases the records that were held until now.
func (r *relay) invocationBegins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.invocations++
	r.release(r.invocations)
}

func (r *relay) release(count int) {
	kept := r.held[:0]
	for _, h := range r.held {
		if h.until > count {
			kept = append(kept, h)
			continue
		}
		r.spread(h.record, h.copies)
	}
	r.held = kept
}

// subscribe adds a subscriber, which also receives the records that were emitted before.
func (r *relay) subscribe(s *subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.backlog {
		s.add(record)
	}
	r.subscribers = append(r.subscribers, s)
	go s.run()
}

// closeSubscription stops keeping records for later subscribers.
func (r *relay) closeSubscription() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeping, r.backlog = false, nil
}

// endGeneration removes the subscribers, whose processes have ended, and keeps
// records for those of the next generation.
func (r *relay) endGeneration() {
	r.mu.Lock()
	subscribers := r.subscribers
	r.subscribers, r.backlog, r.keeping = nil, nil, true
	r.mu.Unlock()
	for _, s := range subscribers {
		s.close()
	}
}

// flush delivers buffered and held records, as far as possible until ctx ends.
func (r *relay) flush(ctx context.Context) {
	r.mu.Lock()
	for _, h := range r.held {
		r.spread(h.record, h.copies)
	}
	r.held = nil
	subscribers := r.subscribers
	r.mu.Unlock()
	for _, s := range subscribers {
		s.flush(ctx)
	}
}

func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.frozen, r.thawed = true, make(chan struct{})
		r.freezes++
	}
}

func (r *relay) thaw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		r.frozen = false
		close(r.thawed)
	}
}

func (r *relay) gate() (thawed chan struct{}, freezes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.thawed, r.freezes
}

// Delivery is attempted deliveryAttempts times, with a pause that doubles. Then the batch is
// dropped and reported with platform.logsDropped. A slow subscriber loses its oldest records.
const (
	deliveryAttempts = 6
	deliveryPause    = 50 * time.Millisecond
	deliveryTimeout  = 5 * time.Second
	queueBatches     = 16
	slowReason       = "Some logs were dropped because the downstream consumer is slower than the logs production rate"
)

// subscriber buffers one extension's records and delivers them in order.
type subscriber struct {
	name  string
	want  subscription
	relay *relay
	send  deliverer

	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	changed  chan struct{}
	queue    [][]byte
	bytes    int
	first    time.Time // when the oldest buffered record was added
	flushing bool
	sending  bool
	dropped  logsDropped
}

func newSubscriber(name string, want subscription, relay *relay) *subscriber {
	ctx, cancel := context.WithCancel(context.Background())
	return &subscriber{
		name: name, want: want, relay: relay, send: want.deliverer(),
		ctx: ctx, cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{}),
	}
}

func (s *subscriber) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// add buffers a record if its type is subscribed to.
func (s *subscriber) add(record Record) {
	kind, _, _ := strings.Cut(record.Type, ".")
	if !s.want.has(kind) {
		return
	}
	rendered := record.render(s.want.SchemaVersion)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.first = time.Now()
	}
	s.queue = append(s.queue, rendered)
	s.bytes += len(rendered)
	for s.bytes > queueBatches*s.want.Buffering.MaxBytes && len(s.queue) > 1 {
		s.drop(s.queue[:1], slowReason)
		s.bytes -= len(s.queue[0])
		s.queue = s.queue[1:]
	}
	s.notify()
}

func (s *subscriber) drop(records [][]byte, reason string) {
	for _, record := range records {
		s.dropped.DroppedBytes += len(record)
		s.dropped.DroppedRecords++
	}
	s.dropped.Reason = reason
}

func (s *subscriber) close() {
	s.cancel()
	<-s.ended
}

// flush delivers the buffered records at once and waits until they are delivered or ctx ends.
func (s *subscriber) flush(ctx context.Context) {
	s.mu.Lock()
	s.flushing = true
	s.notify()
	for (len(s.queue) > 0 || s.sending) && ctx.Err() == nil && s.ctx.Err() == nil {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.mu.Lock()
	}
	s.flushing = false
	s.mu.Unlock()
}

func (s *subscriber) run() {
	defer close(s.ended)
	defer s.send.close()
	for s.due() {
		thawed, _ := s.relay.gate()
		select {
		case <-thawed:
		case <-s.ctx.Done():
			return
		}
		batch := s.take()
		err := s.deliver(batch)
		s.mu.Lock()
		if err != nil {
			s.drop(batch, "could not send events: "+err.Error())
		}
		s.sending = false
		dropped := s.dropped
		s.dropped = logsDropped{}
		s.notify()
		s.mu.Unlock()
		if dropped.DroppedRecords > 0 && s.ctx.Err() == nil {
			s.relay.emit("platform.logsDropped", dropped)
		}
	}
}

// due waits until a batch is full, old enough or flushed. It returns false if the
// subscriber is closed.
func (s *subscriber) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ctx.Err() == nil {
		age := time.Since(s.first)
		limit := time.Duration(s.want.Buffering.TimeoutMs) * time.Millisecond
		var timer <-chan time.Time
		if len(s.queue) > 0 {
			if s.flushing || age >= limit || len(s.queue) >= s.want.Buffering.MaxItems || s.bytes >= s.want.Buffering.MaxBytes {
				return true
			}
			timer = time.After(limit - age)
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timer:
		case <-s.ctx.Done():
		}
		s.mu.Lock()
	}
	return false
}

// take removes one batch from the buffer.
func (s *subscriber) take() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.queue) && n < s.want.Buffering.MaxItems && (n == 0 || size < s.want.Buffering.MaxBytes) {
		size += len(s.queue[n])
		n++
	}
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.bytes -= size
	s.first = time.Now()
	s.sending = true
	return batch
}

// deliver sends a batch until it is accepted: at least once.
func (s *subscriber) deliver(batch [][]byte) error {
	pause := deliveryPause
	for attempt := 1; ; attempt++ {
		err := s.attempt(batch)
		if err == nil || attempt == deliveryAttempts || s.ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-s.ctx.Done():
			return err
		}
		thawed, _ := s.relay.gate()
		select {
		case <-thawed:
		case <-s.ctx.Done():
			return err
		}
	}
}

// attempt sends a batch once. Its timeout does not include time in which the environment is frozen.
func (s *subscriber) attempt(batch [][]byte) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	go s.watch(ctx, cancel)
	return s.send.deliver(ctx, batch)
}

// watch cancels an attempt that takes too long.
func (s *subscriber) watch(ctx context.Context, cancel context.CancelFunc) {
	for {
		_, before := s.relay.gate()
		select {
		case <-time.After(deliveryTimeout):
		case <-ctx.Done():
			return
		}
		thawed, now := s.relay.gate()
		if now == before {
			cancel()
			return
		}
		select {
		case <-thawed:
		case <-ctx.Done():
		}
	}
}

// jsonArray joins rendered records into the body of one delivery.
func jsonArray(batch [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(batch, []byte{','})...), ']')
}
