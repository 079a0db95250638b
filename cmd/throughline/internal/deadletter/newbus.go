package deadletter

import (
	"cmp"
	"strconv"
	"time"
)

// Named is an event that a message of a new custom bus names. ID is its aws:EventId, which
// the publisher was answered; Time is that of the record, zero where it has none.
type Named struct {
	ID              string    `json:"eventId"`
	Group           string    `json:"eventGroupId,omitempty"`
	DeduplicationID string    `json:"deduplicationId,omitempty"`
	Time            time.Time `json:"timestamp,omitzero"`
	Request         string    `json:"targetRequestId,omitempty"`
}

// record is what a subscriber of a new custom bus writes of events that it gave up
// (EventBridge user guide, "Retry policy and dead-letter queues" of custom event buses).
type record struct {
	Bus        string `json:"busArn"`
	Subscriber string `json:"subscriberArn"`
	Target     string `json:"targetArn"`
	Code       string `json:"errorCode"`
	Says       string `json:"errorMessage"`
	Condition  string `json:"exhaustedRetryCondition"`
	Retries    *int   `json:"retryAttempts"`
	Named      []struct {
		Named
		Time string `json:"timestamp"` // its form is not documented
	} `json:"failedMessages"`
}

// ofSubscriber reads a record, and where that lacks something the message's attributes.
func (l *Letter) ofSubscriber(r *record, attribute func(string) string) {
	l.Kind, l.Payload = OfSubscriber, nil
	l.Subscriber, l.Bus, l.Target = cmp.Or(r.Subscriber, attribute("SUBSCRIBER_ARN")), cmp.Or(r.Bus, attribute("BUS_ARN")), cmp.Or(r.Target, attribute("TARGET_ARN"))
	l.Cause = cmp.Or(r.Code, attribute("ERROR_CODE"), r.Condition, attribute("EXHAUSTED_RETRY_CONDITION"), "no error code")
	l.Says = cmp.Or(r.Says, attribute("ERROR_MESSAGE"))
	if n, err := strconv.Atoi(attribute("RETRY_ATTEMPTS")); r.Retries != nil {
		l.Attempts = max(0, *r.Retries) + 1
	} else if err == nil {
		l.Attempts = max(0, n) + 1
	}
	for _, e := range r.Named {
		one := e.Named
		if one.ID == "" {
			continue
		}
		one.Time, _ = time.Parse(time.RFC3339Nano, e.Time) // the zero value where it is written otherwise
		l.Named = append(l.Named, one)
	}
	if len(l.Named) == 1 {
		l.EnvelopeID = l.Named[0].ID
	}
}
