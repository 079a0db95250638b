package sqslocal_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/sqslocal"
)

// FuzzRequests sends bodies of both protocols: every one is answered, and what
// is taken can be received.
func FuzzRequests(f *testing.F) {
	for _, body := range []string{
		`{"QueueUrl":"http://x/1/q","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AAEC"}}}`,
		`{"QueueUrl":"q","Entries":[{"Id":"a","MessageBody":"x"}]}`, `{"QueueName":"q","Attributes":{"RedrivePolicy":"{}"}}`,
		"Action=SendMessage&QueueUrl=q&MessageBody=x&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=b",
		"Action=SendMessageBatch&QueueUrl=q&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x",
		"Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=1", "A.B.C.D=%",
	} {
		f.Add("SendMessage", body, header)
		f.Add("", body, "")
	}
	f.Fuzz(func(t *testing.T, target, body, trace string) {
		if target == "ReceiveMessage" || strings.Contains(body, "ReceiveMessage") {
			return // may wait for 20 s, as it should
		}
		s := sqslocal.New(sqslocal.Options{})
		defer s.Close()
		q, err := s.Create("q", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		if target != "" {
			r.Header.Set("X-Amz-Target", "AmazonSQS."+target)
		}
		r.Header.Set("X-Amzn-Trace-Id", trace)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		visible, _, _ := q.Count()
		if got, err := q.Receive(t.Context(), sqslocal.Receive{Max: 10}); err != nil && s.Queue("q") != nil || len(got) != min(10, visible) && s.Queue("q") == q {
			t.Fatalf("%d visible, received %v, %v", visible, got, err)
		}
	})
}
