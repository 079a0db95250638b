package redrive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
)

const queueARN = "arn:aws:sqs:us-east-1:1:failed"

// memory is a queue and a sender in memory.
type memory struct {
	letters  []deadletter.Letter
	hidden   map[string]bool
	others   int // hidden by others
	sent     []Item
	answer   func(Item) Result // nil: accepted
	deletion error
	released int
}

func newMemory(n int) *memory {
	m := &memory{hidden: map[string]bool{}}
	for i := range n {
		m.letters = append(m.letters, deadletter.Read(deadletter.Message{ID: fmt.Sprint("m", i), Body: fmt.Sprintf(`{"event_id":"e%d"}`, i), System: map[string]string{"DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:1:trades"}}))
	}
	return m
}

func (m *memory) Receive(_ context.Context, most int) ([]deadletter.Letter, error) {
	var got []deadletter.Letter
	for _, l := range m.letters {
		if !m.hidden[l.ID] && len(got) < most {
			m.hidden[l.ID] = true
			got = append(got, l)
		}
	}
	return got, nil
}

func (m *memory) Delete(_ context.Context, letters []deadletter.Letter) ([]deadletter.Letter, error) {
	if m.deletion != nil {
		return nil, m.deletion
	}
	for _, l := range letters {
		m.letters = slices.DeleteFunc(m.letters, func(o deadletter.Letter) bool { return o.ID == l.ID })
	}
	return letters, nil
}

func (m *memory) Release(_ context.Context, letters []deadletter.Letter) error {
	m.released += len(letters)
	for _, l := range letters {
		delete(m.hidden, l.ID)
	}
	return nil
}

func (m *memory) Hidden(context.Context) (int, error) { return len(m.hidden) + m.others, nil }

func (m *memory) Send(_ context.Context, items []Item) []Result {
	var results []Result
	for _, item := range items {
		r := Result{ID: "copy of " + item.Letter.ID}
		if m.answer != nil {
			r = m.answer(item)
		}
		if r.Err == nil || r.Unsure {
			m.sent = append(m.sent, item)
		}
		results = append(results, r)
	}
	return results
}

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path, queueARN, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// buffer is a file that never fails.
type buffer struct{ bytes.Buffer }

func (*buffer) Sync() error { return nil }

func TestRun(t *testing.T) {
	m, path, keep := newMemory(25), filepath.Join(t.TempDir(), "j"), &buffer{}
	told := 0
	report, err := Run(t.Context(), m, m, open(t, path), Options{Hide: time.Second, Keep: keep, Progress: func(Report) { told++ }})
	if err != nil || report.Sent != 25 || report.Deleted != 25 || report.To["queue trades"] != 25 || len(m.letters) != 0 || told != 3 || strings.Count(keep.String(), "\n") != 25 {
		t.Errorf("%+v %v, told %d", report, err, told)
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), `"do":"sent"`) != 25 || strings.Count(string(data), `"do":"sending"`) != 3 || !strings.Contains(string(data), `"message":"m7","event":"e7","to":"queue trades","copy":"copy of m7"`) {
		t.Errorf("%v\n%s", err, data)
	}
}

// TestTakenUp holds what a run does after one that ended between the steps of a batch.
func TestTakenUp(t *testing.T) {
	m, path := newMemory(3), filepath.Join(t.TempDir(), "j")
	m.deletion = errors.New("the queue is away")
	if _, err := Run(t.Context(), m, m, open(t, path), Options{Hide: time.Second, Most: 1}); err == nil {
		t.Error("a queue that deletes nothing goes unseen")
	}
	j := open(t, path)
	if err := j.write(Line{Do: "sending", Messages: []string{"m1"}}); err != nil { // and no more is known
		t.Fatal(err)
	}
	m.deletion, m.hidden = nil, map[string]bool{}
	again := open(t, path)
	if again.Doubt() != 1 || !again.Sent("m0") || again.Sent("m1") {
		t.Errorf("%+v", again)
	}
	report, err := Run(t.Context(), m, m, again, Options{Hide: time.Second})
	if err != nil || report.Earlier != 1 || report.Again != 1 || report.Sent != 2 || report.Deleted != 3 || len(m.sent) != 3 || len(m.letters) != 0 {
		t.Errorf("%+v %v", report, err)
	}
}

func TestWhatIsNotAccepted(t *testing.T) {
	m := newMemory(40)
	m.answer = func(item Item) Result {
		switch item.Letter.ID {
		case "m3":
			return Result{Err: errors.New("too large")}
		case "m4":
			return Result{Err: errors.New("no answer"), Unsure: true}
		}
		return Result{}
	}
	path := filepath.Join(t.TempDir(), "j")
	report, err := Run(t.Context(), m, m, open(t, path), Options{Hide: time.Second})
	if err != nil || report.Sent != 38 || len(report.Failed) != 2 || report.Failed[0] != (Failure{"m3", "e3", "too large"}) || len(m.letters) != 2 || m.released != 2 {
		t.Errorf("%+v %v", report, err)
	}
	if j := open(t, path); j.Doubt() != 1 || !j.doubt["m4"] {
		t.Errorf("%+v", j)
	}
	m = newMemory(40)
	m.answer = func(Item) Result { return Result{Err: errors.New("AccessDenied")} }
	if report, err := Run(t.Context(), m, m, open(t, filepath.Join(t.TempDir(), "j")), Options{Hide: time.Second}); err != nil || report.Ended != "30 messages in a row were not accepted" || len(m.letters) != 40 || m.released != 30 {
		t.Errorf("%+v %v", report, err)
	}
}

func TestBounds(t *testing.T) {
	m := newMemory(25)
	report, err := Run(t.Context(), m, m, open(t, filepath.Join(t.TempDir(), "j")), Options{Hide: time.Second, Most: 12, Select: func(l *deadletter.Letter) bool { return l.ID != "m0" }})
	if err != nil || report.Sent != 12 || report.Left != 1 || len(m.letters) != 13 || m.hidden["m0"] {
		t.Errorf("%+v %v", report, err)
	}
	// At two a second no more are received than are sent while they are hidden.
	r := run{Options: Options{Rate: 2, Hide: 4 * time.Second}}
	if r.batch() != 4 {
		t.Errorf("batches of %d", r.batch())
	}
	ctx, cancel := context.WithCancel(t.Context())
	m = newMemory(25)
	m.answer = func(Item) Result { cancel(); return Result{} }
	report, err = Run(ctx, m, m, open(t, filepath.Join(t.TempDir(), "j")), Options{Hide: time.Second})
	if err != nil || report.Sent != 10 || report.Deleted != 10 || report.Ended != "the run was interrupted" {
		t.Errorf("%+v %v", report, err)
	}
	// What others hide is waited for as long as it may be hidden by a run that was killed.
	m = newMemory(0)
	m.others = 2
	if report, err := Run(t.Context(), m, m, open(t, filepath.Join(t.TempDir(), "j")), Options{Hide: time.Millisecond}); err != nil || report.Held != 2 {
		t.Errorf("%+v %v", report, err)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	whole := `{"at":"2026-11-23T10:00:00Z","queue":"` + queueARN + `","do":"sent","message":"m1"}` + "\n"
	for name, c := range map[string]struct {
		data string
		sent []string
		ok   bool
	}{
		"None":    {"", nil, true},
		"Whole":   {whole, []string{"m1"}, true},
		"Torn":    {whole + `{"at":"2026-11-23T10:00:00Z","que`, []string{"m1"}, true},
		"Mended":  {whole + `{"at":"2026-11-2` + "\n" + strings.Replace(whole, "m1", "m2", 1), []string{"m1"}, false},
		"Another": {strings.Replace(whole, "failed", "other", 1), nil, true},
		"Alien":   {"Resources: {}\n", nil, false},
		"NoLine":  {"a letter to grandmother", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := Open(path, queueARN, time.Now)
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if err != nil {
				if left, err := os.ReadFile(path); err != nil || string(left) != c.data {
					t.Errorf("%v: the file is now %q", err, left)
				}
				return
			}
			defer j.Close()
			for _, id := range c.sent {
				if !j.Sent(id) {
					t.Errorf("%s is not known to be sent", id)
				}
			}
			// What is written after a torn line can be read.
			if err := j.write(Line{Do: "sent", Message: "m9"}); err != nil {
				t.Fatal(err)
			}
			again, err := Open(path, queueARN, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if !again.Sent("m9") {
				t.Error("what was written after is lost")
			}
		})
	}
}

func TestParseDestination(t *testing.T) {
	for text, want := range map[string]string{"": " ", "bus": "bus ", "bus:orders": "bus orders", "queue:work": "queue work", "function:f": "function f", "topic:arn:aws:sns:r:1:t": "topic t"} {
		d, err := ParseDestination(text)
		if err != nil || d.String() != want {
			t.Errorf("%q: %q %v", text, d, err)
		}
	}
	for _, text := range []string{"moon", "queue", "queue:", ":x", "stream:s"} {
		if _, err := ParseDestination(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestPlan holds why messages cannot be sent, and what is said to do.
func TestPlan(t *testing.T) {
	event := []byte(`{"source":"shop","detail-type":"Placed","detail":{"a":1},"time":"2026-11-23T10:00:00Z"}`)
	for name, c := range map[string]struct {
		letter deadletter.Letter
		to     string
		want   string // the destination, or what the error says
	}{
		"Unknown":     {deadletter.Letter{Kind: deadletter.Unknown, Payload: event}, "", "give --to queue:NAME"},
		"UnknownTo":   {deadletter.Letter{Kind: deadletter.Unknown, Payload: event}, "queue:work", "queue work"},
		"Empty":       {deadletter.Letter{Kind: deadletter.OfQueue, Queue: "q"}, "", "the message is empty"},
		"Stream":      {deadletter.Letter{Kind: deadletter.OfStream, Payload: event}, "queue:work", "read them again from the stream"},
		"NoFunction":  {deadletter.Letter{Kind: deadletter.OfFunction, Payload: event}, "", "give --to function:NAME"},
		"NoEndpoint":  {deadletter.Letter{Kind: deadletter.OfTopic, Payload: event}, "", "its subscription is not known"},
		"RuleToBus":   {deadletter.Letter{Kind: deadletter.OfRule, Rule: "arn:aws:events:r:1:rule/orders/x", Target: "arn:aws:events:r:1:event-bus/other", Payload: event}, "", "bus other"},
		"BusOfRule":   {deadletter.Letter{Kind: deadletter.OfRule, Rule: "arn:aws:events:r:1:rule/orders/x", Payload: event}, "bus", "bus orders"},
		"DefaultBus":  {deadletter.Letter{Kind: deadletter.OfRule, Rule: "arn:aws:events:r:1:rule/x", Payload: event}, "bus", "bus default"},
		"NoRule":      {deadletter.Letter{Kind: deadletter.OfQueue, Payload: event}, "bus", "give --to bus:NAME"},
		"NoEvent":     {deadletter.Letter{Kind: deadletter.OfQueue, Payload: []byte(`{}`)}, "bus:orders", "it is not an EventBridge event"},
		"OfAWS":       {deadletter.Letter{Kind: deadletter.OfQueue, Payload: []byte(`{"source":"aws.s3","detail-type":"x","detail":{}}`)}, "bus:orders", "only AWS can publish"},
		"ToATopic":    {deadletter.Letter{Kind: deadletter.OfRule, Target: "arn:aws:sns:r:1:alerts", Payload: event}, "", "topic alerts"},
		"Destination": {deadletter.Letter{Kind: deadletter.OfRule, Target: "arn:aws:events:r:1:api-destination/x", Payload: event}, "", "give --to bus"},
	} {
		to, err := ParseDestination(c.to)
		if err != nil {
			t.Fatal(err)
		}
		item, err := Plan(c.letter, to)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		} else if item.To.String() != c.want {
			t.Errorf("%s: %s", name, item.To)
		}
	}
}
