package sqslocal

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/local/internal/wire"
)

// buryLocked moves a message that was received too often to the dead-letter queue.
// It keeps its ID, which in a FIFO queue also becomes its deduplication ID.
func (q *Queue) buryLocked(m *message, target string) {
	dead := q.service.queueLocked(target)
	if dead == nil {
		return
	}
	q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
	now := q.service.options.Clock.Now()
	m.sender, m.held, m.visible, m.handle = q.ARN(), false, now, ""
	if dead.fifo {
		m.dedup, m.sent = m.id, now
	}
	dead.messages = append(dead.messages, m)
	q.service.moveLocked(Moved{From: q.name, To: dead.name, Before: m.id, Message: m.id, At: now})
	q.wakeLocked()
	dead.wakeLocked()
}

// moveTask is one StartMessageMoveTask. It is complete when the call returns.
type moveTask struct {
	source, destination, handle string
	moved                       int
	at                          time.Time
}

// Redrive moves every visible message of a dead-letter queue to the queue with the
// ARN destination, or, if that is "", to the queue it came from, as
// StartMessageMoveTask does. Moved messages are new messages, with a new ID and
// time. Redrive returns the task's handle; the error is an [*Error].
func (q *Queue) Redrive(destination string) (string, error) {
	s := q.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deadLettersLocked(q) {
		return "", invalidValue("Source queue must be configured as a Dead Letter Queue.")
	}
	to := s.queueLocked(destination)
	if destination != "" && (to == nil || !strings.HasPrefix(destination, "arn:")) {
		return "", &Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the DestinationArn parameter doesn't exist."}
	}
	now := s.options.Clock.Now()
	task := moveTask{source: q.ARN(), destination: destination, handle: wire.UUID(), at: now}
	for _, m := range slices.Clone(q.messages) {
		home := to
		if destination == "" {
			home = s.queueLocked(m.sender)
		}
		if m.visible.After(now) || home == nil {
			continue
		}
		q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
		again := *m
		again.id, again.sent, again.visible, again.receives, again.sender, again.firstReceivedAt = wire.UUID(), now, now, 0, "", time.Time{}
		if home.fifo {
			again.dedup, again.sequence = again.id, home.nextLocked()
		}
		home.messages = append(home.messages, &again)
		home.wakeLocked()
		s.moveLocked(Moved{From: q.name, To: home.name, Before: m.id, Message: again.id, At: now})
		task.moved++
	}
	s.moves = append(s.moves, task)
	return task.handle, nil
}

// deadLettersLocked reports whether a queue's redrive policy names q.
func (s *Service) deadLettersLocked(q *Queue) bool { return len(s.sourcesLocked(q)) > 0 }

// sourcesLocked returns the queues whose redrive policy names q, by name.
func (s *Service) sourcesLocked(q *Queue) []*Queue {
	var sources []*Queue
	for _, other := range s.queues {
		if p, err := other.policyLocked(other.attributes["RedrivePolicy"]); err == nil && p.Target == q.ARN() {
			sources = append(sources, other)
		}
	}
	slices.SortFunc(sources, func(a, b *Queue) int { return strings.Compare(a.name, b.name) })
	return sources
}
