package sqslocal

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Receive is a request for messages. The zero value requests one message, without
// waiting or attributes, with the queue's visibility timeout.
type Receive struct {
	Max        int            // zero: 1; at most 10
	Wait       time.Duration  // at most 20 s by the queue's clock; zero: the queue's ReceiveMessageWaitTimeSeconds
	Visibility *time.Duration // nil: the queue's
	Attributes []string       // names of system attributes, or All
	Messages   []string       // names of message attributes, or All
	noWait     bool
}

// Message is one received message.
type Message struct {
	MessageID              string `json:"MessageId" xml:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             stringMap    `json:",omitempty" xml:"Attribute"`
	MD5OfMessageAttributes string       `json:",omitempty" xml:",omitempty"`
	MessageAttributes      attributeMap `json:",omitempty" xml:"MessageAttribute"`
}

// Receive returns visible messages, and hides them from others for their visibility
// timeout. It waits for the first one if r or the queue has a wait time. The error
// is an [*Error] or ctx's.
func (q *Queue) Receive(ctx context.Context, r Receive) ([]Message, error) {
	clock := q.service.options.Clock
	var until time.Time
	for {
		q.service.mu.Lock()
		if q.gone {
			q.service.mu.Unlock()
			return nil, errNoQueue
		}
		if until.IsZero() {
			wait := r.Wait
			if wait == 0 && !r.noWait {
				wait = q.seconds("ReceiveMessageWaitTimeSeconds")
			}
			until = clock.Now().Add(wait)
		}
		taken, next := q.takeLocked(r)
		changed := q.changed
		q.service.mu.Unlock()
		now := clock.Now()
		if len(taken) > 0 || !now.Before(until) {
			return taken, nil
		}
		if next.IsZero() || next.After(until) {
			next = until
		}
		rings, stop := clock.At(next)
		select {
		case <-changed:
		case <-rings:
		case <-ctx.Done():
			stop()
			return nil, ctx.Err()
		case <-q.service.ctx.Done():
			stop()
			return nil, nil
		}
		stop()
	}
}

// takeLocked receives visible messages; next is when another one becomes visible.
func (q *Queue) takeLocked(r Receive) (taken []Message, next time.Time) {
	now := q.service.options.Clock.Now()
	blocked := map[string]bool{} // groups with an earlier message that is not available
	policy, _ := q.policyLocked(q.attributes["RedrivePolicy"])
	for _, m := range slices.Clone(q.messages) {
		switch {
		case m.visible.After(now):
			blocked[m.group] = q.fifo
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
			continue
		case blocked[m.group], len(taken) == max(1, r.Max):
			continue
		case policy.most > 0 && m.receives >= policy.most:
			q.buryLocked(m, policy.Target)
			continue
		}
		visibility := q.seconds("VisibilityTimeout")
		if r.Visibility != nil {
			visibility = *r.Visibility
		}
		q.handles++
		m.receives++
		m.held, m.visible, m.received = true, now.Add(visibility), now
		m.handle = fmt.Sprintf("%s#%d", m.id, q.handles)
		if m.firstReceivedAt.IsZero() {
			m.firstReceivedAt = now
		}
		taken = append(taken, q.told(m, r))
	}
	return taken, next
}

func (q *Queue) told(m *message, r Receive) Message {
	told := Message{MessageID: m.id, ReceiptHandle: m.handle, MD5OfBody: digest(m.body), Body: m.body}
	told.Attributes = selected(m.system(), r.Attributes)
	told.MessageAttributes = selected(m.attributes, r.Messages)
	told.MD5OfMessageAttributes = Digest(told.MessageAttributes)
	return told
}

// system returns a message's system attributes.
func (m *message) system() map[string]string {
	all := map[string]string{
		"SenderId":                         "AIDALOCAL",
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstReceivedAt.UnixMilli(), 10),
	}
	for name, value := range map[string]string{
		"SequenceNumber": m.sequence, "MessageDeduplicationId": m.dedup, "MessageGroupId": m.group,
		traceAttribute: m.trace, "DeadLetterQueueSourceArn": m.sender,
	} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

// findLocked returns the message with a receipt handle. current is false if it was
// received again since, or its visibility timeout has passed.
func (q *Queue) findLocked(handle string) (m *message, current bool, err *Error) {
	id, _, ok := strings.Cut(handle, "#")
	if !ok {
		return nil, false, errHandle
	}
	for _, m := range q.messages {
		if m.id == id {
			return m, m.handle == handle, nil
		}
	}
	return nil, false, nil
}

// Delete removes the message with a receipt handle. An old handle has no effect; in
// a FIFO queue it is an error once its visibility timeout has passed.
func (q *Queue) Delete(handle string) error {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	m, current, err := q.findLocked(handle)
	switch {
	case err != nil:
		return err
	case m == nil:
		return nil
	case q.fifo && (!current || !m.held || !m.visible.After(q.service.options.Clock.Now())):
		return errExpired
	case !current:
		return nil
	}
	q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
	q.wakeLocked() // the next message of its group may be visible now
	return nil
}

// ChangeVisibility hides a message in flight for d from now on; 0 makes it visible.
func (q *Queue) ChangeVisibility(handle string, d time.Duration) error {
	if d < 0 || d > 12*time.Hour {
		return invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.", int(d.Seconds()))
	}
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	m, current, err := q.findLocked(handle)
	now := q.service.options.Clock.Now()
	switch {
	case err != nil:
		return err
	case m == nil:
		return invalidValue("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", handle)
	case !current || !m.held || !m.visible.After(now):
		return errIdle
	}
	m.visible, m.held = now.Add(d), d > 0
	q.wakeLocked()
	return nil
}

// Purge removes every message.
func (q *Queue) Purge() {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	q.messages = nil
}
