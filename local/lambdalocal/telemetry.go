package lambdalocal

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// relay takes an environment's records to its subscribers. It stands still
// while the environment is frozen, as everything in the sandbox does.
type relay struct {
	fault func(Record) Fault

	mu          sync.Mutex
	thawed      chan struct{} // closed while deliveries may go out
	frozen      bool
	freezes     int
	backlog     []Record // since the generation began, until subscriptions close
	keeping     bool
	subscribers []*subscriber
	held        []held
	invocations int
}

// held is a record kept back until an invocation count is reached.
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

// emit makes a record and gives it to those who subscribed to its kind.
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

// invocationBegins lets go what was held until now.
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

// subscribe adds a subscriber, which also gets what was emitted before it came.
func (r *relay) subscribe(s *subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.backlog {
		s.add(record)
	}
	r.subscribers = append(r.subscribers, s)
	go s.run()
}

// closeSubscription ends the keeping of records for subscribers to come.
func (r *relay) closeSubscription() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeping, r.backlog = false, nil
}

// endGeneration forgets the subscribers, whose processes are gone, and keeps
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

// flush delivers what is buffered and held, as far as it can until ctx ends.
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

// Delivery is tried so often, with a pause that doubles; then the batch is given up and
// platform.logsDropped says so. A subscriber that cannot keep up loses its oldest records.
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
	first    time.Time // when the oldest buffered record came
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

// add buffers a record if its kind is wanted.
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

// flush hurries what is buffered and waits until it is delivered or ctx ends.
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

// due waits until a batch is full, old enough or hurried; false when the subscriber is closed.
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

// deliver sends a batch until it is taken: at least once.
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

// attempt sends once. Its time-out does not count a time in which the environment was frozen.
func (s *subscriber) attempt(batch [][]byte) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	go s.watch(ctx, cancel)
	return s.send.deliver(ctx, batch)
}

// watch cancels an attempt that took too long.
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

// jsonArray joins rendered records to the body of one delivery.
func jsonArray(batch [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(batch, []byte{','})...), ']')
}
