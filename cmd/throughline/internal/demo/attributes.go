package demo

import (
	"fmt"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/local/buslocal"
)

// attributes checks each span's attributes on its event and its invocation against what
// was sent and what Lambda did.
func (v *verifier) attributes() {
	byPublisher := map[workflow.ID]*buslocal.Event{}
	for _, e := range v.truth.ledger.Published {
		byPublisher[publisher(e)] = e
		s := v.spans[publisher(e)]
		if s == nil {
			continue // published reports it
		}
		v.lineage(s, e)
		v.says(s, "messaging.destination.name", e.Bus)
		v.says(s, "messaging.message.id", e.ID)
	}
	cold := map[string]bool{}
	for _, invocations := range v.truth.invocations {
		for _, i := range invocations {
			cold[i.RequestID] = cold[i.RequestID] || i.ColdStart
		}
	}
	replayed := 0
	for i := range v.reported.spans {
		s := &v.reported.spans[i]
		if s.Kind != "CONSUMER" {
			continue
		}
		request := s.Text("faas.invocation_id")
		wasCold, known := cold[request]
		if !known {
			v.differ("%s at %s: it names the invocation %q, which does not exist", s.Name, s.Service, request)
		}
		v.says(s, "faas.coldstart", fmt.Sprint(wasCold))
		if s.Text("throughline.replay.name") != "" {
			replayed++
		}
		causes := links(s, "causation")
		if len(causes) != 1 || byPublisher[causes[0]] == nil {
			continue // a batch span has the attributes that its records share; handlings reports the rest
		}
		e := byPublisher[causes[0]]
		v.lineage(s, e)
		v.says(s, "throughline.event.id", eventID(e))
		if id := s.Text("messaging.message.id"); id == "" || id != e.EnvelopeID { // a target without metadata gets only this ID
			v.says(s, "messaging.message.id", e.ID)
		}
		v.queue(s, e)
	}
	happened := 0
	for _, h := range v.truth.handled {
		if h.event.Replay != "" {
			happened++
		}
	}
	v.count("process spans of replayed events", float64(replayed), happened)
}

// lineage checks the attributes that the publishing span and the process span of an event
// share.
func (v *verifier) lineage(s *workflow.Span, e *buslocal.Event) {
	parent := e.Line("parent")
	if parent == "" && e.Line("hops") != "0" {
		parent = e.Line("causation")
	}
	for key, want := range map[string]string{
		"throughline.event.type": e.DetailType, "throughline.event.source": e.Source, "throughline.correlation.id": e.Line("correlation"), "messaging.message.conversation_id": e.Line("correlation"),
		"throughline.causation.id": e.Line("causation"), "throughline.parent.event.id": parent, "throughline.hops": e.Line("hops"), "messaging.system": "aws.eventbridge",
	} {
		v.says(s, key, want)
	}
}

// queue checks the queue or topic that an event's span names.
func (v *verifier) queue(s *workflow.Span, e *buslocal.Event) {
	named := s.Text("messaging.destination.name")
	came := named == ""
	for _, r := range v.truth.ledger.Receipts {
		came = came || r.Queue == named && r.Event.ID == e.ID
	}
	for _, d := range v.truth.ledger.Deliveries {
		came = came || d.Target == named && d.Event.ID == e.ID
	}
	if !came {
		v.differ("%s at %s: it says that the event came through %s", s.Name, s.Service, named)
	}
}

func (v *verifier) says(s *workflow.Span, key, want string) {
	if got := s.Text(key); got != want {
		v.differ("%s at %s: its %s is %q, it was %q", s.Name, s.Service, key, got, want)
	}
}
