package eventsv2local

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/internal/recent"
)

// DeliveryError is why a target did not accept events. Code is a code of dead-letter
// records: THROTTLING, COMPUTE_EXECUTION_ERROR, …
type DeliveryError struct{ Code, Message string }

func (e *DeliveryError) Error() string { return e.Code + ": " + e.Message }

// problemOf returns an error as a DeliveryError.
func problemOf(err error) *DeliveryError {
	if p, ok := errors.AsType[*DeliveryError](err); ok {
		return p
	}
	return &DeliveryError{"COMPUTE_EXECUTION_ERROR", err.Error()}
}

// run takes batches from the queue and delivers them concurrently. If the subscriber is
// FIFO, it delivers the batches of a group one after the other.
func (sub *Subscriber) run() {
	s := sub.bus.service
	defer s.running.Done()
	for {
		s.mu.Lock()
		if sub.removed {
			s.mu.Unlock()
			return
		}
		sub.fillLocked()
		batch, wait := sub.batchLocked()
		changed := s.changed
		if batch != nil {
			sub.inFlight += len(batch)
			s.running.Add(1)
			go sub.plan.deliver(batch)
		}
		s.mu.Unlock()
		if batch != nil {
			continue
		}
		var rings <-chan struct{}
		stop := func() {}
		if wait > 0 {
			rings, stop = s.options.Clock.At(s.now().Add(wait))
		}
		select {
		case <-changed:
		case <-rings:
		case <-s.ctx.Done():
			stop()
			return
		}
		stop()
	}
}

// batchLocked takes the next batch from the queue. wait is how long a batch may still
// fill, 0 if there is none.
func (sub *Subscriber) batchLocked() (batch []*item, wait time.Duration) {
	if sub.stopped || len(sub.queue) == 0 {
		return nil, 0
	}
	group := ""
	fits := func(i *item) bool { return true }
	if sub.plan.FIFO {
		first := slices.IndexFunc(sub.queue, func(i *item) bool { return !sub.lanes[i.event.Group] })
		if first < 0 {
			return nil, 0
		}
		group = sub.queue[first].event.Group
		fits = func(i *item) bool { return i.event.Group == group }
	}
	for _, i := range sub.queue {
		if fits(i) && len(batch) < sub.plan.MaxBatch {
			batch = append(batch, i)
		}
	}
	if until := sub.plan.Window - sub.bus.service.now().Sub(batch[0].since); len(batch) < sub.plan.MaxBatch && until > 0 {
		return nil, until
	}
	sub.queue = slices.DeleteFunc(sub.queue, func(i *item) bool { return slices.Contains(batch, i) })
	if sub.plan.FIFO {
		sub.lanes[group] = true
	}
	return batch, 0
}

// deliver delivers a batch to the target: at least once, with retries, or else to the
// dead-letter queue.
func (p *plan) deliver(batch []*item) {
	s := p.sub.bus.service
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		p.sub.inFlight -= len(batch)
		delete(p.sub.lanes, batch[0].event.Group)
		s.wakeLocked()
		s.mu.Unlock()
	}()
	fault := p.faultOf(batch)
	if !s.sleep(fault.Delay) || !s.until(fault.Until) {
		return
	}
	for copies := 0; copies <= fault.Duplicate; copies++ {
		if !p.attempts(batch, copies > 0, &fault) {
			return
		}
	}
}

// faultOf returns the fault to inject into a batch: that of any event in it.
func (p *plan) faultOf(batch []*item) (fault buslocal.Fault) {
	s := p.sub.bus.service
	if s.options.Fault == nil {
		return fault
	}
	for _, i := range batch {
		f := s.options.Fault(p.told(i, nil))
		fault.Duplicate, fault.Delay = max(fault.Duplicate, f.Duplicate), max(fault.Delay, f.Delay)
		if f.Fail != nil {
			fault.Fail = f.Fail
		}
		if f.Until != nil {
			fault.Until = f.Until
		}
	}
	return fault
}

// told returns a delivery for the ledger.
func (p *plan) told(i *item, payload []byte) buslocal.Delivery {
	e := i.event.copyOf(i.delivery)
	return buslocal.Delivery{Event: e, Rule: p.Name, Target: p.sub.bus.service.nameOf(p.Invoke.TargetARN), Payload: payload, Replay: e.Replay}
}

func (s *Service) nameOf(arn string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.targets[arn]; t != nil {
		return t.Name()
	}
	if b := s.buses[arn]; b != nil {
		return "bus " + b.Name
	}
	return arn
}

func (s *Service) until(c <-chan struct{}) bool {
	if c == nil {
		return s.ctx.Err() == nil
	}
	select {
	case <-c:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// attempts delivers until an attempt succeeds or the retries are used up. It reports
// success. Only failed events are retried.
func (p *plan) attempts(batch []*item, duplicate bool, fault *buslocal.Fault) bool {
	s := p.sub.bus.service
	began, delay := s.now(), s.options.RetryDelay
	for attempt := 1; ; attempt++ {
		failed, err := p.attempt(batch, attempt, duplicate, fault)
		if len(failed) == 0 {
			return true
		}
		if s.ctx.Err() != nil {
			return false
		}
		condition := ""
		switch age := s.now().Sub(began); {
		case attempt > *p.MaxRetries:
			condition = "MaximumRetryAttempts"
		case age+delay >= p.MaxAge:
			condition = "MaximumEventAgeInSeconds"
		}
		if condition != "" {
			p.giveUp(failed, problemOf(err), condition, attempt-1)
			return false
		}
		s.mu.Lock()
		p.sub.countLocked("RetryInvocationAttempts", attempt)
		s.mu.Unlock()
		if !s.sleep(delay) {
			return false
		}
		batch, delay = failed, min(2*delay, time.Minute)
	}
}

// attempt delivers a batch once and returns the events that failed, and why.
func (p *plan) attempt(batch []*item, number int, duplicate bool, fault *buslocal.Fault) (failed []*item, err error) {
	s := p.sub.bus.service
	ready, sent := make([]*item, 0, len(batch)), Batch{Sync: p.Invoke.Sync, Subscriber: p.sub.ARN}
	payloads := map[*item][]byte{}
	for _, i := range batch {
		view, problem := p.view(i)
		if problem != nil {
			failed, err = append(failed, i), problem
			continue
		}
		ready, payloads[i] = append(ready, i), view.Payload
		sent.Events = append(sent.Events, view)
	}
	sent.Payload = sent.payload(p.MaxBatch == 1)
	at := s.now()
	if len(ready) > 0 {
		problem := fault.Fail
		if !errors.Is(problem, buslocal.ErrPermanent) {
			fault.Fail = nil
		}
		var ids []string
		if problem == nil {
			ids, problem = p.hand(sent)
		}
		switch {
		case problem != nil:
			failed, err = append(failed, ready...), problem
		case len(ids) > 0:
			for _, i := range ready {
				if slices.Contains(ids, i.event.ID) {
					failed, err = append(failed, i), &DeliveryError{"PARTIAL_BATCH_FAILURE", "the function reported the event as failed"}
				}
			}
		}
	}
	p.write(batch, payloads, failed, err, number, duplicate, at)
	return failed, err
}

// write records an attempt in the ledger and the metrics.
func (p *plan) write(batch []*item, payloads map[*item][]byte, failed []*item, err error, number int, duplicate bool, at time.Time) {
	s := p.sub.bus.service
	for _, i := range batch {
		d := p.told(i, payloads[i])
		if d.Attempt, d.At, d.Duplicate = number, at, duplicate; slices.Contains(failed, i) {
			d.Err = err
		}
		s.mu.Lock()
		s.ledger.Deliveries, _ = recent.Append(s.ledger.Deliveries, s.options.Keep, d)
		s.ledger.Total.Deliveries++
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.sub.countLocked("TargetInvocations", 1)
	p.sub.countLocked("EventDeliveryAttempts", len(batch))
	p.sub.countLocked("EventsDelivered", len(batch)-len(failed))
	if problemCode(err) == transformationFailure {
		p.sub.countLocked("EventTransformationFailures", len(failed))
	}
}

func problemCode(err error) string {
	if err == nil {
		return ""
	}
	return problemOf(err).Code
}

// giveUp sends the record of events to the dead-letter queue, or drops them.
func (p *plan) giveUp(failed []*item, problem *DeliveryError, condition string, retries int) {
	s := p.sub.bus.service
	s.mu.Lock()
	letters := s.letters[p.DeadLetters]
	if letters == nil {
		p.sub.countLocked("EventsDropped", len(failed))
	} else {
		p.sub.countLocked("OnFailureDestinationDelivered", len(failed))
	}
	s.mu.Unlock()
	if letters != nil {
		letters.add(p.letter(failed, problem, condition, retries))
	}
}

const transformationFailure = "INPUT_TRANSFORMATION_FAILURE"

// view returns an event as the subscriber's target receives it.
func (p *plan) view(i *item) (View, error) {
	three := i.event.withMetadata(i.delivery)
	v := View{Event: i.event, Replayed: i.delivery == replayed}
	switch p.Transformer.Type {
	case WithMetadata:
		v.Payload = three
	case JSONata:
		result, err := p.transform.evaluate(three)
		if err != nil {
			return v, &DeliveryError{transformationFailure, err.Error()}
		}
		v.Payload = result
	default:
		v.Payload = i.event.Data
	}
	parameters := map[string]string{}
	for name, text := range p.parameters() {
		if e := p.attributes[name]; e != nil {
			result, err := e.evaluate(three)
			if err != nil {
				return v, &DeliveryError{transformationFailure, fmt.Sprintf("%s: %v", name, err)}
			}
			text = unquoted(result)
		}
		parameters[name] = text
	}
	v.TraceHeader, v.Group, v.DeduplicationID = parameters["TraceHeader"], parameters["EventGroupId"], parameters["DeduplicationId"]
	v.Attributes = under(parameters, "attribute ")
	v.Metadata = under(parameters, "metadata ")
	return v, nil
}
