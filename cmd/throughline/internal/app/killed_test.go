package app

import (
	"fmt"
	"testing"
)

// TestKilledInvocationsAreSeen: every attempt at an invocation has the span of its
// invocation, once, whatever the runtime was doing when it was killed; and those that
// succeed have that of their event too.
func TestKilledInvocationsAreSeen(t *testing.T) {
	s := playing(t, "testdata/killed/template.yaml", Flags{faults: []string{"kill:30%"}, concurrency: 1})
	const each = 50
	done := make(chan error, 2)
	for _, function := range []string{"Py", "Js"} {
		go func() {
			for n := range each {
				event := fmt.Sprintf(`{"detail-type":"Asked","source":"test","id":"%s-%d","detail":{"event_id":"%[2]d"}}`, function, n)
				if _, err := s.stage.Invoke(t.Context(), function, []byte(event), false); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	all := append(s.stage.Invocations("Py"), s.stage.Invocations("Js")...)
	s.close()
	_, spans, err := s.collector.Spans()
	if err != nil {
		t.Fatal(err)
	}
	invocations, handlings, failed := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, span := range spans {
		id := span.Text("faas.invocation_id")
		switch span.Kind {
		case "SERVER":
			invocations[id]++
			failed[id] = span.Error
		case "CONSUMER":
			handlings[id]++
		}
	}
	killed, unseen := 0, 0
	for _, i := range all {
		dead := i.ErrorType == "Runtime.ExitError"
		what := fmt.Sprintf("%s, %s %s, fetched after %s", i.RequestID, i.Status, i.ErrorType, i.Fetched.Sub(i.Start))
		if invocations[i.RequestID] != 1 || failed[i.RequestID] != dead {
			t.Errorf("of %s there are %d spans, in error: %t", what, invocations[i.RequestID], failed[i.RequestID])
		}
		if n := handlings[i.RequestID]; n > 1 || n == 0 && !dead {
			t.Errorf("of %s there are %d spans of its event", what, n)
		}
		if dead {
			killed++
			unseen += 1 - handlings[i.RequestID]
		}
	}
	t.Logf("of %d invocations %d were killed, %d of them before their event was seen", len(all), killed, unseen)
	if len(all) != 2*each || killed > s.struck("kill:30%") || killed == 0 {
		t.Errorf("%d invocations, %d of them killed, where %d were struck", len(all), killed, s.struck("kill:30%"))
	}
}
