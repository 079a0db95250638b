package handling

import "time"

// once says that the event is claimed before it is handled. The events of a
// batch are only flagged: its handler takes them all or none.
func (i *Invocation) once() bool { return i.h.Once && len(i.Delivery.Events) == 1 }

// Claim asks for the right to handle the event, where that is to be done once.
// refused says that the handler must not run: the answer is the first
// handling's, JSON's null where it was not kept, or the error says that it goes
// on elsewhere.
func (i *Invocation) Claim() (answer []byte, refused bool, err error) {
	if i.h.Dedupe == nil || !i.once() {
		return nil, false, nil
	}
	defer func() {
		if recover() != nil { // ours or a store's fault: the event is handled
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
