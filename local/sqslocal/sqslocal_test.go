package sqslocal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/sqslocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a service on a clock that stands still.
func scene(t *testing.T) (*sqslocal.Service, *clock.Clock) {
	t.Helper()
	c := clock.New(time.Date(2026, 2, 13, 20, 45, 0, 0, time.UTC), 0)
	s := sqslocal.New(sqslocal.Options{Clock: c})
	t.Cleanup(s.Close)
	return s, c
}

func create(t *testing.T, s *sqslocal.Service, name string, attributes map[string]string) *sqslocal.Queue {
	t.Helper()
	q, err := s.Create(name, attributes)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func send(t *testing.T, q *sqslocal.Queue, e sqslocal.Entry) string {
	t.Helper()
	receipt, err := q.Send(e, "")
	if err != nil {
		t.Fatal(err)
	}
	return receipt.MessageID
}

func receive(t *testing.T, q *sqslocal.Queue, most int) []sqslocal.Message {
	t.Helper()
	list, err := q.Receive(t.Context(), sqslocal.Receive{Max: most, Attributes: []string{"All"}, Messages: []string{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func bodies(list []sqslocal.Message) string {
	var all []string
	for _, m := range list {
		all = append(all, m.Body)
	}
	return strings.Join(all, " ")
}

func TestVisibility(t *testing.T) {
	s, c := scene(t)
	q := create(t, s, "q", nil)
	send(t, q, sqslocal.Entry{MessageBody: "a"})
	first := receive(t, q, 1)[0]
	if got := receive(t, q, 1); len(got) != 0 {
		t.Fatalf("a message in flight was received: %v", got)
	}
	c.Advance(30 * time.Second)
	again := receive(t, q, 1)[0]
	if again.MessageID != first.MessageID || again.Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("%+v", again)
	}
	if err := q.Delete(first.ReceiptHandle); err != nil { // an old handle deletes nothing
		t.Error(err)
	}
	if err := q.ChangeVisibility(again.ReceiptHandle, 0); err != nil {
		t.Error(err)
	}
	third := receive(t, q, 1)
	if len(third) != 1 {
		t.Fatal("what was given back is gone")
	}
	if err := q.Delete(third[0].ReceiptHandle); err != nil {
		t.Error(err)
	}
	c.Advance(time.Hour)
	if got := receive(t, q, 1); len(got) != 0 {
		t.Errorf("deleted, and received: %v", got)
	}
}

func TestDelay(t *testing.T) {
	s, c := scene(t)
	q, seconds := create(t, s, "q", nil), 5
	send(t, q, sqslocal.Entry{MessageBody: "later", DelaySeconds: &seconds})
	if _, _, delayed := q.Count(); delayed != 1 || len(receive(t, q, 1)) != 0 {
		t.Error("not delayed")
	}
	c.Advance(5 * time.Second)
	if got := bodies(receive(t, q, 1)); got != "later" {
		t.Errorf("received %q", got)
	}
}

func TestLongPoll(t *testing.T) {
	s, c := scene(t)
	q := create(t, s, "q", nil)
	got := make(chan string)
	poll := func() {
		list, err := q.Receive(t.Context(), sqslocal.Receive{Wait: 20 * time.Second})
		if err != nil {
			t.Error(err)
		}
		got <- bodies(list)
	}
	go poll()
	send(t, q, sqslocal.Entry{MessageBody: "woken"})
	if body := <-got; body != "woken" {
		t.Errorf("received %q", body)
	}
	go poll()
	c.Advance(20 * time.Second) // the poll may begin after it: then the message's visibility ends the wait
	c.Advance(20 * time.Second)
	for waiting := true; waiting; {
		select {
		case <-got:
			waiting = false
		default:
			c.Advance(time.Second)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	empty := create(t, s, "empty", nil)
	if _, err := empty.Receive(ctx, sqslocal.Receive{Wait: time.Second}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestFIFO(t *testing.T) {
	s, c := scene(t)
	q := create(t, s, "trades.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	for _, body := range []string{"A1", "A2", "B1", "A1"} {
		send(t, q, sqslocal.Entry{MessageBody: body, MessageGroupID: body[:1]})
	}
	if sent := s.Ledger().Sent; !sent[3].Deduplicated || sent[3].MessageID != sent[0].MessageID {
		t.Errorf("the same content again: %+v", sent[3])
	}
	one := receive(t, q, 1)
	if got := bodies(one); got != "A1" {
		t.Fatalf("received %q", got)
	}
	if got := bodies(receive(t, q, 10)); got != "B1" { // A waits for A1
		t.Errorf("received %q", got)
	}
	if err := q.Delete(one[0].ReceiptHandle); err != nil {
		t.Fatal(err)
	}
	two := receive(t, q, 10)
	if got := bodies(two); got != "A2" {
		t.Errorf("received %q", got)
	}
	c.Advance(31 * time.Second)
	if err := q.Delete(two[0].ReceiptHandle); err == nil {
		t.Error("an expired handle deleted")
	}
	if got := bodies(receive(t, q, 10)); got != "A2 B1" {
		t.Errorf("received %q", got)
	}
	c.Advance(5 * time.Minute)
	send(t, q, sqslocal.Entry{MessageBody: "A1", MessageGroupID: "A"}) // after five minutes it is new
	if sent := s.Ledger().Sent; sent[4].Deduplicated {
		t.Error("deduplicated after five minutes")
	}
	for name, e := range map[string]sqslocal.Entry{
		"no group": {MessageBody: "x"}, "a delay": {MessageBody: "x", MessageGroupID: "g", DelaySeconds: new(int)},
	} {
		if name == "a delay" {
			*e.DelaySeconds = 1
		}
		if _, err := q.Send(e, ""); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDeadLettersAndRedrive(t *testing.T) {
	for _, suffix := range []string{"", ".fifo"} {
		s, c := scene(t)
		attributes := map[string]string{}
		if suffix != "" {
			attributes["FifoQueue"] = "true"
		}
		dead := create(t, s, "dead"+suffix, attributes)
		policy, _ := json.Marshal(map[string]any{"deadLetterTargetArn": dead.ARN(), "maxReceiveCount": 3})
		attributes["RedrivePolicy"] = string(policy)
		q := create(t, s, "q"+suffix, attributes)
		entry := sqslocal.Entry{MessageBody: "poison"}
		if suffix != "" {
			entry.MessageGroupID, entry.MessageDeduplicationID = "g", "d"
		}
		receipt, err := q.Send(entry, header)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if len(receive(t, q, 1)) != 1 {
				t.Fatal("not received")
			}
			c.Advance(30 * time.Second)
		}
		if len(receive(t, q, 1)) != 0 {
			t.Fatal("received a fourth time")
		}
		buried := receive(t, dead, 1)
		if len(buried) != 1 || buried[0].MessageID != receipt.MessageID || buried[0].Attributes["DeadLetterQueueSourceArn"] != q.ARN() || buried[0].Attributes["AWSTraceHeader"] != header {
			t.Fatalf("in the dead-letter queue: %+v", buried)
		}
		if suffix != "" && buried[0].Attributes["MessageDeduplicationId"] != receipt.MessageID {
			t.Errorf("deduplication ID %s", buried[0].Attributes["MessageDeduplicationId"])
		}
		if err := dead.ChangeVisibility(buried[0].ReceiptHandle, 0); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
		if _, err := q.Redrive(""); err == nil {
			t.Error("a queue that is no dead-letter queue was redriven")
		}
		if _, err := dead.Redrive(""); err != nil {
			t.Fatal(err)
		}
		again := receive(t, q, 1)
		if len(again) != 1 || again[0].MessageID == receipt.MessageID || again[0].Attributes["ApproximateReceiveCount"] != "1" || again[0].Attributes["SentTimestamp"] == buried[0].Attributes["SentTimestamp"] {
			t.Fatalf("redriven: %+v", again)
		}
		moved := s.Ledger().Moved
		if len(moved) != 2 || moved[0].Message != receipt.MessageID || moved[1].Before != receipt.MessageID || moved[1].Message != again[0].MessageID {
			t.Errorf("ledger: %+v", moved)
		}
	}
}

const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

func TestTraceHeader(t *testing.T) {
	s, _ := scene(t)
	q := create(t, s, "q", nil)
	own := strings.Replace(header, "5759e988", "5759e989", 1)
	for _, c := range []struct {
		name, call, attribute, want string
		refused                     bool
	}{
		{name: "none"},
		{name: "of the call", call: header, want: header},
		{name: "with lineage, without a decision", call: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=1:a87bd80c:0", want: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=1:a87bd80c:0"},
		{name: "malformed", call: "Root=1-x"},
		{name: "the attribute wins", call: header, attribute: own, want: own},
		{name: "a malformed attribute", attribute: "Root=1-x", refused: true},
	} {
		e := sqslocal.Entry{MessageBody: "x"}
		if c.attribute != "" {
			e.MessageSystemAttributes = map[string]sqslocal.Attribute{"AWSTraceHeader": sqslocal.String(c.attribute)}
		}
		_, err := q.Send(e, c.call)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if got := receive(t, q, 1)[0].Attributes["AWSTraceHeader"]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBatch(t *testing.T) {
	s, _ := scene(t)
	q := create(t, s, "q", nil)
	entries := []sqslocal.Entry{{ID: "a", MessageBody: "x"}, {ID: "b"}, {ID: "c", MessageBody: "\x00"}}
	successful, failed, err := q.SendBatch(entries, "")
	if err != nil || len(successful) != 1 || successful[0].ID != "a" || len(failed) != 2 || failed[1].Code != "InvalidMessageContents" {
		t.Errorf("%+v %+v %v", successful, failed, err)
	}
	half := strings.Repeat("x", 1<<19)
	for name, entries := range map[string][]sqslocal.Entry{
		"none": {}, "the same ID": {{ID: "a", MessageBody: "x"}, {ID: "a", MessageBody: "x"}}, "an odd ID": {{ID: "ä", MessageBody: "x"}},
		"over 1 MiB": {{ID: "a", MessageBody: half}, {ID: "b", MessageBody: half + "x"}}, "eleven": make([]sqslocal.Entry, 11),
	} {
		if _, _, err := q.SendBatch(entries, ""); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, _, err := q.SendBatch([]sqslocal.Entry{{ID: "a", MessageBody: half}, {ID: "b", MessageBody: half}}, ""); err != nil {
		t.Errorf("1 MiB: %v", err)
	}
}

// TestMappingGivesUp what no redrive policy takes after so many attempts, and leaves to the
// policy what one takes.
func TestMappingGivesUp(t *testing.T) {
	s := sqslocal.New(sqslocal.Options{})
	t.Cleanup(s.Close)
	dead := create(t, s, "dead", nil)
	policy := `{"deadLetterTargetArn":"` + dead.ARN() + `","maxReceiveCount":"5"}`
	for name, attributes := range map[string]map[string]string{"endless": nil, "redriven": {"RedrivePolicy": policy}} {
		q := create(t, s, name, attributes)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan string, 1)
		tries := 0
		mapping := sqslocal.Mapping{Queue: q, Retry: time.Nanosecond, Attempts: 3, GaveUp: func(m sqslocal.Message) { gone <- m.MessageID }, Consume: func(_ context.Context, _ []byte, ids []string) []string {
			tries++
			return ids
		}}
		done := make(chan struct{})
		go func() { defer close(done); mapping.Run(ctx) }()
		id, want := send(t, q, sqslocal.Entry{MessageBody: "poison"}), 3
		if attributes == nil {
			if got := <-gone; got != id {
				t.Errorf("%s was given up, %s was sent", got, id)
			}
		} else if list, err := dead.Receive(t.Context(), sqslocal.Receive{Wait: 20 * time.Second}); err != nil || len(list) != 1 || list[0].MessageID != id {
			t.Errorf("in the dead-letter queue: %+v %v", list, err)
		} else {
			want = 5
		}
		cancel()
		<-done
		visible, inFlight, delayed := q.Count()
		if tries != want || visible+inFlight+delayed != 0 || len(gone) != 0 {
			t.Errorf("%s: %d attempts, and %d messages are left", name, tries, visible+inFlight+delayed)
		}
	}
}

func TestMapping(t *testing.T) {
	s := sqslocal.New(sqslocal.Options{})
	t.Cleanup(s.Close)
	dead := create(t, s, "dead", nil)
	q := create(t, s, "q", map[string]string{"VisibilityTimeout": "600", "RedrivePolicy": `{"deadLetterTargetArn":"` + dead.ARN() + `","maxReceiveCount":"3"}`})
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	tries := map[string]int{}
	consumed := make(chan struct{}, 100)
	running := make(chan struct{})
	go func() {
		defer close(running)
		sqslocal.Mapping{Queue: q, BatchSize: 10, Concurrency: 2, Retry: time.Millisecond, Consume: func(_ context.Context, event []byte, ids []string) (failed []string) {
			var e struct {
				Records []struct{ MessageID, Body, EventSourceARN string }
			}
			if err := json.Unmarshal(event, &e); err != nil || len(e.Records) != len(ids) {
				t.Errorf("%v in %s", err, event)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, r := range e.Records {
				if r.MessageID != ids[i] || r.EventSourceARN != q.ARN() {
					t.Errorf("%+v", r)
				}
				if tries[r.Body]++; r.Body == "poison" {
					failed = append(failed, r.MessageID)
				}
			}
			consumed <- struct{}{}
			return failed
		}}.Run(ctx)
	}()
	poison := send(t, q, sqslocal.Entry{MessageBody: "poison"})
	for _, body := range []string{"a", "b", "c"} {
		send(t, q, sqslocal.Entry{MessageBody: body})
	}
	list, err := dead.Receive(t.Context(), sqslocal.Receive{Wait: 20 * time.Second})
	if err != nil || len(list) != 1 || list[0].MessageID != poison {
		t.Fatalf("in the dead-letter queue: %+v %v", list, err)
	}
	cancel()
	<-running
	mu.Lock()
	defer mu.Unlock()
	if tries["poison"] != 3 || tries["a"] < 1 || tries["b"] < 1 || tries["c"] < 1 {
		t.Errorf("%v", tries)
	}
}

// counted counts the writes of a server's connections.
type counted struct {
	net.Listener
	mu     sync.Mutex
	writes int
}

type countedConn struct {
	net.Conn
	l *counted
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l}, err
}

func (c countedConn) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	c.l.writes++
	c.l.mu.Unlock()
	return c.Conn.Write(b)
}

func TestSmallAnswersAreOneWrite(t *testing.T) {
	s, _ := scene(t)
	q := create(t, s, "q", nil)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counted{Listener: inner}
	server, ended := &http.Server{Handler: s}, make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for n := 1; n <= 20; n++ {
		body, _ := json.Marshal(map[string]string{"QueueUrl": q.URL(), "MessageBody": "x"})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+inner.Addr().String(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
		resp.Body.Close()
		l.mu.Lock()
		if l.writes != n {
			t.Errorf("%d answers took %d writes", n, l.writes)
		}
		l.mu.Unlock()
	}
}
