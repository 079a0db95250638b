package handling

import "time"

// once reports whether the event is claimed before it is handled. The events of a
// batch are only flagged, because the handler gets all of them or none.
func (i *Invocation) once() bool { return i.h.Once && len(i.Delivery.Events) == 1 }

// Claim claims the event, if events are to be handled once. If refused is true, the
// handler must not run: answer is that of the first handling, JSON's null if it was
// not stored, or err says that the event is being handled elsewhere.
func (i *Invocation) Claim() (answer []byte, refused bool, err error) {
	if i.h.Dedupe == nil || !i.once() {
		return nil, false, nil
	}
	defer func() {
		if recover() != nil { // a panic of Throughline or of a store: the event is handled
			answer, refused, err = nil, false, nil
			i.refused = false
			i.h.Metrics.Dropped(1)
		}
	}()
	lease, ok := i.Context.Deadline()
	if !ok {
		lease = time.Time{}
	}
	claim := i.h.Dedupe.Claim(i.Context, i.deliveries()[0], lease)
	i.refused = !claim.Granted()
	i.flag(&i.Delivery.Events[0], claim.Verdict)
	if !i.refused {
		i.claim = claim
		return nil, false, nil
	}
	if answer, err = claim.Result(); answer == nil && err == nil {
		answer = []byte("null")
	}
	return answer, true, err
}
