package eventsv2local

import (
	"context"
	"testing"

	"github.com/throughline/throughline/local/buslocal"
)

func TestBusToBus(t *testing.T) {
	s := newStage(t, Options{KeepMetadata: true})
	other, err := s.CreateBus("other", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.bus.Subscribe(Spec{Name: "on", Invoke: Invoke{TargetARN: other.ARN}}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Subscribe(Spec{Name: "back", Invoke: Invoke{TargetARN: s.bus.ARN}, DeadLetters: queueARN, MaxRetries: number(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Subscribe(Spec{Name: "s", Invoke: Invoke{TargetARN: function}, MaxBatch: 1, Transformer: Transformer{Type: WithMetadata}}); err != nil {
		t.Fatal(err)
	}
	results := s.put(`{"n":1}`)
	s.wait()
	e := parse[three](t, s.h.seen()[0])
	first := s.bus.Events()[0]
	if string(e.Data) != string(first.Data) || e.SystemMetadata["aws:EventId"] == results[0].EventID || e.SystemMetadata["aws:SequenceNumber"] == first.Sequence {
		t.Errorf("%+v", e)
	}
	if l := s.dead.Letters(); len(l) != 1 || l[0].Attributes["ERROR_CODE"] != "LOOP_DETECTED" {
		t.Errorf("%+v", l)
	}
}

// From a classic bus its envelope is the data, and back it is the event.
func TestClassicBothWays(t *testing.T) {
	s := newStage(t, Options{})
	before, after := buslocal.New(buslocal.Options{}), buslocal.New(buslocal.Options{})
	t.Cleanup(before.Close)
	t.Cleanup(after.Close)
	if err := before.AddRule(buslocal.Rule{Name: "on", Targets: []buslocal.RuleTarget{{Target: s.bus.OfClassic()}}}); err != nil {
		t.Fatal(err)
	}
	const classicBus = "arn:aws:events:us-east-1:123456789012:event-bus/default"
	s.Target(classicBus, Each{buslocal.Forward{To: after}})
	if _, err := s.bus.Subscribe(Spec{Name: "back", Invoke: Invoke{TargetARN: classicBus}}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	if err := after.AddRule(buslocal.Rule{Name: "f", Targets: []buslocal.RuleTarget{{Target: buslocal.Function{FunctionName: "f", Invoke: func(_ context.Context, payload []byte, _ string) error {
		got <- string(payload)
		return nil
	}}}}}); err != nil {
		t.Fatal(err)
	}
	if _, problem := before.Put([]byte(`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"n\":1}","Resources":["hops:0"]}]}`), ""); problem != nil {
		t.Fatal(problem)
	}
	envelope := string(before.Ledger().Published[0].Envelope)
	if arrived := <-got; arrived != envelope || string(s.bus.Events()[0].Data) != envelope {
		t.Errorf("%s\nwas %s", arrived, envelope)
	}
}

// A queue gets one message for each event, with what the subscriber's parameters say.
func TestParametersOfAQueue(t *testing.T) {
	s := newStage(t, Options{})
	var views []View
	s.Target("arn:aws:sqs:us-east-1:123456789012:q", targetFunc(func(b Batch) ([]string, error) { views = append(views, b.Events...); return nil, nil }))
	if _, err := s.bus.Subscribe(Spec{Name: "q", Invoke: Invoke{TargetARN: "arn:aws:sqs:us-east-1:123456789012:q", Attributes: map[string]string{"traceparent": "{% $events.Metadata.traceparent %}", "kind": "raw"},
		TraceHeader: `{% "Root=" & $events.Metadata.root %}`}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte(`{"n":1}`), Metadata: map[string]string{"traceparent": "00-x", "root": "1-2"}}}, true, false); err != nil {
		t.Fatal(err)
	}
	s.wait()
	if len(views) != 1 || string(views[0].Payload) != `{"n":1}` || views[0].Attributes["traceparent"] != "00-x" || views[0].Attributes["kind"] != "raw" || views[0].TraceHeader != "Root=1-2" {
		t.Errorf("%+v", views)
	}
}

type targetFunc func(Batch) ([]string, error)

func (targetFunc) Name() string                                           { return "target" }
func (f targetFunc) Deliver(_ context.Context, b Batch) ([]string, error) { return f(b) }
