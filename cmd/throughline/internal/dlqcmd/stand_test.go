package dlqcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// TestMain makes the test binary the command itself where a test starts it as a process.
func TestMain(m *testing.M) {
	if args := os.Getenv("THROUGHLINE_TEST_DLQ"); args != "" {
		var list []string
		if err := json.Unmarshal([]byte(args), &list); err != nil {
			panic(err)
		}
		cmd := New(config.LoadDefaultConfig, time.Now)
		cmd.SetArgs(list)
		os.Exit(terminal.Code(cmd.ExecuteContext(context.Background())))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), goleak.IgnoreTopFunction("os/exec.(*Cmd).watchCtx.func1"))
}

// invocation is what a function was handed.
type invocation struct{ function, kind, header, payload string }

// stand is an account of local services behind one endpoint.
type stand struct {
	t      *testing.T
	url    string
	queues *sqslocal.Service
	topics *snslocal.Service
	bus    *buslocal.Bus
	fresh  *eventsv2local.Service     // the new custom buses
	refuse func(r *http.Request) bool // a request that is refused with 403
	// other answers a request itself, if it returns true.
	other func(w http.ResponseWriter, r *http.Request) bool
	taken func() // called once a batch was taken, before that is answered

	mu      sync.Mutex
	invoked []invocation
	// What Lambda lists: functions with a queue for dead letters, and readers of queues.
	buries, readers map[string]string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, queues: sqslocal.New(sqslocal.Options{}), bus: buslocal.New(buslocal.Options{Buses: []string{"orders"}}), fresh: eventsv2local.New(eventsv2local.Options{RetryDelay: time.Millisecond}), buries: map[string]string{}, readers: map[string]string{}}
	s.topics = snslocal.New(snslocal.Options{Queues: s.queues})
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.Close(); s.queues.Close(); s.topics.Close(); s.bus.Close(); s.fresh.Close() })
	s.url = server.URL
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	return s
}

func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case s.other != nil && s.other(w, r):
	case s.refuse != nil && s.refuse(r):
		w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"not authorized"}`)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/"):
		s.serveLambda(w, r)
	case strings.HasPrefix(r.URL.Path, "/service/AWSEventsV2/"):
		s.fresh.ServeHTTP(w, r)
	case strings.HasPrefix(target, "AWSEvents."):
		s.bus.ServeHTTP(w, r)
	case target == "":
		s.topics.ServeHTTP(w, r)
	case strings.HasSuffix(target, ".SendMessageBatch"):
		answer := httptest.NewRecorder()
		s.queues.ServeHTTP(answer, r)
		s.mu.Lock()
		taken := s.taken
		s.mu.Unlock()
		if taken != nil {
			taken()
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	default:
		s.queues.ServeHTTP(w, r)
	}
}

func (s *stand) serveLambda(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-Amzn-RequestId", fmt.Sprintf("request-%d", len(s.invoked)+1))
	switch path := strings.TrimPrefix(r.URL.Path, "/2015-03-31/"); {
	case strings.HasSuffix(path, "/invocations"):
		body, _ := io.ReadAll(r.Body)
		s.invoked = append(s.invoked, invocation{strings.TrimSuffix(strings.TrimPrefix(path, "functions/"), "/invocations"), r.Header.Get("X-Amz-Invocation-Type"), r.Header.Get("X-Amzn-Trace-Id"), string(body)})
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(path, "functions"):
		list := []any{}
		for name, queue := range s.buries {
			list = append(list, map[string]any{"FunctionName": name, "DeadLetterConfig": map[string]any{"TargetArn": queue}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Functions": list})
	default:
		list := []any{}
		if of := s.readers[r.URL.Query().Get("EventSourceArn")]; of != "" {
			list = append(list, map[string]any{"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:" + of})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"EventSourceMappings": list})
	}
}

// queue makes a queue, and with of one that is buried in it.
func (s *stand) queue(name, of string) *sqslocal.Queue {
	s.t.Helper()
	attributes := map[string]string{}
	if strings.HasSuffix(name, ".fifo") {
		attributes["FifoQueue"] = "true"
	}
	q, err := s.queues.Create(name, attributes)
	if err != nil {
		s.t.Fatal(err)
	}
	if of != "" {
		more := map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, q.ARN())}
		if strings.HasSuffix(of, ".fifo") {
			more["FifoQueue"] = "true"
		}
		if _, err := s.queues.Create(of, more); err != nil {
			s.t.Fatal(err)
		}
	}
	return q
}

const header = "Root=1-6b0cf0d4-8b174f2a87e3f9ab459536d0;Parent=9f8a6988371318cd;Sampled=1"

// letter puts a message into a queue; pairs are its attributes.
func (s *stand) letter(q *sqslocal.Queue, body string, pairs ...string) string {
	s.t.Helper()
	e := sqslocal.Entry{MessageBody: body, MessageAttributes: map[string]sqslocal.Attribute{}}
	for i := 0; i < len(pairs); i += 2 {
		a := sqslocal.String(pairs[i+1])
		if pairs[i] == "ErrorCode" {
			a.DataType = "Number"
		}
		e.MessageAttributes[pairs[i]] = a
	}
	if strings.HasSuffix(q.Name(), ".fifo") {
		e.MessageGroupID, e.MessageDeduplicationID = "g", fmt.Sprint("d", time.Now().UnixNano())
	}
	receipt, err := q.Send(e, header)
	if err != nil {
		s.t.Fatal(err)
	}
	return receipt.MessageID
}

// all is what is in a queue.
func (s *stand) all(name string) []sqslocal.Message {
	s.t.Helper()
	var list []sqslocal.Message
	q, hour := s.queues.Queue(name), time.Hour
	for {
		got, err := q.Receive(s.t.Context(), sqslocal.Receive{Max: 10, Visibility: &hour, Attributes: []string{"All"}, Messages: []string{"All"}})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(got) == 0 {
			return list
		}
		list = append(list, got...)
		for _, m := range got {
			if err := q.Delete(m.ReceiptHandle); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func (s *stand) run(args ...string) (string, int) {
	s.t.Helper()
	return spanstoretest.Run(s.t, newDLQ(options{configure: config.LoadDefaultConfig, now: time.Now}), append(args, "--endpoint-url", s.url)...)
}

func (s *stand) file(name string) string { return filepath.Join(s.t.TempDir(), name) }

// event is an event of a type, whose own ID is id.
func event(id, eventType string) string {
	return fmt.Sprintf(`{"version":"0","id":"env-%s","detail-type":%q,"source":"shop","account":"1","time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":["correlation:flow-1"],"detail":{"event_id":%q,"correlation_id":"flow-1","n":12345678901234567890}}`, id, eventType, id)
}
