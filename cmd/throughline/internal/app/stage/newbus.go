package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// makeNewBuses makes the new custom buses and what their subscribers send to.
func (s *Stage) makeNewBuses() error {
	for _, b := range s.plan.NewBuses {
		bus, err := s.fresh.CreateBus(b.Name, b.Days)
		if err != nil {
			return fmt.Errorf("the bus %s: %w", b.ID, err)
		}
		s.newBuses[bus.ARN] = bus
	}
	for _, sub := range s.plan.Subscribers {
		if !plan.IsNewBus(sub.Target) {
			s.fresh.Target(sub.Target, newTarget{s, sub.Target})
		}
		if sub.DeadLetter != "" {
			s.fresh.DeadLetters(sub.DeadLetter, s.records(sub.ID, sub.DeadLetter))
		}
	}
	for _, sub := range s.plan.Subscribers {
		spec := eventsv2local.Spec{
			Name: sub.Name, FIFO: sub.FIFO, MaxBatch: sub.Batch, Window: sub.Window, MaxAge: sub.MaxAge, DeadLetters: sub.DeadLetter, Stopped: sub.Stopped,
			Transformer: eventsv2local.Transformer{Type: eventsv2local.TransformerType(sub.Transformer), Expression: sub.Expression},
			Invoke:      eventsv2local.Invoke{TargetARN: sub.Target, Sync: sub.Sync, Attributes: sub.Attributes, TraceHeader: sub.TraceHeader, Metadata: sub.Metadata, Group: sub.Group, DeduplicationID: sub.DeduplicationID},
		}
		if sub.Retries >= 0 {
			spec.MaxRetries = &sub.Retries
		}
		for _, f := range sub.Filters {
			spec.Filters = append(spec.Filters, eventsv2local.Filter{Pattern: f.Pattern, Scope: eventsv2local.Scope(f.Scope)})
		}
		if sub.Stopped {
			s.note("the subscriber %s is stopped", sub.ID)
		}
		if _, err := s.newBuses[sub.Bus].Subscribe(spec); err != nil {
			s.note("the subscriber %s is not played: %v", sub.ID, err) // as of a JSONata that the stand does not know
		}
	}
	return nil
}

// records puts the records of events that were given up into a queue.
func (s *Stage) records(id, arn string) *eventsv2local.DeadLetters {
	q := s.queues.Queue(arn)
	if q == nil {
		s.note("%s: its dead-letter queue %s is not played", id, arn)
	}
	return &eventsv2local.DeadLetters{To: func(l eventsv2local.Letter) {
		if s.options.Record {
			s.mu.Lock()
			s.letters = append(s.letters, buslocal.DeadLetter{Body: l.Body, Attributes: l.Attributes})
			s.mu.Unlock()
		}
		entry := sqslocal.Entry{MessageBody: l.Body, MessageAttributes: map[string]sqslocal.Attribute{}}
		for name, value := range l.Attributes {
			entry.MessageAttributes[name] = sqslocal.String(value)
		}
		if q != nil {
			_, _ = q.Send(entry, "") // a queue that refuses it loses it
		}
	}}
}

// newTarget brings batches of a new custom bus to a function, a queue, a topic or a classic
// bus.
type newTarget struct {
	stage *Stage
	arn   string
}

// Name implements eventsv2local.Target.
func (t newTarget) Name() string { return plan.NameOf(t.arn) }

// Deliver implements eventsv2local.Target.
func (t newTarget) Deliver(ctx context.Context, b eventsv2local.Batch) (failed []string, err error) {
	if plan.ServiceOf(t.arn) == "lambda" {
		return t.stage.handBatch(ctx, t.arn, b)
	}
	var last error
	for _, v := range b.Events {
		if err := t.stage.handOne(ctx, t.arn, v); err != nil {
			failed, last = append(failed, v.Event.ID), err
		}
	}
	if len(failed) == len(b.Events) {
		return nil, last
	}
	return failed, nil
}

// handBatch invokes a function. Where its answer is waited for, an error of the function's
// fails the batch, and batchItemFailures the events that it names.
func (s *Stage) handBatch(ctx context.Context, arn string, b eventsv2local.Batch) ([]string, error) {
	invoke := func(ctx context.Context, payload []byte, sync bool) ([]byte, error) {
		name := plan.NameOf(arn)
		if !sync {
			_, err := s.async(arn, payload, "")
			return nil, inWords(err)
		}
		if s.options.Faults.Throttled(name) {
			return nil, inWords(lambdalocal.ErrThrottled)
		}
		result, err := s.lambda.Deployment(name).Invoke(ctx, payload, lambdalocal.InvokeOptions{})
		if err == nil && result.FunctionError != "" {
			return nil, &eventsv2local.DeliveryError{Code: "COMPUTE_EXECUTION_ERROR", Message: result.FunctionError + ": " + string(result.Payload)}
		}
		return result.Payload, inWords(err)
	}
	return eventsv2local.Function{FunctionName: plan.NameOf(arn), Invoke: invoke}.Deliver(ctx, b)
}

// inWords is an error as a record says it.
func inWords(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, lambdalocal.ErrThrottled):
		return &eventsv2local.DeliveryError{Code: "THROTTLING", Message: err.Error()}
	case errors.Is(err, buslocal.ErrPermanent):
		return &eventsv2local.DeliveryError{Code: "RESOURCE_NOT_FOUND", Message: err.Error()}
	}
	return err
}

// handOne brings one event to a queue, a topic or a classic bus.
func (s *Stage) handOne(ctx context.Context, arn string, v eventsv2local.View) error {
	switch plan.ServiceOf(arn) {
	case "sqs":
		entry := sqslocal.Entry{MessageBody: string(v.Payload), MessageGroupID: v.Group, MessageDeduplicationID: v.DeduplicationID, MessageAttributes: map[string]sqslocal.Attribute{}}
		for name, value := range v.Attributes {
			entry.MessageAttributes[name] = sqslocal.String(value)
		}
		_, err := s.queues.Queue(arn).Send(entry, v.TraceHeader)
		return err
	case "sns":
		message := snslocal.Message{Message: string(v.Payload), GroupID: v.Group, DedupID: v.DeduplicationID, Attributes: map[string]sqslocal.Attribute{}}
		for name, value := range v.Attributes {
			message.Attributes[name] = sqslocal.String(value)
		}
		_, err := s.topics.Publish(arn, message, "")
		return err
	}
	e := v.Event.Event
	if v.Replayed && e.Replay == "" { // a point in time has no name
		e.Replay = "REPLAY"
	}
	return buslocal.Forward{To: s.bus, Bus: plan.NameOf(arn)}.Deliver(ctx, buslocal.Message{Payload: v.Payload, Event: &e})
}

// newBus is the new bus of an ARN, or of a name that no classic bus has.
func (s *Stage) newBus(name string) *plan.NewBus {
	if bus := s.plan.NewBus(name); bus != nil || name == "default" || slices.Contains(s.plan.Buses, name) {
		return bus
	}
	for i := range s.plan.NewBuses {
		if s.plan.NewBuses[i].Name == name {
			return &s.plan.NewBuses[i]
		}
	}
	return nil
}

// called is how an event names a new bus: by its name, or its ARN where a classic bus has
// the same name.
func (s *Stage) called(arn string) string {
	if name := plan.NewBusName(arn); s.newBus(name) != nil {
		return name
	}
	return arn
}

// samples are the filters of subscribers on the data of events, as samples are made of them.
func (s *Stage) samples() []eventfile.Rule {
	var list []eventfile.Rule
	for _, sub := range s.plan.Subscribers {
		for _, f := range sub.Filters {
			if f.Scope == string(eventsv2local.ScopeData) && !sub.Stopped {
				list = append(list, eventfile.Rule{Bus: s.called(sub.Bus), Pattern: f.Pattern})
				break
			}
		}
	}
	return list
}

// misses says what of a subscriber's filters an event of PutEvents does not match.
func misses(sub plan.Subscriber, e buslocal.Event) (all []eventpattern.Miss, ok bool) {
	delivery := "LIVE"
	if e.Replay != "" {
		delivery = "REPLAY"
	}
	system, _ := json.Marshal(map[string]string{"aws:Source": e.Source, "aws:DetailType": e.DetailType, "ContentType": "application/eventbridge+json", "aws:DeliveryType": delivery, "aws:EventId": e.ID}) // texts always marshal
	parts := map[string][]byte{"DATA": e.Envelope, "METADATA": []byte("{}"), "SYSTEM_METADATA": system}
	for _, f := range sub.Filters {
		pattern, err := eventpattern.Compile([]byte(f.Pattern))
		if err != nil {
			return nil, false
		}
		read, err := eventpattern.Read(parts[f.Scope])
		if err != nil {
			return nil, false
		}
		all = append(all, pattern.Explain(read)...)
	}
	return all, true
}

// busNames are the buses that an event can be sent to.
func (s *Stage) busNames() []string {
	buses := append([]string{"default"}, s.plan.Buses...)
	for _, b := range s.plan.NewBuses {
		buses = append(buses, s.called(b.ARN))
	}
	return buses
}

// ErrNoBus is wrapped by the error of [Stage.Send] for an event of a bus that the
// application does not have.
var ErrNoBus = errors.New("there is no bus")

// missing says that there is no such bus.
func (s *Stage) missing(name string) error {
	return fmt.Errorf("%w %s: the buses are %s", ErrNoBus, name, strings.Join(s.busNames(), ", "))
}
