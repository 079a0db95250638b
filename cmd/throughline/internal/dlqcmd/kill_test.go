package dlqcmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/repeatscmd"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/local/sqslocal"
)

// redriveProcess starts the command as a process of its own.
func (s *stand) redriveProcess(journal string, out *bytes.Buffer) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	args, _ := json.Marshal([]string{"redrive", "failed", "--all", "--yes", "--rate", "0", "--hide", "2s", "--journal", journal, "--endpoint-url", s.url})
	cmd := exec.CommandContext(s.t.Context(), self)
	cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_DLQ="+string(args), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd
}

// TestKilledRedrivesLoseNothing kills redrives at random points and takes them up again:
// 5 000 messages and twenty kills with THROUGHLINE_SOAK=1, fewer without.
func TestKilledRedrivesLoseNothing(t *testing.T) {
	messages, kills := 600, 4
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		messages, kills = 5000, 20
	}
	s := newStand(t)
	q := s.queue("failed", "trades")
	want := map[string]bool{}
	for i := range messages {
		id := fmt.Sprint("trade-", i)
		want[id] = true
		body := fmt.Sprintf(`{"event_id":%q,"event_type":"Trade","correlation_id":"flow-1","n":%d}`, id, i)
		if i%2 == 1 { // as a rule's queue has them
			body = event(id, "TradePlaced")
		}
		s.letter(q, body)
	}
	journal := filepath.Join(t.TempDir(), "journal.jsonl")
	trades := s.queues.Queue("trades")
	for killed := range kills {
		// Somewhere in the next part of what is left: each third time between a batch that was
		// taken and its answer, and otherwise anywhere in the work on one.
		left := messages - count(trades)
		if left <= batch {
			break
		}
		at := count(trades) + 1 + rand.IntN(max(1, left/(kills-killed)))
		reached := make(chan struct{}, 1)
		inside := killed%3 == 0
		var out bytes.Buffer
		cmd := s.redriveProcess(journal, &out)
		kill := func() { _ = cmd.Process.Signal(syscall.SIGKILL) } // it may have ended
		s.setTaken(func() {
			if count(trades) < at {
				return
			}
			if inside {
				kill()
			}
			select {
			case reached <- struct{}{}:
			default:
			}
		})
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if cmd.ProcessState.ExitCode() >= 0 {
				t.Fatalf("it ended by itself: %v\n%s", err, out.String())
			}
			continue // it was killed inside
		case <-reached:
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		kill()
		<-ended
	}
	s.setTaken(nil)
	var out bytes.Buffer
	if err := s.redriveProcess(journal, &out).Wait(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, out.String())
	}
	if visible, hidden, _ := q.Count(); visible+hidden != 0 {
		t.Errorf("%d messages visible and %d hidden are left\n%s", visible, hidden, out.String())
	}
	copies := s.all("trades")
	seen := map[string]int{}
	for _, m := range copies {
		seen[idOf(m)]++
	}
	for id := range want {
		if seen[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	duplicates := len(copies) - len(seen)
	if len(seen) != messages || duplicates > kills*batch {
		t.Errorf("%d messages, %d of them twice, after %d kills", len(seen), duplicates, kills)
	}
	if duplicates == 0 {
		t.Error("no kill came between a copy and its journal: the test shows nothing")
	}
	t.Logf("%d messages, %d kills, %d duplicates", messages, kills, duplicates)
	s.repeats(copies, duplicates)
}

func (s *stand) setTaken(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = f
}

func count(q *sqslocal.Queue) int {
	visible, hidden, delayed := q.Count()
	return visible + hidden + delayed
}

func idOf(m sqslocal.Message) string {
	var body struct {
		ID     string `json:"event_id"`
		Detail struct {
			ID string `json:"event_id"`
		} `json:"detail"`
	}
	_ = json.Unmarshal([]byte(m.Body), &body) // the test wrote it
	return body.ID + body.Detail.ID
}

// repeats holds that throughline repeats tells the copies, as a function got them, as what
// they are: bare messages twice under two message IDs, and events twice in one envelope.
func (s *stand) repeats(copies []sqslocal.Message, duplicates int) {
	s.t.Helper()
	var delivered strings.Builder
	for _, m := range copies {
		line, err := json.Marshal(map[string]any{"Records": []any{map[string]any{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:trades", "messageId": m.MessageID, "body": m.Body,
			"attributes": map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": m.Attributes["SentTimestamp"]}}}})
		if err != nil {
			s.t.Fatal(err)
		}
		delivered.Write(append(line, '\n'))
	}
	report, err := repeatscmd.Read(strings.NewReader(delivered.String()), nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	told := 0
	for _, e := range report.Events {
		for _, again := range e.Repeats {
			told++
			if want := map[bool]dedupe.Kind{true: dedupe.Republish, false: dedupe.Redelivery}[e.EventType == "Trade"]; again.Kind != want {
				s.t.Errorf("%s is told as a %s", e.EventID, again.Kind)
			}
		}
	}
	if told != duplicates || report.Delivered != len(copies) {
		s.t.Errorf("repeats tells %d of %d duplicates, of %d messages delivered", told, duplicates, report.Delivered)
	}
}
