package snslocal_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"

// TestFanOut publishes to five queues and a function.
func TestFanOut(t *testing.T) {
	queues := sqslocal.New(sqslocal.Options{})
	t.Cleanup(queues.Close)
	var event, trace string
	s := snslocal.New(snslocal.Options{Queues: queues, Function: func(_ string, e []byte, h string) (string, error) {
		event, trace = string(e), h
		return "r-1", nil
	}})
	topic, err := s.Create("topic", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		q, err := queues.Create(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Subscribe(topic, "sqs", q.ARN(), nil); err != nil {
			t.Fatal(err)
		}
	}
	function := "arn:aws:lambda:us-east-1:123456789012:function:f"
	if _, err := s.Subscribe(topic, "lambda", function, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subscribe(topic, "lambda", function+"2", map[string]string{"RawMessageDelivery": "true"}); err == nil {
		t.Error("a function was subscribed raw")
	}
	id, err := s.Publish(topic, snslocal.Message{Message: "hello"}, header)
	if err != nil {
		t.Fatal(err)
	}
	sent := queues.Ledger().Sent
	if len(sent) != 5 {
		t.Fatalf("%d messages", len(sent))
	}
	for i, m := range sent {
		if m.TraceHeader != header || !strings.Contains(m.Body, id) || s.Ledger()[i].ID != m.MessageID {
			t.Errorf("%+v", m)
		}
	}
	if trace != header || !strings.Contains(event, `"MessageId":"`+id+`"`) || !strings.Contains(event, `"Subject":null`) {
		t.Errorf("the function got %s, %s", trace, event)
	}
}

// FuzzRequests sends bodies: every one is answered.
func FuzzRequests(f *testing.F) {
	for _, body := range []string{
		"Action=CreateTopic&Name=t&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true",
		"Action=Publish&TopicArn=arn:aws:sns:us-east-1:123456789012:t&Message=x&MessageAttributes.entry.1.Name=a&MessageAttributes.entry.1.Value.DataType=Binary&MessageAttributes.entry.1.Value.BinaryValue=AA==",
		"Action=PublishBatch&TopicArn=arn:aws:sns:us-east-1:123456789012:t&PublishBatchRequestEntries.member.1.Id=a&PublishBatchRequestEntries.member.1.Message=x",
		"Action=Subscribe&TopicArn=arn:aws:sns:us-east-1:123456789012:t&Protocol=sqs&Endpoint=arn:x:q&Attributes.entry.1.key=FilterPolicy&Attributes.entry.1.value={\"a\":[\"b\"]}", "%",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := snslocal.New(snslocal.Options{})
		if _, err := s.Create("t", nil); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
