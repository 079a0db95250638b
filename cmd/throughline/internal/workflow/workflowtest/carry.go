package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// send sends one to ten messages to a queue. Some of them fail.
func (w *hopWorld) send(t task) {
	queue := []string{"orders", "trades.fifo", "hedges"}[w.random.IntN(3)]
	count, failed := 1, 0
	if w.chance(50) {
		count = 2 + w.random.IntN(9)
	}
	var ids []any
	var sent []message
	for range count {
		if count > 1 && w.chance(15) {
			failed++
			continue
		}
		m := message{id: w.newID("message"), correlation: w.carried(t), from: t.request, via: workflow.ViaSQS, linked: w.chance(30)}
		ids, sent = append(ids, m.id), append(sent, m)
	}
	attributes := map[string]any{"messaging.destination.name": queue, lineage.AttrMessageIDs: ids}
	if failed > 0 {
		attributes["throughline.failed.count"] = int64(failed)
	}
	if count > 1 {
		attributes["messaging.batch.message_count"] = int64(count)
	}
	through := w.hop(t, workflow.ViaSQS, "send "+queue, attributes)
	if len(ids) > 0 && w.chance(8) { // another call that got the same ID
		w.hop(t, workflow.ViaSQS, "send "+queue, map[string]any{"messaging.destination.name": queue, lineage.AttrMessageIDs: []any{ids[0]}})
		if !sent[0].linked && queue != "trades.fifo" { // a FIFO queue delivers the first
			sent[0].from = ""
		}
	}
	for i := range sent {
		sent[i].through = through
	}
	w.queues[queue] = append(w.queues[queue], sent...)
}

// notify publishes to a topic: to a function, to five queues, or to a queue raw.
func (w *hopWorld) notify(t task) {
	id, correlation, linked := w.newID("notification"), w.carried(t), w.chance(30)
	through := w.hop(t, workflow.ViaSNS, "publish alerts", map[string]any{"messaging.destination.name": "alerts", lineage.AttrMessageIDs: []any{id}})
	m := message{notification: id, correlation: correlation, from: t.request, through: through, via: workflow.ViaSNS, linked: linked}
	switch w.random.IntN(3) {
	case 0:
		m.id = id
		w.deliver("alerts", "notifier", []message{m}, t.depth+1)
	case 1:
		for i := range 5 {
			m.id = w.newID("message")
			queue := fmt.Sprintf("fan-%d", i)
			w.queues[queue] = append(w.queues[queue], m)
		}
	default:
		m.id, m.notification = w.newID("message"), ""
		if !linked {
			m.from = ""
		}
		w.queues["raw"] = append(w.queues["raw"], m)
	}
}

// drain polls each queue once.
func (w *hopWorld) drain() {
	for _, queue := range slices.Sorted(maps.Keys(w.queues)) {
		waiting := w.queues[queue]
		w.random.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
		size := min(len(waiting), 1+w.random.IntN(10))
		batch := slices.Clone(waiting[:size])
		if w.queues[queue] = waiting[size:]; len(waiting) == size {
			delete(w.queues, queue)
		}
		w.deliver(queue, "poll-"+queue, batch, 3)
		if queue == "dead" || !w.chance(25) {
			continue
		}
		for _, m := range batch { // the failed ones are received again
			switch m.receives++; {
			case m.receives < 3:
				w.queues[queue] = append(w.queues[queue], m)
			case w.chance(50):
				w.queues["dead"] = append(w.queues["dead"], m) // with the same ID
			default: // redriven messages get a new ID
				if m.id, m.receives = w.newID("message"), 0; !m.linked && m.notification == "" {
					m.from = ""
				}
				w.queues[queue] = append(w.queues[queue], m)
			}
		}
	}
}

// deliver delivers messages to a function.
func (w *hopWorld) deliver(queue, function string, batch []message, depth int) {
	var ids, notifications []any
	correlation := batch[0].correlation
	for _, m := range batch {
		ids = append(ids, m.id)
		if m.notification != "" {
			notifications = append(notifications, m.notification)
		}
		if m.correlation != correlation {
			correlation = ""
		}
	}
	more := map[string]any{"messaging.destination.name": queue, lineage.AttrMessageIDs: ids, lineage.AttrEventID: batch[0].id}
	if len(notifications) > 0 {
		more[lineage.AttrNotificationIDs] = notifications
	}
	if len(batch) > 1 {
		more["messaging.batch.message_count"] = int64(len(batch))
		delete(more, lineage.AttrEventID)
	} else if correlation == "" {
		correlation = batch[0].id // its own ID becomes the correlation ID
		if batch[0].notification != "" {
			correlation = batch[0].notification
		}
	}
	t := w.invoke(function, correlation, depth, more)
	if len(batch) > 1 {
		t.workflow = correlation
	}
	linked := map[workflow.ID]bool{} // the spans that sent messages of the batch
	for _, m := range batch {
		linked[m.through] = linked[m.through] || m.linked
	}
	for _, m := range batch {
		how := workflow.Joined
		if linked[m.through] {
			how = workflow.Linked
		}
		if m.linked {
			t.span.Links = append(t.span.Links, workflow.Link{To: m.through, Why: "causation", Sampled: true,
				Attributes: map[string]any{lineage.AttrLink: "causation", lineage.AttrEventID: m.id, "messaging.message.id": m.id}})
		}
		if m.from == "" {
			w.ledger.Unknown++
			continue
		}
		w.edge(m.from, t.request, m.through, m.via, how)
	}
	if t.workflow == "" { // a batch of several workflows: its results belong to none of them
		return
	}
	w.work(t)
}

// call invokes a function, which can fail three times and have a destination.
func (w *hopWorld) call(t task) {
	correlation := w.carried(t)
	if correlation != "" && w.chance(10) {
		correlation = "sync-" + correlation // a new correlation ID
	}
	callee := w.invoke("worker", correlation, t.depth+1, nil)
	through := w.hop(t, workflow.ViaLambda, "invoke worker", map[string]any{"faas.invoked_name": "worker", lineage.AttrCalleeRequestID: callee.request})
	w.edge(t.request, callee.request, through, workflow.ViaLambda, workflow.Joined)
	if !w.chance(20) {
		w.work(callee)
		return
	}
	for range 2 {
		w.attempt(callee.request, "worker", correlation, t.depth+1, nil)
	}
	result := w.invoke("notifier", correlation, t.depth+2, map[string]any{lineage.AttrOriginRequestID: callee.request})
	w.edge(callee.request, result.request, workflow.ID{}, workflow.ViaDestination, workflow.Joined)
}

func (w *hopWorld) startExecution(t task) {
	arn := "arn:aws:states:us-east-1:111122223333:execution:settle:" + w.newID("run")
	through := w.hop(t, workflow.ViaStates, "start settle", map[string]any{lineage.AttrExecutionARN: arn})
	for range 1 + w.random.IntN(3) {
		step := w.invoke("step", w.carried(t), t.depth+1, map[string]any{lineage.AttrExecutionARN: arn})
		w.edge(t.request, step.request, through, workflow.ViaStates, workflow.Joined)
		w.work(step)
	}
}

// schedule schedules a single invocation of a function in a few seconds.
func (w *hopWorld) schedule(t task) {
	const target = "arn:aws:lambda:us-east-1:111122223333:function:"
	function, arn := "planned-"+w.newID("f"), "arn:aws:scheduler:us-east-1:111122223333:schedule/default/"+w.newID("schedule")
	w.clock = w.clock.Add(time.Second)
	due := w.clock.Add(2 * time.Second).Truncate(time.Second)
	through := w.hop(t, workflow.ViaScheduler, "schedule "+function, map[string]any{
		lineage.AttrScheduleARN: arn, "throughline.schedule.target": target + function, "throughline.schedule.at": due.Format(time.RFC3339),
	})
	w.clock = due.Add(time.Second)
	switch w.random.IntN(3) {
	case 0: // the input has the schedule's ARN
		run := w.invoke(function, w.carried(t), t.depth+1, map[string]any{lineage.AttrScheduleARN: arn})
		w.edge(t.request, run.request, through, workflow.ViaScheduler, workflow.Joined)
		w.work(run)
	case 1:
		run := w.invoke(function, t.workflow, t.depth+1, nil)
		w.edge(t.request, run.request, through, workflow.ViaScheduler, workflow.Inferred)
		w.work(run)
	default: // neither the ARN nor the correlation ID: the cause is unknown
		w.work(w.invoke(function, w.newID("stranger"), 6, nil))
		w.ledger.Unknown++
	}
}

// stream puts records into a stream, which are read as one batch.
func (w *hopWorld) stream(t task) {
	var ids []any
	for range 1 + w.random.IntN(4) {
		ids = append(ids, "shardId-000000000001:"+w.newID("4959"))
	}
	through := w.hop(t, workflow.ViaKinesis, "send ticks", map[string]any{"messaging.destination.name": "ticks", lineage.AttrMessageIDs: ids})
	batch := make([]message, len(ids))
	correlation := w.carried(t)
	for i, id := range ids {
		batch[i] = message{id: fmt.Sprint(id), correlation: correlation, from: t.request, through: through, via: workflow.ViaKinesis}
	}
	w.deliver("ticks", "reader", batch, t.depth+1)
}

// publish publishes an event, which one to three functions handle.
func (w *hopWorld) publish(t task) {
	id, at := w.newID("event"), w.tick()
	p := workflow.Span{
		ID: workflow.ID{Trace: t.span.ID.Trace, Span: w.span()}, Parent: t.span.ID.Span, Kind: "PRODUCER", Name: "send Planned", Service: t.span.Service,
		Start: at, End: at.Add(2 * time.Millisecond), Attributes: map[string]any{
			lineage.AttrCorrelationID: t.workflow, lineage.AttrEventID: id, lineage.AttrEventType: "Planned", "messaging.operation.type": "send",
		},
	}
	w.add(p)
	for i := range 1 + w.random.IntN(3) {
		h := w.invoke(fmt.Sprintf("consumer-%d", i), t.workflow, t.depth+1, map[string]any{lineage.AttrEventID: id, lineage.AttrEventType: "Planned"})
		h.span.Links = []workflow.Link{link("causation", p.ID, id)}
		w.edge(t.request, h.request, p.ID, workflow.ViaBus, workflow.Linked)
		w.work(h)
	}
}
