package eventsv2local

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// Letter is a record of a delivery that was given up, as it stands in the queue
// (EventBridge user guide, "Retry policy and dead-letter queues"): it names the
// events, and holds none of them.
type Letter struct {
	Body       string
	Attributes map[string]string // ERROR_CODE, SUBSCRIBER_ARN, …
	Events     []*Event          // which the code under test does not see
}

// DeadLetters is a queue of such records. The zero value is empty and usable. It is
// safe for concurrent use.
type DeadLetters struct {
	// To, if not nil, takes each record in place of the queue.
	To func(Letter)

	mu      sync.Mutex
	letters []Letter
}

// Letters returns what lies in the queue.
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

// DeadLetters says what an OnFailureConfiguration reaches under an ARN.
func (s *Service) DeadLetters(arn string, d *DeadLetters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters[arn] = d
}

// letter is the record of a batch whose delivery failed for good.
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
	body, _ := json.Marshal(record) // texts and numbers
	l.Body = string(body)
	return l
}
