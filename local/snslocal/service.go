package snslocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/internal/wire"
	"github.com/throughline/throughline/local/sqslocal"
)

// Options of a [Service].
type Options struct {
	// Queues has the queues for subscriptions of the protocol sqs. Nil: none.
	Queues *sqslocal.Service
	// Function invokes the function with this ARN asynchronously, for
	// subscriptions of the protocol lambda. Nil: none.
	Function func(arn string, event []byte, traceHeader string) (requestID string, err error)
	// Keep is how many deliveries the ledger keeps at least; older ones are removed. Zero: all.
	Keep    int
	Account string // zero: 123456789012
	Region  string // zero: us-east-1
}

// Service is a local SNS. Use [New], and close it. Safe for concurrent use.
type Service struct {
	options Options
	server  wire.Server

	mu            sync.Mutex
	topics        map[string]*topic        // by ARN
	subscriptions map[string]*subscription // by ARN
	order         []string                 // of subscriptions
	ledger        []Delivered
}

type topic struct {
	arn        string
	fifo       bool
	attributes map[string]string
}

type subscription struct {
	arn, topic, protocol, endpoint string
	attributes                     map[string]string
	filter                         *eventpattern.Pattern // nil: everything
}

func (s *subscription) raw() bool { return s.attributes["RawMessageDelivery"] == "true" }

// Delivered is one notification, which the subscriber accepted or rejected, or which was lost.
type Delivered struct {
	Topic, MessageID string // MessageID is SNS's
	Endpoint         string
	ID               string // of the queue's message, or the function's request ID
	Err              error
	At               time.Time
}

// New returns a Service without topics.
func New(o Options) *Service {
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	return &Service{options: o, topics: map[string]*topic{}, subscriptions: map[string]*subscription{}}
}

// Start listens on a free port of the loopback interface and returns the URL.
func (s *Service) Start() (string, error) {
	url, err := s.server.Start(s)
	if err != nil {
		return "", fmt.Errorf("start the local SNS: %w", err)
	}
	return url, nil
}

// Close ends the server.
func (s *Service) Close() { s.server.Close() }

// Ledger returns the deliveries, in order.
func (s *Service) Ledger() []Delivered {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// Error is an error response of SNS's API.
type Error struct {
	Code, Message string
	status        int // zero: 400
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{Code: "InvalidParameter", Message: "Invalid parameter: " + fmt.Sprintf(format, args...)}
}

func notFound(what string) *Error {
	return &Error{Code: "NotFound", Message: what + " does not exist", status: 404}
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// Create creates a topic, or finds the one with that name, and returns its ARN.
func (s *Service) Create(name string, attributes map[string]string) (arn string, err error) {
	base, fifo := strings.CutSuffix(name, ".fifo")
	if !topicName.MatchString(base) || fifo != (attributes["FifoTopic"] == "true") {
		return "", invalid("Topic Name")
	}
	t := &topic{arn: fmt.Sprintf("arn:aws:sns:%s:%s:%s", s.options.Region, s.options.Account, name), fifo: fifo, attributes: maps.Clone(attributes)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[t.arn] == nil {
		s.topics[t.arn] = t
	}
	return t.arn, nil
}

// Subscribe adds a subscriber: protocol is sqs or lambda, endpoint the ARN of a
// queue or a function. attributes are RawMessageDelivery, FilterPolicy and
// FilterPolicyScope. The error is an [*Error].
func (s *Service) Subscribe(topicARN, protocol, endpoint string, attributes map[string]string) (arn string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[topicARN] == nil {
		return "", notFound("Topic")
	}
	if protocol != "sqs" && protocol != "lambda" || !strings.HasPrefix(endpoint, "arn:") {
		return "", invalid("Protocol or endpoint: %s %s", protocol, endpoint)
	}
	for _, arn := range s.order {
		if known := s.subscriptions[arn]; known.topic == topicARN && known.endpoint == endpoint {
			return known.arn, nil
		}
	}
	one := &subscription{arn: topicARN + ":" + wire.UUID(), topic: topicARN, protocol: protocol, endpoint: endpoint, attributes: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := one.set(name, attributes[name]); err != nil {
			return "", err
		}
	}
	s.subscriptions[one.arn] = one
	s.order = append(s.order, one.arn)
	return one.arn, nil
}

// set changes an attribute.
func (s *subscription) set(name, value string) *Error {
	switch name {
	case "RawMessageDelivery":
		if value == "true" && s.protocol != "sqs" {
			return invalid("Attributes Reason: RawMessageDelivery is not valid for the protocol %s", s.protocol)
		}
	case "FilterPolicyScope":
		if value != "MessageAttributes" && value != "MessageBody" {
			return invalid("Attributes Reason: FilterPolicyScope")
		}
	case "FilterPolicy":
		s.filter = nil
		if value != "" && value != "{}" {
			pattern, err := eventpattern.Compile([]byte(value))
			if err != nil {
				return invalid("Attributes Reason: FilterPolicy: %v", err)
			}
			s.filter = pattern
		}
	case "RedrivePolicy", "DeliveryPolicy", "SubscriptionRoleArn":
	default:
		return invalid("AttributeName")
	}
	s.attributes[name] = value
	return nil
}

// matches reports whether a message matches a subscription's filter policy.
func (s *subscription) matches(m Message) bool {
	if s.filter == nil {
		return true
	}
	if s.attributes["FilterPolicyScope"] == "MessageBody" {
		return json.Valid([]byte(m.Message)) && s.filter.Match([]byte(m.Message))
	}
	values := map[string]json.RawMessage{}
	for name, a := range m.Attributes {
		switch {
		case a.StringValue == nil: // a binary attribute never matches
		case a.DataType == "String.Array" || a.DataType == "Number":
			if json.Valid([]byte(*a.StringValue)) {
				values[name] = json.RawMessage(*a.StringValue)
			}
		default:
			values[name], _ = json.Marshal(*a.StringValue) // strings always marshal
		}
	}
	document, err := json.Marshal(values)
	return err == nil && s.filter.Match(document)
}
