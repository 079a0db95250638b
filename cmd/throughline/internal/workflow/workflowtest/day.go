package workflowtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Day makes the spans of a trading day: a clock creates a one-time schedule, which runs
// 16 strategies in parallel. 13 of them send 38 trades through a FIFO queue. The trades
// of each run are counted in a table, and the last one continues. There is one event of
// the data lake, and seven clock runs publish nothing. In total there are 131
// invocations; another one caused 122 of them, in two trees, and seven are alone.
func Day(start time.Time) (spans []workflow.Span, correlationID string) {
	const id = "daily-2026-11-23"
	w := &hopWorld{
		generator: generator{random: rand.New(rand.NewPCG(1, 131)), start: start}, ledger: Ledger{Edges: map[string]int{}},
		clock: start.Truncate(time.Second).UTC(), joined: map[string]string{}, queues: map[string][]message{},
	}
	clock := func(function string) task {
		tick := w.newID("tick")
		return w.invoke(function, tick, 0, map[string]any{"faas.trigger": "timer", lineage.AttrEventType: "Scheduled Event", lineage.AttrEventID: tick})
	}
	lasting := func(t task, took time.Duration) task {
		t.span.End = t.span.Start.Add(took)
		return t
	}
	event := func(t task, eventType, correlation string, size int) (publication workflow.Span, id string) {
		id = w.newID("event")
		p := workflow.Span{
			ID: workflow.ID{Trace: t.span.ID.Trace, Span: w.span()}, Parent: t.span.ID.Span, Kind: "PRODUCER", Name: "send " + eventType, Service: t.span.Service,
			Start: t.span.End.Add(-4 * time.Millisecond), End: t.span.End.Add(-time.Millisecond), Attributes: map[string]any{
				lineage.AttrCorrelationID: correlation, lineage.AttrEventID: id, lineage.AttrEventType: eventType, "messaging.operation.type": "send", lineage.AttrEntrySize: int64(size),
			},
		}
		w.add(p)
		return p, id
	}
	handled := func(function, eventType string, p workflow.Span, id, run string, took time.Duration) task {
		w.clock = p.End.Add(time.Duration(20+w.random.IntN(60)) * time.Millisecond)
		more := map[string]any{lineage.AttrEventType: eventType, lineage.AttrEventID: id, lineage.AttrLag: int64(40)}
		if run != "" {
			more[lineage.AttrRunID] = run
		}
		t := lasting(w.invoke(function, p.Text(lineage.AttrCorrelationID), 1, more), took)
		t.span.Links = []workflow.Link{link("causation", p.ID, id)}
		return t
	}
	const arn = "arn:aws:lambda:us-east-1:111122223333:function:"
	manager := lasting(clock("schedule-manager"), 180*time.Millisecond)
	due := w.clock.Add(3 * time.Second).Truncate(time.Second)
	w.hop(manager, workflow.ViaScheduler, "schedule daily-run", map[string]any{
		lineage.AttrScheduleARN: "arn:aws:scheduler:us-east-1:111122223333:schedule/default/daily", "throughline.schedule.target": arn + "orchestrator", "throughline.schedule.at": due.Format(time.RFC3339),
	})
	created, createdID := event(manager, "ScheduleCreated", id, 346)
	handled("notifications", "ScheduleCreated", created, createdID, "", 30*time.Millisecond)
	w.clock = due.Add(400 * time.Millisecond)
	orchestrator := lasting(w.invoke("orchestrator", id, 1, nil), 700*time.Millisecond)
	trades := [16]int{5, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1}
	began := w.clock
	var last task
	for n, count := range trades {
		w.clock = began.Add(time.Duration(n) * 25 * time.Millisecond)
		run := fmt.Sprintf("run-%02d", n)
		worker := lasting(w.invoke("strategy-worker", id, 2, map[string]any{"faas.coldstart": n > 3}), time.Duration(1500+w.random.IntN(1500))*time.Millisecond)
		w.hop(orchestrator, workflow.ViaLambda, "invoke strategy-worker", map[string]any{lineage.AttrCalleeRequestID: worker.request, "throughline.request.size": int64(412)})
		var done []task
		for k := range count {
			w.clock = worker.span.Start.Add(time.Duration(700+100*k) * time.Millisecond)
			m := w.newID("message")
			w.hop(worker, workflow.ViaSQS, "send trades.fifo", map[string]any{lineage.AttrMessageIDs: []any{m}, "messaging.destination.name": "trades.fifo", "messaging.message.body.size": int64(2811)})
			w.clock = worker.span.End.Add(time.Duration(n*120+k*350) * time.Millisecond)
			execution := lasting(w.invoke("execution", id, 3, map[string]any{lineage.AttrMessageIDs: []any{m}, "messaging.destination.name": "trades.fifo", lineage.AttrRunID: run}), time.Duration(200+w.random.IntN(300))*time.Millisecond)
			executed, executedID := event(execution, "TradeExecuted", id, 1326)
			done = append(done, handled("aggregator", "TradeExecuted", executed, executedID, run, time.Duration(30+w.random.IntN(40))*time.Millisecond))
		}
		if len(done) == 0 {
			continue
		}
		last = done[0]
		for _, t := range done {
			if t.span.End.After(last.span.End) {
				last = t
			}
		}
		all, allID := event(last, "AllTradesCompleted", id, 5420)
		handled("notifications", "AllTradesCompleted", all, allID, run, 25*time.Millisecond)
		handled("hedge-evaluator", "AllTradesCompleted", all, allID, run, 60*time.Millisecond)
	}
	all, allID := event(last, "AllStrategiesCompleted", id, 8800)
	handled("notifications", "AllStrategiesCompleted", all, allID, "", 90*time.Millisecond)
	w.clock = start.Add(time.Second)
	data := lasting(clock("data"), 900*time.Millisecond)
	refreshed, refreshedID := event(data, "DataLakeUpdateCompleted", "data-lake-1", 73076)
	handled("notifications", "DataLakeUpdateCompleted", refreshed, refreshedID, "", 25*time.Millisecond)
	for _, function := range []string{"account-data", "account-data", "account-data", "account-data", "analytics", "reports", "roll-manager"} {
		lasting(clock(function), 300*time.Millisecond)
	}
	return w.spans, id
}
