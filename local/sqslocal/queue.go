package sqslocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// Queue is one queue of a [Service]. Safe for concurrent use.
type Queue struct {
	service *Service
	name    string
	fifo    bool
	created time.Time

	// Guarded by the service's lock.
	attributes map[string]string
	messages   []*message
	changed    chan struct{} // closed and replaced when a message may have become visible
	seen       map[string]first
	sequence   int64
	handles    int64
	gone       bool
}

// first is the message that a deduplication ID was first seen with.
type first struct {
	id       string
	sequence string
	at       time.Time
}

type message struct {
	id, body        string
	attributes      map[string]Attribute
	trace           string
	group, dedup    string
	sequence        string
	sender          string // ARN of the queue it came from by its redrive policy
	receives        int
	handle          string // the latest receipt handle
	sent, received  time.Time
	visible         time.Time // when it can be received
	held            bool      // in flight until the time visible
	firstReceivedAt time.Time
}

// Name returns the queue's name, which ends with .fifo if it is a FIFO queue.
func (q *Queue) Name() string { return q.name }

// ARN returns the queue's ARN.
func (q *Queue) ARN() string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", q.service.options.Region, q.service.options.Account, q.name)
}

// URL returns the queue's URL for SDKs.
func (q *Queue) URL() string {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	return q.urlLocked()
}

func (q *Queue) urlLocked() string {
	return q.service.url + "/" + q.service.options.Account + "/" + q.name
}

// Count returns how many messages can be received now, are in flight, and are delayed.
func (q *Queue) Count() (visible, inFlight, delayed int) {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	now := q.service.options.Clock.Now()
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			visible++
		case m.held:
			inFlight++
		default:
			delayed++
		}
	}
	return visible, inFlight, delayed
}

func (q *Queue) wakeLocked() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// defaults are the attributes of a queue that is created without attributes.
var defaults = map[string]string{
	"VisibilityTimeout": "30", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0",
	"MaximumMessageSize": strconv.Itoa(maxSize), "MessageRetentionPeriod": "345600",
}

// bounds are the lower and upper limits of the numeric attributes.
var bounds = map[string][2]int{
	"VisibilityTimeout": {0, 43200}, "DelaySeconds": {0, 900}, "ReceiveMessageWaitTimeSeconds": {0, 20},
	"MaximumMessageSize": {1024, maxSize}, "MessageRetentionPeriod": {60, 1209600},
}

// Set changes attributes, as SetQueueAttributes does.
func (q *Queue) Set(attributes map[string]string) error {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	if err := q.setLocked(attributes); err != nil {
		return err
	}
	return nil
}

func (q *Queue) setLocked(attributes map[string]string) error {
	for name, value := range attributes {
		limits, number := bounds[name]
		n, err := strconv.Atoi(value)
		switch {
		case number && (err != nil || n < limits[0] || n > limits[1]):
			return &Error{Code: "InvalidAttributeValue", Message: "Invalid value for the parameter " + name + "."}
		case number, name == "Policy", name == "RedriveAllowPolicy", name == "KmsMasterKeyId", name == "SqsManagedSseEnabled", name == "KmsDataKeyReusePeriodSeconds":
		case name == "RedrivePolicy":
			if _, err := q.policyLocked(value); err != nil {
				return err
			}
		case q.fifo && (name == "FifoQueue" || name == "ContentBasedDeduplication" || name == "DeduplicationScope" || name == "FifoThroughputLimit"):
		default:
			return &Error{Code: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		}
	}
	maps.Copy(q.attributes, attributes)
	return nil
}

// number returns an attribute's value, or its default.
func (q *Queue) number(name string) int {
	value, set := q.attributes[name]
	if !set {
		value = defaults[name]
	}
	n, _ := strconv.Atoi(value) // validated when it was set
	return n
}

func (q *Queue) seconds(name string) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// Attributes returns the attributes that GetQueueAttributes returns.
func (q *Queue) Attributes() map[string]string {
	visible, inFlight, delayed := q.Count()
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	all := maps.Clone(defaults)
	maps.Copy(all, q.attributes)
	for name, n := range map[string]int{"ApproximateNumberOfMessages": visible, "ApproximateNumberOfMessagesNotVisible": inFlight, "ApproximateNumberOfMessagesDelayed": delayed} {
		all[name] = strconv.Itoa(n)
	}
	all["QueueArn"] = q.ARN()
	all["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	all["LastModifiedTimestamp"] = all["CreatedTimestamp"]
	return all
}

type redrivePolicy struct {
	Target string      `json:"deadLetterTargetArn"`
	Most   json.Number `json:"maxReceiveCount"`
	most   int
}

// policyLocked reads a redrive policy; "" is none.
func (q *Queue) policyLocked(text string) (redrivePolicy, error) {
	var p redrivePolicy
	if text == "" {
		return p, nil
	}
	var loose struct {
		Target string `json:"deadLetterTargetArn"`
		Most   any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &loose); err != nil {
		return p, invalidValue("Value %s for parameter RedrivePolicy is invalid. Reason: Redrive policy is not a valid JSON map.", text)
	}
	most, err := strconv.Atoi(fmt.Sprint(loose.Most)) // a number or a string
	if err != nil || most < 1 || most > 1000 {
		return p, invalidValue("Value %s for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: %v, valid values are from 1 to 1000 both inclusive.", text, loose.Most)
	}
	dead := q.service.queueLocked(loose.Target)
	if dead == nil || dead.fifo != q.fifo {
		return p, invalidValue("Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist, or is of another type.", text)
	}
	p.Target, p.most = loose.Target, most
	return p, nil
}
