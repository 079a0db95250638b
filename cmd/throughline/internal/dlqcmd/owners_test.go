package dlqcmd

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
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

// TestDev reads the queues of an application of throughline dev, by its folder, and says
// which one is missing.
func TestDev(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	s.readers["arn:aws:sqs:us-east-1:123456789012:trades"] = "worker"
	s.letter(q, `{"event_id":"trade-1"}`)
	dir := t.TempDir()
	file := filepath.Join(dir, devfolder.ApplicationFile)
	run := func(args ...string) (string, int) {
		return spanstoretest.Run(t, newDLQ(options{configure: config.LoadDefaultConfig, now: time.Now}), args...)
	}
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "") // dev needs no account
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
	for _, text := range []string{"", fmt.Sprintf(`{"page":%q}`, s.url), `{"page":"http://127.0.0.1:1","endpoint":"http://127.0.0.1:1"}`} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, code := run("failed", "--dev="+dir); code != terminal.CouldNot || !strings.Contains(out, "no application of throughline dev runs there") {
			t.Errorf("%q: %d %s", text, code, out)
		}
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"page":%[1]q,"endpoint":%[1]q}`, s.url), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := run("failed", "--dev="+dir); code != terminal.Found || !strings.Contains(out, "received too often, function worker") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run("show", "failed", "--dev="+dir); code != 0 || !strings.Contains(out, "back to      queue trades") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run("redrive", "failed", "--all", "--yes", "--dev="+dir, "--journal", s.file("j")); code != 0 || len(s.all("trades")) != 1 {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run("nowhere", "--dev="+dir); code != terminal.CouldNot || !strings.Contains(out, "there is no queue nowhere at "+s.url) {
		t.Errorf("%d %s", code, out)
	}
}
