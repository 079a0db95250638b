package sqslocal

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"time"
)

// request holds the parameters of every operation, as the JSON protocol names them.
type request struct {
	Entry
	QueueURL                    string `json:"QueueUrl"`
	QueueName, QueueNamePrefix  string
	Attributes                  map[string]string
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	Entries                     []batchEntry
	ReceiptHandle               string
	VisibilityTimeout           *int
	MaxNumberOfMessages         *int
	WaitTimeSeconds             *int
	SourceARN                   string `json:"SourceArn"`
	DestinationARN              string `json:"DestinationArn"`
	traceHeader                 string
}

type batchEntry struct {
	Entry
	ReceiptHandle     string
	VisibilityTimeout *int
}

// The responses of operations. Both protocols encode them.
type (
	queueURL struct {
		QueueURL string `json:"QueueUrl" xml:"QueueUrl"`
	}
	queueURLs struct {
		QueueURLs []string `json:"QueueUrls,omitempty" xml:"QueueUrl"`
	}
	sourceURLs struct {
		QueueURLs []string `json:"queueUrls" xml:"QueueUrl"`
	}
	queueAttributes struct {
		Attributes stringMap `json:",omitempty" xml:"Attribute"`
	}
	messages struct {
		Messages []Message `json:",omitempty" xml:"Message"`
	}
	batch struct {
		name       string // of a successful entry's element in the query protocol
		Successful any
		Failed     []Failure
	}
	done struct {
		ID string `json:"Id" xml:"Id"`
	}
	taskHandle struct{ TaskHandle string }
	moveTasks  struct {
		Results []moveResult `xml:"ListMessageMoveTasksResultEntry"`
	}
	moveResult struct {
		Status                            string
		SourceARN                         string `json:"SourceArn" xml:"SourceArn"`
		DestinationARN                    string `json:"DestinationArn,omitempty" xml:"DestinationArn,omitempty"`
		ApproximateNumberOfMessagesMoved  int
		ApproximateNumberOfMessagesToMove int
		StartedTimestamp                  int64
	}
)

// stringMap is a map that the query protocol encodes as repeated names and values.
type stringMap map[string]string

// MarshalXML implements xml.Marshaler.
func (m stringMap) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if err := e.EncodeElement(struct{ Name, Value string }{name, m[name]}, start); err != nil {
			return err
		}
	}
	return nil
}

type attributeMap map[string]Attribute

// MarshalXML implements xml.Marshaler.
func (m attributeMap) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	type value struct {
		Attribute
		BinaryValue string `xml:",omitempty"`
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v := value{Attribute: m[name]}
		if v.binary() {
			text, _ := json.Marshal(v.Attribute.BinaryValue) // base64 in quotes
			v.BinaryValue = strings.Trim(string(text), `"`)
		}
		if err := e.EncodeElement(struct {
			Name  string
			Value value
		}{name, v}, start); err != nil {
			return err
		}
	}
	return nil
}

// MarshalXML implements xml.Marshaler.
func (b batch) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	if err := e.EncodeElement(b.Successful, xml.StartElement{Name: xml.Name{Local: b.name}}); err != nil {
		return err
	}
	if err := e.EncodeElement(b.Failed, xml.StartElement{Name: xml.Name{Local: "BatchResultErrorEntry"}}); err != nil {
		return err
	}
	return e.EncodeToken(start.End())
}

// operations of the API, by name.
var operations = map[string]func(*Service, context.Context, *request) (any, error){
	"CreateQueue": func(s *Service, _ context.Context, r *request) (any, error) {
		q, err := s.Create(r.QueueName, r.Attributes)
		if err != nil {
			return nil, err
		}
		return queueURL{q.URL()}, nil
	},
	"GetQueueUrl": func(s *Service, _ context.Context, r *request) (any, error) {
		q := s.Queue(r.QueueName)
		if q == nil {
			return nil, errNoQueue
		}
		return queueURL{q.URL()}, nil
	},
	"ListQueues": func(s *Service, _ context.Context, r *request) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var urls []string
		for _, name := range slices.Sorted(maps.Keys(s.queues)) {
			if strings.HasPrefix(name, r.QueueNamePrefix) {
				urls = append(urls, s.queues[name].urlLocked())
			}
		}
		return queueURLs{urls}, nil
	},
	"ListDeadLetterSourceQueues": onQueue(func(q *Queue, _ context.Context, _ *request) (any, error) {
		q.service.mu.Lock()
		defer q.service.mu.Unlock()
		urls := []string{}
		for _, source := range q.service.sourcesLocked(q) {
			urls = append(urls, source.urlLocked())
		}
		return sourceURLs{urls}, nil
	}),
	"DeleteQueue": onQueue(func(q *Queue, _ context.Context, _ *request) (any, error) {
		q.service.Delete(q.name)
		return nil, nil
	}),
	"PurgeQueue": onQueue(func(q *Queue, _ context.Context, _ *request) (any, error) {
		q.Purge()
		return nil, nil
	}),
	"GetQueueAttributes": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) {
		return queueAttributes{selected(q.Attributes(), r.AttributeNames)}, nil
	}),
	"SetQueueAttributes": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) { return nil, q.Set(r.Attributes) }),
	"SendMessage":        onQueue(func(q *Queue, _ context.Context, r *request) (any, error) { return q.Send(r.Entry, r.traceHeader) }),
	"SendMessageBatch": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) {
		entries := make([]Entry, len(r.Entries))
		for i, e := range r.Entries {
			entries[i] = e.Entry
		}
		successful, failed, err := q.SendBatch(entries, r.traceHeader)
		if err != nil {
			return nil, err
		}
		return batch{"SendMessageBatchResultEntry", append([]Receipt{}, successful...), append([]Failure{}, failed...)}, nil
	}),
	"ReceiveMessage": onQueue(func(q *Queue, ctx context.Context, r *request) (any, error) { return q.receive(ctx, r) }),
	"DeleteMessage":  onQueue(func(q *Queue, _ context.Context, r *request) (any, error) { return nil, q.Delete(r.ReceiptHandle) }),
	"DeleteMessageBatch": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) {
		return each("DeleteMessageBatchResultEntry", r.Entries, func(e batchEntry) error { return q.Delete(e.ReceiptHandle) })
	}),
	"ChangeMessageVisibility": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) {
		return nil, q.changeVisibility(r.ReceiptHandle, r.VisibilityTimeout)
	}),
	"ChangeMessageVisibilityBatch": onQueue(func(q *Queue, _ context.Context, r *request) (any, error) {
		return each("ChangeMessageVisibilityBatchResultEntry", r.Entries, func(e batchEntry) error { return q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout) })
	}),
	"StartMessageMoveTask": func(s *Service, _ context.Context, r *request) (any, error) {
		q := s.Queue(r.SourceARN)
		if q == nil {
			return nil, &Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the SourceArn parameter doesn't exist."}
		}
		handle, err := q.Redrive(r.DestinationARN)
		if err != nil {
			return nil, err
		}
		return taskHandle{handle}, nil
	},
	"ListMessageMoveTasks": func(s *Service, _ context.Context, r *request) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := []moveResult{}
		for _, task := range slices.Backward(s.moves) {
			if task.source == r.SourceARN {
				list = append(list, moveResult{"COMPLETED", task.source, task.destination, task.moved, task.moved, task.at.UnixMilli()})
			}
		}
		return moveTasks{list}, nil
	},
}

// onQueue returns an operation on the queue that QueueUrl names.
func onQueue(do func(*Queue, context.Context, *request) (any, error)) func(*Service, context.Context, *request) (any, error) {
	return func(s *Service, ctx context.Context, r *request) (any, error) {
		if r.QueueURL == "" {
			return nil, missing("QueueUrl")
		}
		q := s.Queue(r.QueueURL)
		if q == nil {
			return nil, errNoQueue
		}
		return do(q, ctx, r)
	}
}

// each applies do to the entries of a batch, each of which may fail on its own.
func each(name string, entries []batchEntry, do func(batchEntry) error) (any, error) {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	successful, failed := []done{}, []Failure{}
	for _, e := range entries {
		if err := do(e); err != nil {
			failed = append(failed, failure(e.ID, asError(err)))
			continue
		}
		successful = append(successful, done{e.ID})
	}
	return batch{name, successful, failed}, nil
}

func (q *Queue) changeVisibility(handle string, seconds *int) error {
	if seconds == nil {
		return missing("VisibilityTimeout")
	}
	return q.ChangeVisibility(handle, time.Duration(*seconds)*time.Second)
}

func (q *Queue) receive(ctx context.Context, r *request) (any, error) {
	ask := Receive{Attributes: append(r.AttributeNames, r.MessageSystemAttributeNames...), Messages: r.MessageAttributeNames}
	if n := r.MaxNumberOfMessages; n != nil {
		if ask.Max = *n; *n < 1 || *n > 10 {
			return nil, invalidValue("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", *n)
		}
	}
	if n := r.WaitTimeSeconds; n != nil {
		if ask.Wait, ask.noWait = time.Duration(*n)*time.Second, *n == 0; *n < 0 || *n > 20 {
			return nil, invalidValue("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", *n)
		}
	}
	if n := r.VisibilityTimeout; n != nil {
		d := time.Duration(*n) * time.Second
		if ask.Visibility = &d; *n < 0 || *n > 43200 {
			return nil, invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, if provided.", *n)
		}
	}
	list, err := q.Receive(ctx, ask)
	return messages{list}, err
}
