package lambdalocal

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

func TestSubscriptionValidation(t *testing.T) {
	// The example of AWS's guide, with its schema version.
	const guide = `{"schemaVersion":"2022-12-13","types":["platform","function","extension"],
		"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}}`
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(guide) }
	for _, test := range []struct {
		name, body string
		mode       Mode
		ok         bool
	}{
		{"OK", guide, OnDemand, true},
		{"Newest", with("2022-12-13", "2025-01-29"), OnDemand, true},
		{"Oldest", with("2022-12-13", "2022-07-01"), OnDemand, true},
		{"UnknownSchema", with("2022-12-13", "2020-08-15"), OnDemand, false},
		{"ManagedNewest", with("2022-12-13", "2025-01-29"), ManagedInstances, true},
		{"ManagedOlder", guide, ManagedInstances, false},
		{"NoSchema", with(`"schemaVersion":"2022-12-13",`, ""), OnDemand, false},
		{"NoTypes", with(`["platform","function","extension"]`, "[]"), OnDemand, false},
		{"UnknownType", with(`"extension"`, `"kernel"`), OnDemand, false},
		{"NoBuffering", with(`"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},`, ""), OnDemand, true},
		{"ItemsLow", with(`"maxItems":1000`, `"maxItems":999`), OnDemand, false},
		{"ItemsHigh", with(`"maxItems":1000`, `"maxItems":10001`), OnDemand, false},
		{"ItemsMost", with(`"maxItems":1000`, `"maxItems":10000`), OnDemand, true},
		{"BytesLow", with("262144", "262143"), OnDemand, false},
		{"BytesMost", with("262144", "1048576"), OnDemand, true},
		{"BytesHigh", with("262144", "1048577"), OnDemand, false},
		{"TimeoutLeast", with(`"timeoutMs":100`, `"timeoutMs":25`), OnDemand, true},
		{"TimeoutLow", with(`"timeoutMs":100`, `"timeoutMs":24`), OnDemand, false},
		{"TimeoutMost", with(`"timeoutMs":100`, `"timeoutMs":30000`), OnDemand, true},
		{"TimeoutHigh", with(`"timeoutMs":100`, `"timeoutMs":30001`), OnDemand, false},
		{"Loopback", with("sandbox.localdomain", "127.0.0.1"), OnDemand, false},
		{"Sandbox", with("sandbox.localdomain", "sandbox"), OnDemand, true},
		{"HTTPS", with("http://", "https://"), OnDemand, false},
		{"ReservedPort", with("8080", "9001"), OnDemand, false},
		{"TCP", with(`"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"`, `"protocol":"TCP","port":4243`), OnDemand, true},
		{"TCPReserved", with(`"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"`, `"protocol":"TCP","port":9001`), OnDemand, false},
		{"TCPWithoutPort", with(`"protocol":"HTTP"`, `"protocol":"TCP"`), OnDemand, false},
		{"UDP", with(`"HTTP"`, `"UDP"`), OnDemand, false},
		{"NoDestination", with(`"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}`, `"x":1`), OnDemand, false},
		{"NotJSON", "{", OnDemand, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseSubscription([]byte(test.body), test.mode); (err == nil) != test.ok {
				t.Errorf("got error %v", err)
			}
		})
	}
	t.Run("Defaults", func(t *testing.T) {
		got, err := parseSubscription([]byte(with(`"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},`, "")), OnDemand)
		if want := (buffering{10000, 262144, 1000}); err != nil || got.Buffering != want {
			t.Errorf("got %+v, want %+v", got.Buffering, want)
		}
	})
}

func FuzzParseSubscription(f *testing.F) {
	f.Add([]byte(everything), true)
	f.Add([]byte(`{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"TCP","port":1}}`), false)
	f.Add([]byte(`{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:%zz"}}`), false)
	f.Fuzz(func(t *testing.T, body []byte, managed bool) {
		mode := OnDemand
		if managed {
			mode = ManagedInstances
		}
		want, err := parseSubscription(body, mode)
		if err != nil {
			return
		}
		want.deliverer().close() // what was accepted can be delivered to
		if len(want.Types) == 0 || want.Buffering.check() != nil || managed && want.SchemaVersion != schemaNewest {
			t.Errorf("accepted %s", body)
		}
	})
}

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

const never = 30000 // ms: only the other limits end a batch

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

// TestTelemetryOfAFunction follows every record of a cold and a warm
// invocation through a real extension, and when each comes.
func TestTelemetryOfAFunction(t *testing.T) {
	w := newWorld(t)
	f := w.function("told", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	d := w.create(f)
	w.invoke(d, `{"log":["hello","{\"a\":1}"]}`)
	w.settled()
	if answer := w.saw("ext-a", "subscribe")[0]; answer.Status != 200 || string(answer.Body) != `"OK"` {
		t.Errorf("subscribe answered %d %s", answer.Status, answer.Body)
	}
	// The environment is frozen: the report waits in its buffer.
	if got := w.records("ext-a", "platform.report"); len(got) != 0 {
		t.Errorf("the report came before the freeze: %+v", got)
	}
	answered := make(chan Result, 1)
	go func() { answered <- w.invoke(d, `{"gate":"report"}`) }()
	first := w.untilRecords("ext-a", "platform.report", 1)[0]
	w.open("report")
	<-answered
	w.settled()
	d.Environments()[0].DropLogs(123, 12345, slowReason)
	d.Environments()[0].Shutdown("")
	reports := w.records("ext-a", "platform.report")
	if len(reports) != 2 {
		t.Fatalf("%d reports at shutdown", len(reports))
	}
	kinds := map[string]int{}
	for _, r := range w.records("ext-a", "") {
		kinds[r.Type]++
		checkShape(t, r.Type, samples[r.Type], r.Record)
		if time.Since(r.Time) > time.Minute || r.Time.Location() != time.UTC {
			t.Errorf("%s at %s", r.Type, r.Time)
		}
	}
	for kind, n := range map[string]int{
		"platform.initStart": 1, "platform.initRuntimeDone": 1, "platform.initReport": 1, "platform.extension": 1, "platform.telemetrySubscription": 1,
		"platform.start": 2, "platform.runtimeDone": 2, "platform.report": 2, "platform.logsDropped": 1, "function": 2, "extension": 1,
	} {
		if kinds[kind] != n {
			t.Errorf("%d of %s, want %d", kinds[kind], kind, n)
		}
	}
	for i, text := range []string{`"hello\n"`, `"{\"a\":1}\n"`} {
		if got := w.records("ext-a", "function")[i]; string(got.Record) != text {
			t.Errorf("function record %s, want %s", got.Record, text)
		}
	}
	checkTruth(t, w, d, "ext-a")
	if m := decode[report](t, first.Record); m.Spans[0].Name != "extensionOverhead" {
		t.Errorf("report without extensionOverhead: %s", first.Record)
	}
	names := []string{}
	for _, s := range decode[runtimeDone](t, w.records("ext-a", "platform.runtimeDone")[0].Record).Spans {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"responseLatency", "responseDuration", "runtimeOverhead"}) {
		t.Errorf("runtimeDone has spans %q", names)
	}
}

// checkTruth compares every report and runtimeDone that an extension got with the ground truth.
func checkTruth(t *testing.T, w *world, d *Deployment, extension string) {
	t.Helper()
	type measured struct {
		RequestID, Status, ErrorType string
		Metrics                      map[string]float64
	}
	of := func(kind, id string) []measured {
		var found []measured
		for _, r := range w.records(extension, kind) {
			if m := decode[measured](t, r.Record); m.RequestID == id {
				found = append(found, m)
			}
		}
		return found
	}
	for _, truth := range d.Invocations() {
		reports, done := of("platform.report", truth.RequestID), of("platform.runtimeDone", truth.RequestID)
		if len(reports) != 1 || len(done) != 1 {
			t.Fatalf("%s: %d reports, %d runtimeDone", truth.RequestID, len(reports), len(done))
		}
		got := reports[0]
		want := map[string]float64{
			"durationMs": milliseconds(truth.Duration), "memorySizeMB": float64(truth.MemorySize), "maxMemoryUsedMB": float64(truth.MaxMemoryUsed),
			"billedDurationMs": got.Metrics["billedDurationMs"],
		}
		if truth.InitPhase == "init" {
			want["initDurationMs"] = milliseconds(truth.Init)
		}
		if billed := want["billedDurationMs"]; billed < want["durationMs"]+want["initDurationMs"] || billed >= want["durationMs"]+want["initDurationMs"]+1.001 {
			t.Errorf("billed %v of %+v", billed, want)
		}
		if fmt.Sprint(got.Metrics) != fmt.Sprint(want) || Status(got.Status) != truth.Status {
			t.Errorf("report %+v, truth %+v", got, truth)
		}
		if got := done[0]; got.Metrics["durationMs"] != milliseconds(truth.RuntimeDuration) || got.Metrics["producedBytes"] != float64(truth.ResponseBytes) {
			t.Errorf("runtimeDone %+v, truth %+v", got, truth)
		}
		if truth.RuntimeDuration > truth.Duration || truth.Duration <= 0 {
			t.Errorf("truth %+v", truth)
		}
	}
}

func TestTelemetryAnswers(t *testing.T) {
	old := strings.ReplaceAll(everything, schemaNewest, schemaObjects)
	for _, test := range []struct {
		name         string
		answer       TelemetryAnswer
		subscription string
		status       int
		kind         string
	}{
		{"NotSupported", NotSupported, everything, http.StatusAccepted, "Telemetry.NotSupported"},
		{"Refused", Refuse, everything, http.StatusBadRequest, "ValidationError"},
		{"NewestRefused", RefuseNewest, everything, http.StatusBadRequest, "ValidationError"},
		{"OlderAccepted", RefuseNewest, old, http.StatusOK, ""},
		{"Invalid", Accept, strings.Replace(everything, "sandbox.localdomain", "localhost", 1), http.StatusBadRequest, "ValidationError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.function("answers", map[string]string{"TEST_EXT_A": script{Subscribe: test.subscription}.String()}, "ext-a")
			f.Telemetry.Answer = test.answer
			if result := w.invoke(w.create(f), `{}`); string(result.Payload) != `{}` {
				t.Errorf("the function answered %s", result.Payload)
			}
			w.settled()
			got := w.saw("ext-a", "subscribe")[0]
			var refusal apiError
			_ = json.Unmarshal(got.Body, &refusal)
			if got.Status != test.status || refusal.ErrorType != test.kind {
				t.Errorf("answered %d %s", got.Status, got.Body)
			}
		})
	}
}

func TestReportDelayed(t *testing.T) {
	w := newWorld(t)
	f := w.function("late", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	f.Telemetry.Fault = func(r Record) Fault {
		if r.Type == "platform.report" {
			return Fault{Hold: 2, Repeat: 1}
		}
		return Fault{}
	}
	d := w.create(f)
	for range 2 {
		w.invoke(d, `{}`)
		w.settled()
	}
	first := d.Invocations()[0].RequestID
	answered := make(chan Result, 1)
	go func() { answered <- w.invoke(d, `{"gate":"report"}`) }()
	got := w.untilRecords("ext-a", "platform.report", 2)
	w.open("report")
	<-answered
	w.settled()
	for _, r := range got {
		if decode[report](t, r.Record).RequestID != first {
			t.Errorf("too early: %s", r.Record)
		}
	}
	d.Environments()[0].Shutdown("")
	if got := w.records("ext-a", "platform.report"); len(got) != 6 {
		t.Errorf("%d reports at the end", len(got))
	}
}

func TestTelemetryRetriedThroughAnExtension(t *testing.T) {
	w := newWorld(t)
	f := w.function("refusing", map[string]string{"TEST_EXT_A": script{Subscribe: everything, Reject: 2}.String()}, "ext-a")
	d := w.create(f)
	w.invoke(d, `{}`)
	w.settled()
	d.Environments()[0].Shutdown("")
	rejected := w.saw("ext-a", "rejected")
	if len(rejected) != 2 {
		t.Fatalf("%d rejected", len(rejected))
	}
	again := w.saw("ext-a", "telemetry")[0]
	if again.Header.Get("Sequence-Id") != rejected[1].Header.Get("Sequence-Id") || string(again.Body) != string(rejected[1].Body) {
		t.Error("what was refused did not come again")
	}
}
