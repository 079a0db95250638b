package buslocal

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const spaced = `{"b": 1.50, "a": 12345678901234567890,  "ü": "\u2713", "a": null}`

func TestEnvelopeIsAsEventBridgeDeliversIt(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{Now: func() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 999e6, time.UTC) }}, RuleTarget{Target: in})
	a := put(t, url, body(spaced, `"Resources":["correlation:x","b"]`))
	settle(t, b)
	if a.Status != 200 || a.FailedEntryCount != 0 || len(in.messages()) != 1 {
		t.Fatalf("answer %+v, %d deliveries", a, len(in.messages()))
	}
	want := `{"version":"0","id":"` + a.Entries[0].EventId + `","detail-type":"SignalGenerated","source":"alchemiser.strategy","account":"123456789012",` +
		`"time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":["correlation:x","b"],"detail":` + spaced + `}`
	if got := string(in.messages()[0].Payload); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTimeIsTheEntrysOwn(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	put(t, url, body(`{}`, `"Time":1763930703.184`))
	settle(t, b)
	if got := string(in.messages()[0].Payload); !strings.Contains(got, `"time":"2025-11-23T20:45:03Z"`) {
		t.Errorf("envelope %s", got)
	}
	if size := b.Ledger().Published[0].Size; size != len("alchemiser.strategy")+len("SignalGenerated")+2+14 {
		t.Errorf("size %d", size)
	}
}

func TestEntriesFailOneByOne(t *testing.T) {
	b, url := start(t, Options{})
	a := put(t, url, `{"Entries":[{"Source":"s","DetailType":"t","Detail":"{}"},{"DetailType":"t","Detail":"{}"},{"Source":"s","Detail":"{}"},{"Source":"s","DetailType":"t"},`+
		`{"Source":"s","DetailType":"t","Detail":"[1]"},{"Source":"s","DetailType":"t","Detail":"not json"},{"Source":"aws.ec2","DetailType":"t","Detail":"{}"},{"Source":"s","DetailType":"t","Detail":"null"}]}`)
	want := []string{"", "InvalidArgument", "InvalidArgument", "InvalidArgument", "MalformedDetail", "MalformedDetail", "NotAuthorizedForSourceException", "MalformedDetail"}
	if a.FailedEntryCount != 7 || len(a.Entries) != len(want) {
		t.Fatalf("answer %+v", a)
	}
	for i, e := range a.Entries {
		if e.ErrorCode != want[i] || (e.EventId == "") != (want[i] != "") {
			t.Errorf("entry %d: %+v, want %q", i, e, want[i])
		}
	}
	if l := b.Ledger(); len(l.Published) != 1 || l.Refused != 7 {
		t.Errorf("ledger: %d published, %d refused", len(l.Published), l.Refused)
	}
}

func TestRequestsFailAsAWhole(t *testing.T) {
	entry := `{"Source":"s","DetailType":"t","Detail":"{}"}`
	b, url := start(t, Options{Limit: 1000})
	for name, tt := range map[string]struct{ body, code string }{
		"NoEntries":    {`{"Entries":[]}`, "ValidationException"},
		"Eleven":       {`{"Entries":[` + strings.Repeat(entry+",", 10) + entry + `]}`, "ValidationException"},
		"NoneWhole":    {`{"Entries":[{"Source":"s"}]}`, "ValidationException"},
		"OverTheSum":   {`{"Entries":[` + strings.TrimSuffix(body(`{"a":"` + strings.Repeat("x", 600) + `"}`)[12:], "]}") + `,` + strings.TrimSuffix(body(`{"a":"` + strings.Repeat("x", 600) + `"}`)[12:], "]}") + `]}`, "ValidationException"},
		"LongResource": {body(`{}`, `"Resources":["`+strings.Repeat("x", 2049)+`"]`), "ValidationException"},
		"NotJSON":      {`{"Entries":`, "SerializationException"},
		"NotARequest":  {`[1,2]`, "SerializationException"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := put(t, url, tt.body); a.Status != 400 || a.Type != tt.code || a.Message == "" {
				t.Errorf("answer %+v", a)
			}
		})
	}
	if l := b.Ledger(); len(l.Published) != 0 || l.Calls != 7 {
		t.Errorf("ledger: %d published in %d calls", len(l.Published), l.Calls)
	}
}

func TestTheSumOfSmallEntriesIsWithinTheLimit(t *testing.T) {
	_, url := start(t, Options{Limit: 1000})
	if a := put(t, url, body(`{"a":"`+strings.Repeat("x", 600)+`"}`)); a.Status != 200 {
		t.Errorf("answer %+v", a)
	}
}

func TestUnknownOperation(t *testing.T) {
	_, url := start(t, Options{})
	if a := put(t, url, `{}`, "X-Amz-Target", "AWSEvents.ListRules"); a.Status != 400 || a.Type != "UnknownOperationException" {
		t.Errorf("answer %+v", a)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	b.Throttle(1)
	if a := put(t, url, body(`{}`)); a.Type != "ThrottlingException" {
		t.Errorf("throttled: %+v", a)
	}
	b.FailEntries("InternalFailure", 1)
	if a := put(t, url, body(`{}`)); a.FailedEntryCount != 1 || a.Entries[0].ErrorCode != "InternalFailure" {
		t.Errorf("failed: %+v", a)
	}
	b.Cut(1)
	if a := put(t, url, body(`{}`)); a.Status != 0 {
		t.Errorf("cut: %+v", a)
	}
	if a := put(t, url, body(`{}`)); a.Status != 200 {
		t.Errorf("afterwards: %+v", a)
	}
	settle(t, b)
	if n := len(in.messages()); n != 2 { // the cut call had been taken
		t.Errorf("%d deliveries", n)
	}
}

func TestAMisspeltBusSwallowsEvents(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	if a := put(t, url, body(`{}`, `"EventBusName":"tradng"`)); a.FailedEntryCount != 0 || a.Entries[0].EventId == "" {
		t.Errorf("answer %+v", a)
	}
	settle(t, b)
	if len(in.messages()) != 0 {
		t.Error("it was delivered")
	}
}

func TestBusesAreNamedOrGivenByARN(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{})
	if err := b.AddRule(Rule{Name: "t", Bus: "trading", Targets: []RuleTarget{{Target: in}}}); err != nil {
		t.Fatal(err)
	}
	put(t, url, body(`{}`, `"EventBusName":"trading"`))
	put(t, url, body(`{}`, `"EventBusName":"arn:aws:events:us-east-1:123456789012:event-bus/trading"`))
	put(t, url, body(`{}`))
	settle(t, b)
	if n := len(in.messages()); n != 2 {
		t.Errorf("%d deliveries", n)
	}
	if err := b.AddRule(Rule{Name: "x", Bus: "nowhere"}); err == nil {
		t.Error("a rule on a bus that is not there")
	}
	if err := b.AddRule(Rule{Name: "x", Pattern: `{"a":1}`}); err == nil {
		t.Error("a rule with a bad pattern")
	}
}

func TestTraceHeaders(t *testing.T) {
	const call, own = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "Root=1-5759e988-bd862e3fe1be46a994272794;Sampled=0"
	for name, tt := range map[string]struct{ entry, want string }{
		"TheCalls":                      {"", call},
		"TheEntrysWins":                 {`"TraceHeader":"` + own + `"`, own},
		"AMalformedOneWinsAndIsDropped": {`"TraceHeader":"nonsense"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := &recorder{name: "f"}
			b, url := start(t, Options{}, RuleTarget{Target: in})
			request := body(`{}`)
			if tt.entry != "" {
				request = body(`{}`, tt.entry)
			}
			put(t, url, request, "X-Amzn-Trace-Id", call)
			settle(t, b)
			m := in.messages()[0]
			if m.TraceHeader != tt.want || strings.Contains(string(m.Payload), "Root=") {
				t.Errorf("header %q, payload %s", m.TraceHeader, m.Payload)
			}
			b.Replay(Replay{Name: "monday"})
			settle(t, b)
			if got := in.messages()[1].TraceHeader; got != "" {
				t.Errorf("a replay has the header %q", got)
			}
		})
	}
}

func TestDeliveryIsRetriedThenDeadLettered(t *testing.T) {
	dead := &DeadLetters{}
	flaky := &recorder{name: "flaky", fail: func(n int) error {
		if n < 3 {
			return errTarget
		}
		return nil
	}}
	gone := &recorder{name: "gone", fail: func(int) error { return errTarget }}
	forbidden := &recorder{name: "forbidden", fail: func(int) error { return ErrPermanent }}
	b, url := start(t, Options{RetryDelay: time.Microsecond}, RuleTarget{Target: flaky}, RuleTarget{Target: gone, Retries: 2, DeadLetter: dead}, RuleTarget{Target: forbidden, DeadLetter: dead})
	put(t, url, body(`{}`))
	settle(t, b)
	if len(flaky.messages()) != 3 || len(gone.messages()) != 3 || len(forbidden.messages()) != 1 {
		t.Errorf("attempts %d, %d, %d", len(flaky.messages()), len(gone.messages()), len(forbidden.messages()))
	}
	for _, m := range dead.Messages() {
		attempts, retried := m.Attributes["RETRY_ATTEMPTS"]
		switch m.Attributes["TARGET_ARN"] {
		case "gone":
			if attempts != "2" || m.Attributes["EXHAUSTED_RETRY_CONDITION"] != "MaximumRetryAttempts" || m.Attributes["ERROR_CODE"] == "" || m.Attributes["ERROR_MESSAGE"] != errTarget.Error() || !strings.HasSuffix(m.Attributes["RULE_ARN"], "rule/default/all") {
				t.Errorf("attributes %v", m.Attributes)
			}
		case "forbidden":
			if _, condition := m.Attributes["EXHAUSTED_RETRY_CONDITION"]; retried || condition || m.Attributes["ERROR_CODE"] != "NO_PERMISSIONS" {
				t.Errorf("attributes %v", m.Attributes)
			}
		default:
			t.Errorf("a dead letter for %s", m.Attributes["TARGET_ARN"])
		}
		if m.Body != string(b.Ledger().Published[0].Envelope) {
			t.Errorf("body %s", m.Body)
		}
	}
	if len(dead.Messages()) != 2 {
		t.Errorf("%d dead letters", len(dead.Messages()))
	}
}

func TestFaultsOnPurpose(t *testing.T) {
	in := &recorder{name: "f"}
	release := make(chan struct{})
	b, url := start(t, Options{RetryDelay: time.Microsecond, Fault: func(d Delivery) Fault {
		switch {
		case d.Replay != "":
			return Fault{}
		case strings.Contains(d.Event.Detail, "twice"):
			return Fault{Duplicate: 1}
		case strings.Contains(d.Event.Detail, "late"):
			return Fault{Until: release}
		case strings.Contains(d.Event.Detail, "slow"):
			return Fault{Delay: time.Millisecond}
		case strings.Contains(d.Event.Detail, "fail"):
			return Fault{Fail: errTarget}
		}
		return Fault{}
	}}, RuleTarget{Target: in})
	for _, kind := range []string{"late", "twice", "slow", "fail"} {
		put(t, url, body(`{"kind":"`+kind+`"}`))
	}
	for deadline := time.Now().Add(10 * time.Second); len(in.messages()) < 4 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	close(release)
	settle(t, b)
	kinds := map[string]int{}
	for i, m := range in.messages() {
		kinds[m.Event.Detail]++
		if strings.Contains(m.Event.Detail, "late") && i != 4 {
			t.Errorf("the late one came as number %d", i)
		}
	}
	if kinds[`{"kind":"twice"}`] != 2 || kinds[`{"kind":"late"}`] != 1 || kinds[`{"kind":"slow"}`] != 1 || kinds[`{"kind":"fail"}`] != 1 {
		t.Errorf("deliveries %v", kinds)
	}
	duplicates, failures := 0, 0
	for _, d := range b.Ledger().Deliveries {
		if d.Duplicate {
			duplicates++
		}
		if d.Err != nil {
			failures++
		}
	}
	if duplicates != 1 || failures != 1 {
		t.Errorf("the ledger knows of %d duplicates and %d failures", duplicates, failures)
	}
}

func TestReplay(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	first := put(t, url, body(`{"n":1}`)).Entries[0].EventId
	put(t, url, body(`{"n":2}`))
	settle(t, b)
	if n := b.Replay(Replay{Name: "monday", Match: func(e *Event) bool { return e.ID == first }}); n != 1 {
		t.Errorf("%d events replayed", n)
	}
	settle(t, b)
	var envelope map[string]any
	if err := json.Unmarshal(in.messages()[2].Payload, &envelope); err != nil {
		t.Fatal(err)
	}
	if envelope["replay-name"] != "monday" || envelope["id"] != first {
		t.Errorf("envelope %v", envelope)
	}
	b.Replay(Replay{Name: "tuesday", NewIDs: true})
	b.Replay(Replay{Name: "wednesday", Rules: []string{"another"}})
	settle(t, b)
	if n := len(in.messages()); n != 5 {
		t.Fatalf("%d deliveries", n)
	}
	for _, m := range in.messages()[3:] {
		if m.Event.ID == first {
			t.Error("a replay with new IDs kept one")
		}
	}
}

func TestForwardKeepsTheEnvelope(t *testing.T) {
	in, there := &recorder{name: "here"}, &recorder{name: "there"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	if err := b.AddRule(Rule{Name: "t", Bus: "trading", Targets: []RuleTarget{{Target: there}}}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddRule(Rule{Name: "forward", Targets: []RuleTarget{{Target: Forward{To: b, Bus: "trading"}}}}); err != nil {
		t.Fatal(err)
	}
	put(t, url, body(spaced))
	settle(t, b)
	if len(there.messages()) != 1 || string(there.messages()[0].Payload) != string(in.messages()[0].Payload) {
		t.Errorf("forwarded %v", there.messages())
	}
}

func TestDetailOnly(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in, DetailOnly: true})
	put(t, url, body(spaced))
	settle(t, b)
	if got := string(in.messages()[0].Payload); got != spaced {
		t.Errorf("got %s", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	in := &recorder{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	const n = 50
	done := make(chan answer, n)
	for i := range n {
		go func() { done <- put(t, url, body(fmt.Sprintf(`{"n":%d}`, i))) }()
	}
	for range n {
		if a := <-done; a.Status != 200 {
			t.Errorf("answer %+v", a)
		}
	}
	settle(t, b)
	if got := len(in.messages()); got != n {
		t.Errorf("%d deliveries", got)
	}
}

func FuzzPut(f *testing.F) {
	f.Add([]byte(body(spaced, `"Time":1763930703.184`, `"Resources":["a"]`, `"TraceHeader":"Root=1"`)))
	f.Add([]byte(`{"Entries":[{"Source":null,"Time":"x"}]}`))
	f.Fuzz(func(t *testing.T, request []byte) {
		b := New(Options{})
		defer b.Close()
		results, problem := b.Put(request, "")
		if problem != nil {
			return
		}
		l := b.Ledger()
		if len(results) != len(l.Published)+l.Refused {
			t.Errorf("%d results, %d published, %d refused", len(results), len(l.Published), l.Refused)
		}
		for _, e := range l.Published {
			if !json.Valid(e.Envelope) || !strings.HasSuffix(string(e.Envelope), `"detail":`+e.Detail+`}`) {
				t.Errorf("envelope %s", e.Envelope)
			}
		}
	})
}
