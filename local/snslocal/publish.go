package snslocal

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
	"github.com/throughline/throughline/local/internal/wire"
	"github.com/throughline/throughline/local/sqslocal"
)

// Message is a message to publish. ID is empty unless it is part of a batch.
type Message struct {
	ID         string
	Message    string
	Subject    string
	Structure  string // "json": Message has a text for each protocol
	Attributes map[string]sqslocal.Attribute
	GroupID    string // of a FIFO topic
	DedupID    string
}

const (
	maxSize       = 256 << 10 // of a message, and of a batch
	maxAttributes = 10        // that a queue accepts in a raw delivery
)

func (m Message) size() int {
	n := len(m.Message)
	for name, a := range m.Attributes {
		n += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			n += len(*a.StringValue)
		}
	}
	return n
}

// text returns the text for subscribers of a protocol.
func (m Message) text(protocol string) string {
	if m.Structure != "json" {
		return m.Message
	}
	var texts map[string]string
	_ = json.Unmarshal([]byte(m.Message), &texts) // validated when it was published
	if text, own := texts[protocol]; own {
		return text
	}
	return texts["default"]
}

func (m Message) check(t *topic) *Error {
	switch {
	case m.Message == "":
		return invalid("Empty message")
	case m.size() > maxSize:
		return invalid("Message too long")
	case len(m.Subject) > 100 || strings.ContainsAny(m.Subject, "\r\n"):
		return invalid("Subject")
	case t.fifo && m.GroupID == "":
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	case t.fifo && m.DedupID == "" && t.attributes["ContentBasedDeduplication"] != "true":
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	for name, a := range m.Attributes {
		kind, _, _ := strings.Cut(a.DataType, ".")
		if name == "" || kind != "String" && kind != "Number" && kind != "Binary" || a.StringValue == nil && len(a.BinaryValue) == 0 || a.StringValue != nil && *a.StringValue == "" {
			return &Error{Code: "ParameterValueInvalid", Message: "The message attribute '" + name + "' must contain a non-empty value of the types String, Number, Binary."}
		}
	}
	if m.Structure == "json" {
		var texts map[string]string
		if json.Unmarshal([]byte(m.Message), &texts) != nil || texts["default"] == "" {
			return invalid("Message Structure - No default entry in JSON message body")
		}
	}
	return nil
}

// Publish delivers a message to the topic's subscribers and returns its ID.
// header is the call's X-Amzn-Trace-Id. The error is an [*Error].
func (s *Service) Publish(topicARN string, m Message, header string) (messageID string, err error) {
	s.mu.Lock()
	t := s.topics[topicARN]
	var to []subscription
	for _, arn := range s.order {
		if one := s.subscriptions[arn]; one.topic == topicARN {
			to = append(to, *one)
		}
	}
	s.mu.Unlock()
	if t == nil {
		return "", notFound("Topic")
	}
	if err := m.check(t); err != nil {
		return "", err
	}
	if !sqslocal.WellFormed(header) {
		header = ""
	}
	id := wire.UUID()
	for _, one := range to {
		if !one.matches(m) {
			continue
		}
		d := Delivered{Topic: topicARN, MessageID: id, Endpoint: one.endpoint, At: time.Now()}
		d.ID, d.Err = s.deliver(one, m, id, header)
		s.mu.Lock()
		s.ledger, _ = recent.Append(s.ledger, s.options.Keep, d)
		s.mu.Unlock()
	}
	return id, nil
}

// notification is the body of a queue's message, and with other spellings of the
// URLs the Sns member of a function's record (Amazon SNS developer guide,
// "Parsing message formats").
type notification struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicARN          string `json:"TopicArn"`
	Subject           any    `json:",omitempty"` // null in a function's record, absent in a queue's message
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	CertURL           string               `json:"SigningCertURL,omitempty"`
	Unsubscribe       string               `json:"UnsubscribeURL,omitempty"`
	CertURLOfRecord   string               `json:"SigningCertUrl,omitempty"`
	LeaveURLOfRecord  string               `json:"UnsubscribeUrl,omitempty"`
	MessageAttributes map[string]attribute `json:",omitempty"`
}

type attribute struct {
	Type  string
	Value any
}

func (s *Service) deliver(one subscription, m Message, id, header string) (string, error) {
	n := notification{
		Type: "Notification", MessageID: id, TopicARN: one.topic, Message: m.text(one.protocol), Signature: "LOCAL",
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "1", MessageAttributes: map[string]attribute{},
	}
	if m.Subject != "" {
		n.Subject = m.Subject
	}
	for name, a := range m.Attributes {
		if a.StringValue != nil {
			n.MessageAttributes[name] = attribute{a.DataType, *a.StringValue}
		} else {
			n.MessageAttributes[name] = attribute{a.DataType, a.BinaryValue}
		}
	}
	if one.protocol == "lambda" {
		if s.options.Function == nil {
			return "", errors.New("no functions are attached")
		}
		if n.Subject == nil {
			n.Subject = json.RawMessage("null")
		}
		n.CertURLOfRecord, n.LeaveURLOfRecord = "LOCAL", "LOCAL"
		event, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
			"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": one.arn, "Sns": n,
		}}})
		if err != nil {
			return "", err
		}
		return s.options.Function(one.endpoint, event, header)
	}
	return s.enqueue(one, m, n, header)
}

// enqueue sends a message to a queue. The queue rejects a raw delivery with more than
// ten attributes. SNS treats this as a client error: the message is lost.
func (s *Service) enqueue(one subscription, m Message, n notification, header string) (string, error) {
	var q *sqslocal.Queue
	if s.options.Queues != nil {
		q = s.options.Queues.Queue(one.endpoint)
	}
	if q == nil {
		return "", errors.New("there is no queue " + one.endpoint)
	}
	entry := sqslocal.Entry{MessageGroupID: m.GroupID, MessageDeduplicationID: m.DedupID}
	if !strings.HasSuffix(q.Name(), ".fifo") {
		entry.MessageDeduplicationID = ""
	} else if entry.MessageDeduplicationID == "" {
		entry.MessageDeduplicationID = n.MessageID
	}
	if one.raw() {
		if len(m.Attributes) > maxAttributes {
			return "", errors.New("a raw delivery has more than ten attributes")
		}
		entry.MessageBody, entry.MessageAttributes = n.Message, m.Attributes
	} else {
		n.CertURL, n.Unsubscribe = "LOCAL", "LOCAL"
		if len(n.MessageAttributes) == 0 {
			n.MessageAttributes = nil
		}
		body, err := json.MarshalIndent(n, "", "  ")
		if err != nil {
			return "", err
		}
		entry.MessageBody = string(body)
	}
	receipt, err := q.Send(entry, header)
	return receipt.MessageID, err
}
