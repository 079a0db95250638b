package lambdalocal

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is a subscriber's listener that keeps every delivery.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	changed chan struct{}
	bodies  [][]byte
	headers []http.Header
	refuse  int
	block   chan struct{} // deliveries wait until it is closed
}

func newSink(t *testing.T) *sink {
	s := &sink{changed: make(chan struct{}), block: make(chan struct{})}
	close(s.block)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies, s.headers = append(s.bodies, body), append(s.headers, r.Header)
		refused := len(s.bodies) <= s.refuse
		block := s.block
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		select {
		case <-block:
		case <-r.Context().Done():
		}
		if refused {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// deliveries waits for n of them.
func (s *sink) deliveries(t *testing.T, n int) [][]told {
	t.Helper()
	for deadline := time.After(30 * time.Second); ; {
		s.mu.Lock()
		changed, bodies := s.changed, slices.Clone(s.bodies)
		s.mu.Unlock()
		if len(bodies) >= n {
			var all [][]told
			for _, body := range bodies {
				all = append(all, decode[[]told](t, body))
			}
			return all
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d deliveries of %d", len(bodies), n)
		}
	}
}

func (s *sink) subscription(b buffering) subscription {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return subscription{
		SchemaVersion: schemaNewest, Types: []string{"platform", "function"}, Buffering: b,
		Destination: destination{Protocol: "HTTP", URI: "http://sandbox.localdomain:" + port + "/telemetry"},
	}
}

func newTestRelay(t *testing.T, fault func(Record) Fault) *relay {
	r := newRelay(fault)
	t.Cleanup(func() { r.thaw(); r.endGeneration() })
	return r
}

const never = 3_600_000 // ms: only the other limits end a batch

func TestBuffering(t *testing.T) {
	t.Run("ByItems", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 1048576, never}), r))
		for i := range 2500 {
			r.emit("function", fmt.Sprint(i))
		}
		got := s.deliveries(t, 2)
		if len(got) != 2 || len(got[0]) != 1000 || len(got[1]) != 1000 {
			t.Fatalf("batches of %d", len(got))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r.flush(ctx)
		got = s.deliveries(t, 3)
		if len(got[2]) != 500 || string(got[2][499].Record) != `"2499"` {
			t.Errorf("the rest is %d records", len(got[2]))
		}
	})
	t.Run("ByBytes", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{10000, 262144, never}), r))
		for range 30 {
			r.emit("function", strings.Repeat("x", 10_000))
		}
		first := s.deliveries(t, 1)[0]
		s.mu.Lock()
		size := len(s.bodies[0])
		s.mu.Unlock()
		if size < 262144 || size > 2*262144 || len(first) > 27 {
			t.Errorf("%d records, %d bytes", len(first), size)
		}
	})
	t.Run("ByTime", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.emit("platform.start", invokeStart{RequestID: "1"})
		if got := s.deliveries(t, 1); got[0][0].Type != "platform.start" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("NotWhileFrozen", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.freeze()
		for i := range 1500 { // over a limit: it would go out at once
			r.emit("function", fmt.Sprint(i))
		}
		r.mu.Lock()
		subscriber := r.subscribers[0]
		r.mu.Unlock()
		subscriber.mu.Lock()
		queued := len(subscriber.queue)
		subscriber.mu.Unlock()
		if queued != 1500 {
			t.Errorf("%d records are left in the buffer", queued)
		}
		r.thaw()
		s.deliveries(t, 2)
	})
	t.Run("OnlyTheTypesAskedFor", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.emit("extension", "no")
		r.emit("function", "yes")
		if got := s.deliveries(t, 1); len(got[0]) != 1 || got[0][0].Type != "function" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("WhatCameBefore", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.emit("platform.initStart", initStart{})
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		if got := s.deliveries(t, 1); got[0][0].Type != "platform.initStart" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestDelivery(t *testing.T) {
	t.Run("Headers", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.emit("function", "text")
		s.deliveries(t, 1)
		s.mu.Lock()
		defer s.mu.Unlock()
		sum := sha256.Sum256(s.bodies[0])
		if s.headers[0].Get("Content-Type") != "application/json" || s.headers[0].Get("Sequence-Id") != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("headers %v", s.headers[0])
		}
	})
	t.Run("RetriesUntilTaken", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		s.refuse = 3
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.emit("function", "text")
		for _, batch := range s.deliveries(t, 4) {
			if len(batch) != 1 || string(batch[0].Record) != `"text"` {
				t.Errorf("got %+v", batch)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.headers[0].Get("Sequence-Id") != s.headers[3].Get("Sequence-Id") {
			t.Error("a retry has another Sequence-Id")
		}
	})
	t.Run("GivesUpAndSaysSo", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		s.refuse = deliveryAttempts
		r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
		r.emit("function", "lost")
		got := s.deliveries(t, deliveryAttempts+1)[deliveryAttempts]
		if got[0].Type != "platform.logsDropped" {
			t.Fatalf("got %+v", got)
		}
		checkShape(t, "logsDropped", sampleLogsDropped, got[0].Record)
		if dropped := decode[logsDropped](t, got[0].Record); dropped.DroppedRecords != 1 || dropped.DroppedBytes == 0 {
			t.Errorf("got %+v", dropped)
		}
	})
	t.Run("SlowSubscriberLosesTheOldest", func(t *testing.T) {
		s, r := newSink(t), newTestRelay(t, nil)
		s.block = make(chan struct{})
		want := s.subscription(buffering{1000, 262144, 25})
		r.subscribe(newSubscriber("x", want, r))
		r.emit("function", "first")
		s.deliveries(t, 1) // it hangs there
		line := strings.Repeat("x", 100_000)
		for range 60 {
			r.emit("function", line)
		}
		close(s.block)
		for n := 2; ; n++ {
			for _, record := range slices.Concat(s.deliveries(t, n)...) {
				if record.Type == "platform.logsDropped" {
					if dropped := decode[logsDropped](t, record.Record); dropped.DroppedRecords < 10 || dropped.DroppedBytes < 1_000_000 || dropped.Reason != slowReason {
						t.Errorf("got %+v", dropped)
					}
					return
				}
			}
		}
	})
	t.Run("TCP", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		r := newTestRelay(t, nil)
		want := subscription{
			SchemaVersion: schemaNewest, Types: []string{"function"}, Buffering: buffering{1000, 262144, 25},
			Destination: destination{Protocol: "TCP", Port: listener.Addr().(*net.TCPAddr).Port},
		}
		r.subscribe(newSubscriber("x", want, r))
		r.emit("function", "one")
		r.emit("function", "two")
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewScanner(conn)
		for _, want := range []string{`"one"`, `"two"`} {
			if !lines.Scan() || string(decode[told](t, lines.Bytes()).Record) != want {
				t.Errorf("got %s, want %s", lines.Bytes(), want)
			}
		}
	})
}

func TestFaultsOfRecords(t *testing.T) {
	fault := func(r Record) Fault {
		switch string(r.Body) {
		case `"drop"`:
			return Fault{Drop: true}
		case `"repeat"`:
			return Fault{Repeat: 2}
		case `"delay"`:
			return Fault{Delay: 50 * time.Millisecond}
		case `"hold"`:
			return Fault{Hold: 2}
		}
		return Fault{}
	}
	s, r := newSink(t), newTestRelay(t, fault)
	r.subscribe(newSubscriber("x", s.subscription(buffering{1000, 262144, 25}), r))
	count := func(text string) int {
		n := 0
		for _, record := range slices.Concat(s.deliveries(t, 0)...) {
			if string(record.Record) == text {
				n++
			}
		}
		return n
	}
	flush := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for _, subscriber := range r.subscribers {
			subscriber.flush(ctx)
		}
	}
	for _, text := range []string{"drop", "repeat", "hold", "plain"} {
		r.emit("function", text)
	}
	flush()
	if count(`"drop"`) != 0 || count(`"repeat"`) != 3 || count(`"hold"`) != 0 || count(`"plain"`) != 1 {
		t.Errorf("got %+v", s.deliveries(t, 0))
	}
	r.invocationBegins()
	flush()
	if count(`"hold"`) != 0 {
		t.Error("held until two more invocations, it came with the first")
	}
	r.invocationBegins()
	flush()
	if count(`"hold"`) != 1 {
		t.Error("held until the second invocation, it did not come")
	}
	begin := time.Now()
	r.emit("function", "delay")
	for n := 1; count(`"delay"`) == 0; n++ {
		s.deliveries(t, n)
	}
	if time.Since(begin) < 50*time.Millisecond {
		t.Error("it was not delayed")
	}
	r.emit("function", "hold")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r.flush(ctx)
	if count(`"hold"`) != 2 {
		t.Error("shutdown does not let go what is held")
	}
}
