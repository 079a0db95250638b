package snslocal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/throughline/throughline/local/internal/wire"
	"github.com/throughline/throughline/local/sqslocal"
)

const (
	namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
	maxBody   = 8 << 20
)

// ServeHTTP serves SNS's API.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := wire.Body(w, r, maxBody)
	if !ok {
		wire.Write(w, http.StatusRequestEntityTooLarge, "", nil)
		return
	}
	if r.Method == http.MethodGet {
		body = []byte(r.URL.RawQuery)
	}
	form, err := wire.ParseForm(body)
	if err != nil {
		refuse(w, &Error{Code: "MalformedInput", Message: "The request's body is not a form."})
		return
	}
	name := form.Get("Action").Value
	do := operations[name]
	if do == nil {
		refuse(w, &Error{Code: "InvalidAction", Message: "The action " + strconv.Quote(name) + " is not valid for this endpoint."})
		return
	}
	out, err := do(s, form, r.Header.Get("X-Amzn-Trace-Id"))
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Code: "InternalError", Message: err.Error(), status: http.StatusInternalServerError}
		}
		refuse(w, e)
		return
	}
	wire.WriteXML(w, name, namespace, out)
}

func refuse(w http.ResponseWriter, e *Error) {
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	wire.WriteXMLError(w, status, namespace, "Sender", e.Code, e.Message)
}

// The responses of operations.
type (
	topicARN struct {
		ARN string `xml:"TopicArn"`
	}
	subscriptionARN struct {
		ARN string `xml:"SubscriptionArn"`
	}
	messageID struct {
		MessageID string `xml:"MessageId"`
	}
	published struct {
		ID        string `xml:"Id"`
		MessageID string `xml:"MessageId"`
	}
	failed struct {
		ID          string `xml:"Id"`
		Code        string
		Message     string
		SenderFault bool
	}
	batch struct {
		Successful struct {
			Members []published `xml:"member"`
		}
		Failed struct {
			Members []failed `xml:"member"`
		}
	}
	attributes struct {
		Entries []pair `xml:"Attributes>entry"`
	}
	pair struct {
		Key   string `xml:"key"`
		Value string `xml:"value"`
	}
	topicList struct {
		Members []topicARN `xml:"Topics>member"`
	}
	subscriptionList struct {
		Members []subscriptionTold `xml:"Subscriptions>member"`
	}
	subscriptionTold struct {
		SubscriptionARN string `xml:"SubscriptionArn"`
		Owner, Protocol string
		Endpoint        string
		TopicARN        string `xml:"TopicArn"`
	}
)

// operations of the API, by name.
var operations = map[string]func(s *Service, f *wire.Form, header string) (any, error){
	"CreateTopic": func(s *Service, f *wire.Form, _ string) (any, error) {
		arn, err := s.Create(f.Get("Name").Value, pairs(f.Get("Attributes")))
		return topicARN{arn}, err
	},
	"Subscribe": func(s *Service, f *wire.Form, _ string) (any, error) {
		arn, err := s.Subscribe(f.Get("TopicArn").Value, f.Get("Protocol").Value, f.Get("Endpoint").Value, pairs(f.Get("Attributes")))
		return subscriptionARN{arn}, err
	},
	"Publish": func(s *Service, f *wire.Form, header string) (any, error) {
		arn := f.Get("TopicArn").Value
		if arn == "" {
			arn = f.Get("TargetArn").Value
		}
		m, err := messageFrom(f)
		if err != nil {
			return nil, err
		}
		id, err := s.Publish(arn, m, header)
		return messageID{id}, err
	},
	"PublishBatch": (*Service).publishBatch,
	"ListTopics": func(s *Service, _ *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var list topicList
		for _, arn := range slices.Sorted(maps.Keys(s.topics)) {
			list.Members = append(list.Members, topicARN{arn})
		}
		return list, nil
	},
	"ListSubscriptions":        listSubscriptions,
	"ListSubscriptionsByTopic": listSubscriptions,
	"DeleteTopic": func(s *Service, f *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.topics, f.Get("TopicArn").Value)
		s.order = slices.DeleteFunc(s.order, func(arn string) bool { return s.subscriptions[arn].topic == f.Get("TopicArn").Value })
		return nil, nil
	},
	"Unsubscribe": func(s *Service, f *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		arn := f.Get("SubscriptionArn").Value
		s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == arn })
		delete(s.subscriptions, arn)
		return nil, nil
	},
	"SetSubscriptionAttributes": func(s *Service, f *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		one := s.subscriptions[f.Get("SubscriptionArn").Value]
		if one == nil {
			return nil, notFound("Subscription")
		}
		if err := one.set(f.Get("AttributeName").Value, f.Get("AttributeValue").Value); err != nil {
			return nil, err
		}
		return nil, nil
	},
	"GetSubscriptionAttributes": func(s *Service, f *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		one := s.subscriptions[f.Get("SubscriptionArn").Value]
		if one == nil {
			return nil, notFound("Subscription")
		}
		all := map[string]string{"RawMessageDelivery": "false"}
		if one.filter != nil {
			all["FilterPolicyScope"] = "MessageAttributes"
		}
		maps.Copy(all, one.attributes)
		maps.Copy(all, map[string]string{"SubscriptionArn": one.arn, "TopicArn": one.topic, "Protocol": one.protocol, "Endpoint": one.endpoint, "Owner": s.options.Account, "PendingConfirmation": "false"})
		return entries(all), nil
	},
	"GetTopicAttributes": func(s *Service, f *wire.Form, _ string) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.topics[f.Get("TopicArn").Value]
		if t == nil {
			return nil, notFound("Topic")
		}
		n := 0
		for _, arn := range s.order {
			if s.subscriptions[arn].topic == t.arn {
				n++
			}
		}
		all := map[string]string{"TopicArn": t.arn, "Owner": s.options.Account, "SubscriptionsConfirmed": fmt.Sprint(n), "SubscriptionsPending": "0"}
		maps.Copy(all, t.attributes)
		return entries(all), nil
	},
}

func listSubscriptions(s *Service, f *wire.Form, _ string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list subscriptionList
	for _, arn := range s.order {
		one, topic := s.subscriptions[arn], f.Get("TopicArn").Value
		if topic == "" || one.topic == topic {
			list.Members = append(list.Members, subscriptionTold{arn, s.options.Account, one.protocol, one.endpoint, one.topic})
		}
	}
	return list, nil
}

// publishBatch publishes up to ten messages, each of which may fail on its own.
func (s *Service) publishBatch(f *wire.Form, header string) (any, error) {
	list := f.Get("PublishBatchRequestEntries").List()
	switch {
	case len(list) == 0:
		return nil, &Error{Code: "EmptyBatchRequest", Message: "The batch request doesn't contain any entries."}
	case len(list) > 10:
		return nil, &Error{Code: "TooManyEntriesInBatchRequest", Message: "The batch request contains more entries than permissible."}
	}
	seen, total := map[string]bool{}, 0
	messages := make([]Message, len(list))
	for i, child := range list {
		m, err := messageFrom(child)
		if err != nil {
			return nil, err
		}
		if seen[m.ID] {
			return nil, &Error{Code: "BatchEntryIdsNotDistinct", Message: "Two or more batch entries in the request have the same Id."}
		}
		seen[m.ID], messages[i] = true, m
		total += m.size()
	}
	if total > maxSize {
		return nil, &Error{Code: "BatchRequestTooLong", Message: "The length of all the batch messages put together is more than the limit."}
	}
	var out batch
	for _, m := range messages {
		id, err := s.Publish(f.Get("TopicArn").Value, m, header)
		var e *Error
		switch {
		case errors.As(err, &e) && e.Code == "NotFound":
			return nil, e
		case errors.As(err, &e):
			out.Failed.Members = append(out.Failed.Members, failed{m.ID, e.Code, e.Message, true})
		default:
			out.Successful.Members = append(out.Successful.Members, published{m.ID, id})
		}
	}
	return out, nil
}

func messageFrom(f *wire.Form) (Message, error) {
	m := Message{
		ID: f.Get("Id").Value, Message: f.Get("Message").Value, Subject: f.Get("Subject").Value, Structure: f.Get("MessageStructure").Value,
		GroupID: f.Get("MessageGroupId").Value, DedupID: f.Get("MessageDeduplicationId").Value,
	}
	for _, child := range f.Get("MessageAttributes").List() {
		value := child.Get("Value")
		a := sqslocal.Attribute{DataType: value.Get("DataType").Value}
		if slices.Contains(value.Names(), "StringValue") {
			text := value.Get("StringValue").Value
			a.StringValue = &text
		}
		if text := value.Get("BinaryValue").Value; text != "" {
			data, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return m, invalid("BinaryValue is not base64")
			}
			a.BinaryValue = data
		}
		if m.Attributes == nil {
			m.Attributes = map[string]sqslocal.Attribute{}
		}
		m.Attributes[child.Get("Name").Value] = a
	}
	return m, nil
}

func pairs(f *wire.Form) map[string]string {
	m := map[string]string{}
	for _, child := range f.List() {
		m[child.Get("key").Value] = child.Get("value").Value
	}
	return m
}

func entries(m map[string]string) attributes {
	var a attributes
	for _, key := range slices.Sorted(maps.Keys(m)) {
		a.Entries = append(a.Entries, pair{key, m[key]})
	}
	return a
}
