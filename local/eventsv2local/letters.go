package eventsv2local

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// Letter is the record of a failed delivery in a dead-letter queue (EventBridge user
// guide, "Retry policy and dead-letter queues"). It has the IDs of the events, and
// not their content.
type Letter struct {
	Body       string
	Attributes map[string]string // ERROR_CODE, SUBSCRIBER_ARN, …
	Events     []*Event          // hidden from the code under test
}

// DeadLetters is a queue of such records. The zero value is empty and usable. It is
// safe for concurrent use.
type DeadLetters struct {
	// To, if not nil, receives each record instead of the queue.
	To func(Letter)

	mu      sync.Mutex
	letters []Letter
}

// Letters returns the records in the queue.
func (d *DeadLetters) Letters() []Letter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Letter(nil), d.letters...)
}

func (d *DeadLetters) add(l Letter) {
	if d.To != nil {
		d.To(l)
		return
	}
	d.mu.Lock()
	d.letters = append(d.letters, l)
	d.mu.Unlock()
}

// DeadLetters registers the queue with an ARN that an OnFailureConfiguration may name.
func (s *Service) DeadLetters(arn string, d *DeadLetters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters[arn] = d
}

// letter returns the record of a batch that could not be delivered.
func (p *plan) letter(failed []*item, problem *DeliveryError, condition string, retries int) Letter {
	type message struct {
		EventID         string `json:"eventId"`
		Group           string `json:"eventGroupId,omitempty"`
		DeduplicationID string `json:"deduplicationId,omitempty"`
		Timestamp       string `json:"timestamp"`
		Request         string `json:"targetRequestId,omitempty"`
	}
	const longest = 1024
	text := problem.Message[:min(len(problem.Message), longest)]
	record := struct {
		Version      string    `json:"version"`
		Bus          string    `json:"busArn"`
		Subscriber   string    `json:"subscriberArn"`
		Target       string    `json:"targetArn"`
		ErrorCode    string    `json:"errorCode"`
		ErrorMessage string    `json:"errorMessage"`
		Condition    string    `json:"exhaustedRetryCondition,omitempty"`
		Retries      int       `json:"retryAttempts"`
		Messages     []message `json:"failedMessages"`
	}{"1.0", p.sub.bus.ARN, p.sub.ARN, p.Invoke.TargetARN, problem.Code, text, condition, retries, nil}
	l := Letter{Attributes: map[string]string{
		"ERROR_CODE": problem.Code, "ERROR_MESSAGE": text, "SUBSCRIBER_ARN": p.sub.ARN, "TARGET_ARN": p.Invoke.TargetARN, "BUS_ARN": p.sub.bus.ARN,
		"EXHAUSTED_RETRY_CONDITION": condition, "RETRY_ATTEMPTS": strconv.Itoa(retries),
	}}
	for _, i := range failed {
		e := i.event
		record.Messages = append(record.Messages, message{EventID: e.ID, Group: e.Group, DeduplicationID: e.DeduplicationID, Timestamp: e.Taken.UTC().Format(time.RFC3339Nano)})
		l.Events = append(l.Events, e)
	}
	body, _ := json.Marshal(record) // strings and numbers always marshal
	l.Body = string(body)
	return l
}
