package demo

import (
	"context"
	"fmt"
	"slices"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/lambdalocal"
)

// newBus is the new custom bus of a day that uses one. The events of hedge and their
// topic stay on the classic bus, as during a migration.
type newBus struct {
	service *eventsv2local.Service
	bus     *eventsv2local.Bus
	letters eventsv2local.DeadLetters
}

var deadRecords = arn("sqs", "dead-records")

// startNewBus starts the bus and returns the environment that makes functions use it.
func (s *stage) startNewBus() (map[string]string, error) {
	n := &newBus{service: eventsv2local.New(eventsv2local.Options{Limit: sizeLimit, Fault: s.fault})}
	s.newBus = n
	url, err := n.service.Start()
	if err != nil {
		return nil, err
	}
	if n.bus, err = n.service.CreateBus(bus, 0); err != nil {
		return nil, err
	}
	n.service.DeadLetters(deadRecords, &n.letters)
	for _, f := range functions {
		n.service.Target(arn("lambda", "function:"+f.name), &functionOfBus{s, f.name})
	}
	return map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGEV2": url, "TRADINGDAY_NEW_BUS": n.bus.ARN}, nil
}

// functionOfBus invokes a function asynchronously with batches, as a subscriber does by
// default, and records the deliveries.
type functionOfBus struct {
	stage *stage
	name  string
}

func (f *functionOfBus) Name() string { return f.name }

func (f *functionOfBus) Deliver(_ context.Context, b eventsv2local.Batch) ([]string, error) {
	request, err := f.stage.deployed[f.name].InvokeAsync(b.Payload, lambdalocal.InvokeOptions{})
	if err != nil {
		return nil, err
	}
	for _, view := range b.Events {
		e := view.Event.Event
		if view.Replayed {
			e.Replay = replayOfBus
		}
		f.stage.note(handled{function: f.name, event: &e, request: request})
	}
	return nil, nil
}

// replayOfBus is the ledger's name for a replay of a new bus, which has no name.
const replayOfBus = "REPLAY"

// subscribe creates the subscribers of the day: with transformers, single events, batches
// and a queue.
func (s *stage) subscribe() error {
	once := 0
	of := func(name, function, detailType string, transformer eventsv2local.TransformerType, batch int) eventsv2local.Spec {
		return eventsv2local.Spec{
			Name: name, Invoke: eventsv2local.Invoke{TargetARN: arn("lambda", "function:"+function)}, DeadLetters: deadRecords,
			Filters:     []eventsv2local.Filter{{Pattern: pattern(detailType), Scope: eventsv2local.ScopeData}},
			Transformer: eventsv2local.Transformer{Type: transformer}, MaxBatch: batch,
		}
	}
	plans := of("plans", "", "RebalancePlanned", eventsv2local.Raw, 1)
	plans.Invoke.TargetARN = s.queue("plans", "execution")
	schedules := of("schedules", "notifications", "ScheduleCreated", eventsv2local.WithMetadata, 1)
	schedules.MaxRetries = &once
	for _, spec := range []eventsv2local.Spec{
		plans, schedules,
		of("signals", "portfolio", "SignalGenerated", eventsv2local.Raw, 1),
		of("trades", "aggregator", "TradeExecuted", eventsv2local.Raw, 1),
		of("trades-notifications", "notifications", "TradeExecuted", eventsv2local.WithMetadata, 1),
		of("completed", "hedge", "AllTradesCompleted", eventsv2local.Raw, 1),
		of("completed-notifications", "notifications", "AllTradesCompleted", eventsv2local.Raw, 0),
		of("data", "reports", "DataLakeUpdateCompleted", eventsv2local.Raw, 1),
	} {
		if _, err := s.newBus.bus.Subscribe(spec); err != nil {
			return fmt.Errorf("subscribe %s: %w", spec.Name, err)
		}
		s.subscribers = append(s.subscribers, spec)
	}
	return nil
}

// queue returns the ARN of a queue that a function consumes.
func (s *stage) queue(name, function string) string {
	q := &buslocal.Queue{QueueName: name, Bus: s.bus, Consume: s.consume(function)}
	s.newBus.service.Target(arn("sqs", name), eventsv2local.Each{To: q})
	return arn("sqs", name)
}

// again delivers events once more. On the new bus, a subscriber that starts at the oldest
// event replaces an archive.
func (s *stage) again(name, target string, filter eventsv2local.Filter) error {
	_, err := s.newBus.bus.Subscribe(eventsv2local.Spec{
		Name: name, Invoke: eventsv2local.Invoke{TargetARN: target}, Filters: []eventsv2local.Filter{filter},
		Transformer: eventsv2local.Transformer{Type: eventsv2local.WithMetadata}, MaxBatch: 1, Horizon: true,
	})
	return err
}

// redriveRecords sends the events that dead-letter records name to a queue.
func (s *stage) redriveRecords() error {
	target := s.queue(redriven, "notifications")
	for n, letter := range s.newBus.letters.Letters() {
		for _, e := range letter.Events {
			filter := eventsv2local.Filter{Pattern: fmt.Sprintf(`{"aws:EventId":[%q]}`, e.ID), Scope: eventsv2local.ScopeSystemMetadata}
			if err := s.again(fmt.Sprintf("redrive-%d", n+1), target, filter); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) replayNewBus(detailType string, functions ...string) error {
	for _, f := range functions {
		if err := s.again("replay-"+f, arn("lambda", "function:"+f), eventsv2local.Filter{Pattern: pattern(detailType), Scope: eventsv2local.ScopeData}); err != nil {
			return err
		}
	}
	return nil
}

// ledger returns the ledger of both buses in order of time.
func (s *stage) ledger() buslocal.Ledger {
	l := s.bus.Ledger()
	if s.newBus == nil {
		return l
	}
	n := s.newBus.service.Ledger()
	l.Refused += n.Refused
	l.Published = append(l.Published, n.Published...)
	slices.SortStableFunc(l.Published, func(a, b *buslocal.Event) int { return a.Taken.Compare(b.Taken) })
	l.Deliveries = append(l.Deliveries, n.Deliveries...)
	slices.SortStableFunc(l.Deliveries, func(a, b buslocal.Delivery) int { return a.At.Compare(b.At) })
	return l
}
