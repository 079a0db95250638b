package dlqcmd

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// TestWithoutRights holds that what the account refuses to say is noted, and not more.
func TestWithoutRights(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	s.letter(q, `{"event_id":"trade-1"}`)
	s.refuse = func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/2015-03-31/") || strings.HasSuffix(r.Header.Get("X-Amz-Target"), "ListDeadLetterSourceQueues")
	}
	out, code := s.run("failed")
	if code != terminal.Found || !strings.Contains(out, "note: which queues use the dead-letter queue failed is not known: AccessDenied") || !strings.Contains(out, "unknown") {
		t.Errorf("%d %s", code, out)
	}
}

// TestUnknownOwners holds that messages are shown, and visible afterwards, if Lambda and SNS
// do not answer, and that each is asked once. A part of an answer is no answer.
func TestUnknownOwners(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		asked  int
		says   string
	}{
		"NotAWS": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 2, "deserialization failed"},
		"Part": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("Marker") != "" {
				w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = io.WriteString(w, `{"NextMarker":"2","Functions":[{"FunctionName":"fulfil","DeadLetterConfig":{"TargetArn":"arn:aws:sqs:us-east-1:123456789012:failed"}}],"EventSourceMappings":[{"FunctionArn":"`+fulfil+`"}]}`)
		}, 4, "is not known: AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			q := s.queue("failed", "trades")
			for i := range 3 {
				s.letter(q, fmt.Sprintf(`{"event_id":"trade-%d"}`, i))
				s.letter(q, event(fmt.Sprint("order-", i), "OrderPlaced"), "RequestID", "r", "ErrorCode", "200", "ErrorMessage", "no stock")
				s.letter(q, `{"Type":"Notification","MessageId":"n","TopicArn":"arn:aws:sns:us-east-1:123456789012:t","Message":"{}","Timestamp":"2026-11-23T10:00:00.000Z"}`)
			}
			var asked atomic.Int32
			s.other = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Amz-Target") != "" {
					return false
				}
				asked.Add(1)
				c.answer(w, r)
				return true
			}
			out, code := s.run("failed")
			if code != terminal.Found || !strings.Contains(out, "9 read") || strings.Contains(out, "function fulfil") || !strings.Contains(out, c.says) || strings.Count(out, "note: ") > 3 {
				t.Errorf("%d %s", code, out)
			}
			if n := int(asked.Load()); n > 2*c.asked {
				t.Errorf("asked %d times", n)
			}
			if out, code := s.run("show", "failed", "trade-1"); code != 0 || !strings.Contains(out, "failed by    queue trades") {
				t.Errorf("%d %s", code, out)
			}
			if visible, hidden, _ := q.Count(); visible != 9 || hidden != 0 {
				t.Errorf("%d visible, %d hidden when it ended", visible, hidden)
			}
		})
	}
}
