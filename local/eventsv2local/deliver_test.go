package eventsv2local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/clock"
)

func TestTransformers(t *testing.T) {
	for name, tt := range map[string]struct {
		transformer Transformer
		batch       int
		want        func(e *Event, data string) string
	}{
		"Raw":          {Transformer{}, 1, func(_ *Event, data string) string { return data }},
		"RawBatch":     {Transformer{Type: Raw}, 2, func(_ *Event, data string) string { return "[" + data + "]" }},
		"WithMetadata": {Transformer{Type: WithMetadata}, 1, func(e *Event, _ string) string { return string(e.withMetadata(live)) }},
		"JSONata": {Transformer{JSONata, `{% {"id": $events.Data.detail.id, "trace": $substringAfter($events.Data.resources[$contains($, "hops:")], ":"), "none": $events.Metadata.x} %}`}, 1,
			func(*Event, string) string { return `{"id":12345678901234567890,"trace":"0"}` }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Options{})
			s.subscribe(func(spec *Spec) { spec.Transformer, spec.MaxBatch = tt.transformer, tt.batch })
			s.put(`{ "id" : 12345678901234567890 }`)
			s.wait()
			e := s.bus.Events()[0]
			if got := s.h.seen(); len(got) != 1 || got[0] != tt.want(e, string(e.Data)) {
				t.Errorf("got %s", got)
			}
			if !strings.HasSuffix(string(e.Data), `"resources":["hops:0"],"detail":{ "id" : 12345678901234567890 }}`) || e.EnvelopeID == e.ID {
				t.Errorf("stored %s", e.Data)
			}
		})
	}
}

func TestWhatMetadataSays(t *testing.T) {
	c := clock.New(noon, 0)
	s := newStage(t, Options{Clock: c})
	s.subscribe(func(spec *Spec) { spec.Transformer.Type = WithMetadata })
	results, err := s.Put(s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte(`{"a":1}`), Metadata: map[string]string{"traceparent": "x"}, Group: "g"}, {ContentType: "application/avro", Data: []byte{0, 255}}}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	s.wait()
	got := map[string]three{}
	for _, payload := range s.h.seen() {
		e := parse[three](t, payload)
		got[e.SystemMetadata["aws:EventId"]] = e
	}
	first, second := got[results[0].EventID], got[results[1].EventID]
	if string(first.Data) != `{"a":1}` || first.Metadata["traceparent"] != "x" || first.SystemMetadata["EventGroupId"] != "g" || first.SystemMetadata["aws:DeliveryType"] != live ||
		first.SystemMetadata["aws:IngestionTime"] != "2026-11-27T12:00:00.000Z" || first.SystemMetadata["aws:SequenceNumber"] != results[0].Sequence || len(results[0].Sequence) != 20 {
		t.Errorf("%+v", first)
	}
	if _, there := second.SystemMetadata["EventGroupId"]; there || string(second.Data) != `"AP8="` || second.Metadata == nil || second.SystemMetadata["aws:Source"] != "" {
		t.Errorf("%+v", second)
	}
}

func TestFilters(t *testing.T) {
	for name, tt := range map[string]struct {
		filters []Filter
		want    int
		refused bool
	}{
		"Data":           {[]Filter{{Pattern: `{"detail":{"n":[1,2]},"resources":[{"prefix":"hops:"}]}`, Scope: ScopeData}}, 2, false},
		"Both":           {[]Filter{{Pattern: `{"detail":{"n":[1,2]}}`, Scope: ScopeData}, {Pattern: `{"aws:DetailType":["Other"]}`, Scope: ScopeSystemMetadata}}, 0, false},
		"SystemMetadata": {[]Filter{{Pattern: `{"aws:DetailType":["OrderPlaced"]}`, Scope: ScopeSystemMetadata}}, 3, false},
		"Metadata":       {[]Filter{{Pattern: `{"tenant":["t-1"]}`, Scope: ScopeMetadata}}, 0, false},
		"Wildcard":       {[]Filter{{Pattern: `{"source":[{"wildcard":"s*"}]}`, Scope: ScopeData}}, 0, true},
		"NotExact":       {[]Filter{{Pattern: `{"tenant":[{"prefix":"t"}]}`, Scope: ScopeMetadata}}, 0, true},
		"NoScope":        {[]Filter{{Pattern: `{"tenant":["t"]}`}}, 0, true},
		"NoJSON":         {[]Filter{{Pattern: `{`, Scope: ScopeData}}, 0, true},
	} {
		s := newStage(t, Options{})
		_, err := s.bus.Subscribe(Spec{Name: "s", Invoke: Invoke{TargetARN: function}, MaxBatch: 1, Filters: tt.filters})
		if tt.refused {
			if code(err) != "InvalidInputException" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.put(`{"n":1}`, `{"n":2}`, `{"n":3}`)
		s.wait()
		if got := len(s.h.seen()); got != tt.want {
			t.Errorf("%s: %d delivered, want %d", name, got, tt.want)
		}
	}
}

func TestBatches(t *testing.T) {
	c := clock.New(noon, 0)
	s := newStage(t, Options{Clock: c})
	sub := s.subscribe(func(spec *Spec) { spec.MaxBatch, spec.Window = 3, 20*time.Second })
	for n := range 7 {
		s.put(fmt.Sprintf(`{"n":%d}`, n))
	}
	s.advance(20 * time.Second)
	sizes := []int{}
	for _, payload := range s.h.seen() {
		sizes = append(sizes, len(parse[[]json.RawMessage](t, payload)))
	}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{1, 3, 3}) {
		t.Errorf("batches of %v", sizes)
	}
	if m := s.Metrics()[Metric{"EventsDelivered", s.bus.ARN, sub.ARN}]; m != 7 {
		t.Errorf("%v delivered", m)
	}
}

// What a function reports of a batch is tried again, and nothing else.
func TestPartialFailures(t *testing.T) {
	s := newStage(t, Options{})
	s.subscribe(func(spec *Spec) {
		spec.MaxBatch, spec.Invoke.Sync, spec.Transformer.Type, spec.Stopped = 10, true, WithMetadata, true
	})
	results := s.put(`{"n":1}`, `{"n":2}`)
	failures := 2
	s.h.answer = func(string) ([]byte, error) {
		if failures--; failures < 0 {
			return []byte(`"fine"`), nil
		}
		return []byte(`{"batchItemFailures":[{"itemIdentifier":"` + results[1].EventID + `"}]}`), nil
	}
	s.bus.subscribers[0].Resume(false)
	s.wait()
	var counts []int
	for _, payload := range s.h.seen() {
		counts = append(counts, len(parse[[]three](t, payload)))
	}
	if !slices.Equal(counts, []int{2, 1, 1}) || !s.h.sync[0] {
		t.Errorf("batches of %v", counts)
	}
	failed := 0
	for _, d := range s.Ledger().Deliveries {
		if d.Err != nil {
			failed++
			if d.Event.ID != results[1].EventID || problemOf(d.Err).Code != "PARTIAL_BATCH_FAILURE" {
				t.Errorf("%+v", d)
			}
		}
	}
	if failed != 2 {
		t.Errorf("%d deliveries failed", failed)
	}
}

// Every failure is tried again, five times or for 300 seconds; then a record without
// the event lies in the dead-letter queue.
func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(*Spec)
		err       error
		attempts  int
		condition string
		code      string
	}{
		"Default": {func(*Spec) {}, errors.New("boom"), 6, "MaximumRetryAttempts", "COMPUTE_EXECUTION_ERROR"},
		"None":    {func(s *Spec) { s.MaxRetries = number(0) }, &DeliveryError{"ACCESS_DENIED", "no"}, 1, "MaximumRetryAttempts", "ACCESS_DENIED"},
		"TooOld":  {func(s *Spec) { s.MaxRetries, s.MaxAge = number(185), time.Minute }, errors.New("boom"), 0, "MaximumEventAgeInSeconds", "COMPUTE_EXECUTION_ERROR"},
		"NoResult": {func(s *Spec) {
			s.Transformer, s.MaxRetries = Transformer{JSONata, "{% $events.Data.nothing %}"}, number(1)
		}, nil, 2, "MaximumRetryAttempts", transformationFailure},
	} {
		t.Run(name, func(t *testing.T) {
			c := clock.New(noon, 0)
			s := newStage(t, Options{Clock: c, RetryDelay: time.Second})
			s.h.answer = func(string) ([]byte, error) { return nil, tt.err }
			sub := s.subscribe(func(spec *Spec) { spec.DeadLetters = queueARN; tt.change(spec) })
			results := s.put(`{"secret":"x"}`)
			s.advance(time.Second)
			deliveries := s.Ledger().Deliveries
			if len(deliveries) != tt.attempts && tt.attempts > 0 || deliveries[len(deliveries)-1].Attempt != len(deliveries) {
				t.Errorf("%d attempts", len(deliveries))
			}
			letters := s.dead.Letters()
			if len(letters) != 1 {
				t.Fatalf("%d records", len(letters))
			}
			l := letters[0]
			record := parse[map[string]any](t, l.Body)
			messages, _ := record["failedMessages"].([]any)
			message, _ := messages[0].(map[string]any)
			if strings.Contains(l.Body, "secret") || record["busArn"] != s.bus.ARN || record["subscriberArn"] != sub.ARN || record["targetArn"] != function || record["exhaustedRetryCondition"] != tt.condition ||
				record["errorCode"] != tt.code || message["eventId"] != results[0].EventID || l.Attributes["ERROR_CODE"] != tt.code || l.Attributes["RETRY_ATTEMPTS"] != fmt.Sprint(len(deliveries)-1) {
				t.Errorf("%s\n%v", l.Body, l.Attributes)
			}
			if m := s.Metrics(); m[Metric{"OnFailureDestinationDelivered", s.bus.ARN, sub.ARN}] != 1 || m[Metric{"EventsDropped", s.bus.ARN, sub.ARN}] != 0 {
				t.Errorf("%v", m)
			}
		})
	}
}

func TestWithoutADeadLetterQueueEventsAreDropped(t *testing.T) {
	s := newStage(t, Options{Dimension: DimensionName})
	s.h.answer = func(string) ([]byte, error) { return nil, errors.New("boom") }
	sub := s.subscribe(func(spec *Spec) { spec.MaxRetries = number(0) })
	s.put("{}", "{}")
	s.wait()
	if m := s.Metrics()[Metric{"EventsDropped", "orders", sub.ARN}]; m != 2 {
		t.Errorf("%v", s.Metrics())
	}
}

// In a FIFO subscriber each group comes in order, and a failure holds up its own
// group alone.
func TestGroupsInOrder(t *testing.T) {
	s := newStage(t, Options{})
	failures := 3
	s.h.answer = func(payload string) ([]byte, error) {
		if strings.Contains(payload, `"n":0,"g":"a"`) {
			s.h.mu.Lock()
			defer s.h.mu.Unlock()
			if failures--; failures >= 0 {
				return nil, errors.New("boom")
			}
		}
		return nil, nil
	}
	s.subscribe(func(spec *Spec) { spec.FIFO = true })
	var entries []Entry
	for n := range 5 {
		for _, g := range []string{"a", "b"} {
			entries = append(entries, Entry{Source: "s", DetailType: "T", Detail: fmt.Sprintf(`{"n":%d,"g":%q}`, n, g), Group: g})
		}
	}
	if _, err := s.Put(s.bus.ARN, entries, false, false); err != nil {
		t.Fatal(err)
	}
	s.wait()
	order := map[string][]string{}
	for _, d := range s.Ledger().Deliveries {
		detail := parse[struct {
			N int
			G string
		}](t, d.Event.Detail)
		order[detail.G] = append(order[detail.G], fmt.Sprint(detail.N))
	}
	if got := strings.Join(order["a"], ""); got != "00001234" {
		t.Errorf("group a came as %s", got)
	}
	if got := strings.Join(order["b"], ""); got != "01234" {
		t.Errorf("group b came as %s", got)
	}
}

func TestReplayFromAPointInTime(t *testing.T) {
	c := clock.New(noon, 0)
	s := newStage(t, Options{Clock: c})
	var ids []string
	for n := range 4 {
		ids = append(ids, s.put(fmt.Sprintf(`{"n":%d}`, n))[0].EventID)
		c.Advance(8 * time.Hour)
	}
	// The first is 32 hours old, and the bus keeps a day.
	cases := map[string]struct {
		change func(*Spec)
		want   []string // with one that comes later
	}{
		"Horizon":   {func(s *Spec) { s.Horizon = true }, []string{"LIVE 9", "REPLAY 1", "REPLAY 2", "REPLAY 3"}},
		"Timestamp": {func(s *Spec) { s.From = noon.Add(16 * time.Hour) }, []string{"LIVE 9", "REPLAY 2", "REPLAY 3"}},
		"Until":     {func(s *Spec) { s.From, s.Until = noon.Add(8*time.Hour), noon.Add(20*time.Hour) }, []string{"REPLAY 1", "REPLAY 2"}},
		"OfOne": {func(s *Spec) {
			s.Horizon, s.Filters = true, []Filter{{Pattern: `{"aws:EventId":["` + ids[2] + `"]}`, Scope: ScopeSystemMetadata}}
		}, []string{"REPLAY 2"}},
		"Latest": {func(*Spec) {}, []string{"LIVE 9"}},
	}
	handlers := map[string]*handler{}
	for name, tt := range cases {
		handlers[name] = &handler{}
		s.Target(function+":"+name, handlers[name].target())
		spec := Spec{Name: name, Invoke: Invoke{TargetARN: function + ":" + name}, MaxBatch: 1, Transformer: Transformer{Type: WithMetadata}}
		tt.change(&spec)
		if _, err := s.bus.Subscribe(spec); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.bus.Events()); n != 3 {
		t.Errorf("the bus keeps %d events", n)
	}
	c.Advance(time.Second)
	s.put(`{"n":9}`)
	s.wait()
	for name, tt := range cases {
		var got []string
		for _, payload := range handlers[name].seen() {
			e := parse[three](t, payload)
			got = append(got, fmt.Sprint(e.SystemMetadata["aws:DeliveryType"], " ", parse[struct{ Detail struct{ N int } }](t, string(e.Data)).Detail.N))
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	replays := 0
	for _, d := range s.Ledger().Deliveries {
		if d.Replay != "" {
			replays++
		}
	}
	if replays != 8 {
		t.Errorf("the ledger has %d replays", replays)
	}
}

func TestStopAndResume(t *testing.T) {
	for latest, want := range map[bool][]string{false: {"1", "2", "3"}, true: {"1", "3"}} {
		s := newStage(t, Options{})
		sub := s.subscribe(nil)
		s.put(`{"n":1}`)
		s.wait()
		sub.Stop()
		s.put(`{"n":2}`)
		s.wait() // nothing is waited for
		sub.Resume(latest)
		s.put(`{"n":3}`)
		s.wait()
		var got []string
		for _, payload := range s.h.seen() {
			got = append(got, fmt.Sprint(parse[struct{ Detail struct{ N int } }](t, payload).Detail.N))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("latest %v: %v", latest, got)
		}
	}
}

func TestFaults(t *testing.T) {
	held := make(chan struct{})
	s := newStage(t, Options{Fault: func(d buslocal.Delivery) buslocal.Fault {
		switch {
		case strings.Contains(d.Event.Detail, "twice"):
			return buslocal.Fault{Duplicate: 1}
		case strings.Contains(d.Event.Detail, "late"):
			return buslocal.Fault{Until: held}
		case strings.Contains(d.Event.Detail, "once more"):
			return buslocal.Fault{Fail: errors.New("boom")}
		}
		return buslocal.Fault{}
	}})
	s.subscribe(nil)
	s.put(`"late"`, `"twice"`, `"once more"`)
	close(held)
	s.wait()
	var got []string
	for _, d := range s.Ledger().Deliveries {
		got = append(got, fmt.Sprint(d.Event.Detail, d.Attempt, d.Duplicate, d.Err != nil, d.Target, d.Rule))
	}
	slices.Sort(got)
	want := []string{`"late"1 false falsehandlers`, `"once more"1 false truehandlers`, `"once more"2 false falsehandlers`, `"twice"1 false falsehandlers`, `"twice"1 true falsehandlers`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
