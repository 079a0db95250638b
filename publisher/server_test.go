package publisher

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/peertest"
)

// wireEntry is an entry as it reached the server.
type wireEntry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
	Time                                     *json.Number
}

func (e wireEntry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, r := range e.Resources {
		n += len(r)
	}
	if e.Time != nil {
		n += 14
	}
	return n
}

func (e wireEntry) line(name string) string {
	for _, r := range e.Resources {
		if value, ok := strings.CutPrefix(r, name+":"); ok {
			return value
		}
	}
	return ""
}

// server stands in for EventBridge.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests [][]wireEntry
	headers  []http.Header
	code     func(e wireEntry) string  // of an entry; empty is success
	fault    func(n int) (code string) // of the n-th request, from 1; empty is none
	status   int                       // of a fault; 0 is 400
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Entries []wireEntry }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &request)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, request.Entries)
		s.headers = append(s.headers, r.Header.Clone())
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if s.fault != nil {
			if code := s.fault(len(s.requests)); code != "" {
				w.WriteHeader(max(s.status, http.StatusBadRequest))
				_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "on purpose"})
				return
			}
		}
		answer := struct {
			FailedEntryCount int
			Entries          []map[string]string
		}{}
		for i, e := range request.Entries {
			if s.code != nil && s.code(e) != "" {
				answer.FailedEntryCount++
				answer.Entries = append(answer.Entries, map[string]string{"ErrorCode": s.code(e), "ErrorMessage": "on purpose"})
				continue
			}
			answer.Entries = append(answer.Entries, map[string]string{"EventId": fmt.Sprintf("id-%d-%s-%d", len(s.requests), e.DetailType, i)})
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) entries() (all []wireEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		all = append(all, r...)
	}
	return all
}

func (s *server) client() *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		Credentials: peertest.Credentials("AKIALOCAL", "local", ""),
	})
}

func entry(eventType, detail string, resources ...string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		Source: aws.String("alchemiser.strategy"), DetailType: aws.String(eventType), Detail: aws.String(detail),
		EventBusName: aws.String("trading"), Resources: resources,
	}
}

const spaced = `{"b": 1.50, "event_id": "signal-1",  "correlation_id": "workflow-1", "big": 12345678901234567890, "ü": "\u2713"}`
