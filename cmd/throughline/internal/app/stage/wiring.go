package stage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/apilocal"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/schedulerlocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// makeQueues creates the queues, then sets their redrive policies, because each names
// another queue.
func (s *Stage) makeQueues() error {
	for _, q := range s.plan.Queues {
		attributes := maps.Clone(q.Attributes)
		delete(attributes, "RedrivePolicy")
		if _, err := s.queues.Create(q.Name, attributes); err != nil {
			return fmt.Errorf("the queue %s: %w", q.ID, err)
		}
	}
	for _, q := range s.plan.Queues {
		policy := q.Attributes["RedrivePolicy"]
		if policy == "" {
			continue
		}
		if err := s.queues.Queue(q.Name).Set(map[string]string{"RedrivePolicy": policy}); err != nil {
			s.note("the queue %s has no redrive policy: %v", q.ID, err)
		}
	}
	return nil
}

func (s *Stage) makeTopics() error {
	for _, t := range s.plan.Topics {
		arn, err := s.topics.Create(t.Name, t.Attributes)
		if err != nil {
			return fmt.Errorf("the topic %s: %w", t.ID, err)
		}
		for _, sub := range t.Subscriptions {
			if _, err := s.topics.Subscribe(arn, sub.Protocol, sub.Endpoint, sub.Attributes); err != nil {
				return fmt.Errorf("the topic %s: %w", t.ID, err)
			}
		}
	}
	return nil
}

// target delivers events that match a rule to the rule's target.
type target struct {
	stage *Stage
	plan.Target
	give buslocal.Transform
}

// Name implements buslocal.Target.
func (t target) Name() string {
	if plan.IsNewBus(t.ARN) {
		return plan.NewBusName(t.ARN)
	}
	return plan.NameOf(t.ARN)
}

// Deliver implements buslocal.Target.
func (t target) Deliver(ctx context.Context, m buslocal.Message) error {
	if bus := t.stage.newBuses[t.ARN]; bus != nil {
		return bus.OfClassic().Deliver(ctx, m)
	}
	if plan.ServiceOf(t.ARN) == "events" {
		return buslocal.Forward{To: t.stage.bus, Bus: plan.NameOf(t.ARN)}.Deliver(ctx, m)
	}
	payload, err := t.give.Apply(m.Payload, m.Event.Taken)
	if err != nil {
		return fmt.Errorf("%w: %w", buslocal.ErrPermanent, err)
	}
	_, err = t.stage.bring(t.Target, payload, m.TraceHeader)
	return err
}

// bring delivers a payload to a function, a queue or a topic, and returns its ID there.
func (s *Stage) bring(t plan.Target, payload []byte, header string) (id string, err error) {
	switch plan.ServiceOf(t.ARN) {
	case "lambda":
		return s.async(t.ARN, payload, header)
	case "sqs":
		q := s.queues.Queue(t.ARN)
		if q == nil {
			break
		}
		entry := sqslocal.Entry{MessageBody: string(payload), MessageGroupID: t.Group}
		if strings.HasSuffix(q.Name(), ".fifo") && q.Attributes()["ContentBasedDeduplication"] != "true" {
			return "", fmt.Errorf("%w: the FIFO queue %s has no content-based deduplication, which rules need", buslocal.ErrPermanent, q.Name())
		}
		receipt, err := q.Send(entry, header)
		return receipt.MessageID, err
	case "sns":
		return s.topics.Publish(t.ARN, snslocal.Message{Message: string(payload)}, header)
	}
	return "", fmt.Errorf("%w: there is no %s", buslocal.ErrPermanent, t.ARN)
}

// transform returns the input transformation of a rule's target.
func transform(t plan.Target, rule, bus string) buslocal.Transform {
	return buslocal.Transform{Input: t.Input, Path: t.Path, Template: t.Template, Paths: t.Paths, RuleName: rule, RuleARN: plan.RuleARN(bus, rule)}
}

// makeRules creates the rules on the bus.
func (s *Stage) makeRules() error {
	for _, r := range s.plan.Rules {
		if r.Disabled {
			s.note("the rule %s is disabled", r.ID)
			continue
		}
		rule := buslocal.Rule{Name: r.Name, Bus: r.Bus, Pattern: r.Pattern}
		for _, t := range r.Targets {
			to := buslocal.RuleTarget{Target: target{s, t, transform(t, r.Name, r.Bus)}, DeadLetter: s.deadLetter(r.ID, t.DeadLetter)}
			switch {
			case t.Retries == 0:
				to.Retries = -1 // none
			case t.Retries > 0:
				to.Retries = t.Retries
			}
			rule.Targets = append(rule.Targets, to)
		}
		if err := s.bus.AddRule(rule); err != nil {
			return err
		}
	}
	return nil
}

// deadLetter returns the dead-letter queue for events that a rule's target does not
// accept.
func (s *Stage) deadLetter(id, arn string) *buslocal.DeadLetters {
	if arn == "" {
		return nil
	}
	q := s.queues.Queue(arn)
	if q == nil {
		s.note("%s: its dead-letter queue %s is not played", id, arn)
		return nil
	}
	return &buslocal.DeadLetters{To: func(l buslocal.DeadLetter) {
		if s.options.Record {
			s.mu.Lock()
			s.letters = append(s.letters, l)
			s.mu.Unlock()
		}
		entry := sqslocal.Entry{MessageBody: l.Body, MessageAttributes: map[string]sqslocal.Attribute{}}
		for name, value := range l.Attributes {
			entry.MessageAttributes[name] = sqslocal.String(value)
		}
		_, _ = q.Send(entry, l.TraceHeader) // an event that the queue refuses is dropped
	}}
}

// makeSchedules creates the schedules of Scheduler, and starts the rules with a schedule.
func (s *Stage) makeSchedules() error {
	for _, one := range s.plan.Schedules {
		if len(one.Targets) == 0 {
			continue
		}
		if one.Scheduler {
			if err := s.makeSchedule(one); err != nil {
				return err
			}
			continue
		}
		when, err := schedulerlocal.ParseExpression(one.Expression, "")
		switch {
		case err != nil:
			return fmt.Errorf("the rule %s: %w", one.ID, err)
		case one.Disabled:
			s.note("the schedule %s is disabled: throughline dev fire %s", one.ID, one.Name)
		default:
			s.running.Go(func() { s.keep(one, when) })
		}
	}
	return nil
}

func (s *Stage) makeSchedule(one plan.Schedule) error {
	t := one.Targets[0]
	to := map[string]any{"Arn": t.ARN, "RoleArn": "arn:aws:iam::" + plan.Account + ":role/local"}
	if t.Input != "" {
		to["Input"] = t.Input
	}
	if t.Retries >= 0 {
		to["RetryPolicy"] = map[string]any{"MaximumRetryAttempts": t.Retries}
	}
	if plan.ServiceOf(t.ARN) == "events" {
		to["EventBridgeParameters"] = map[string]any{"DetailType": t.DetailType, "Source": t.Source}
	}
	state := "ENABLED"
	if one.Disabled {
		state = "DISABLED"
	}
	body, err := json.Marshal(map[string]any{
		"GroupName": one.Group, "ScheduleExpression": one.Expression, "ScheduleExpressionTimezone": one.Timezone, "State": state,
		"FlexibleTimeWindow": map[string]string{"Mode": "OFF"}, "Target": to,
	})
	if err != nil {
		return err
	}
	if err := s.times.Create(one.Name, body); err != nil {
		s.note("%v", err) // a schedule in the past, such as an at(…) of last year
	}
	return nil
}

// scheduled invokes the target of a schedule of Scheduler.
func (s *Stage) scheduled(ctx context.Context, t schedulerlocal.Target) (string, error) {
	if service := plan.ServiceOf(t.ARN); service == "sqs" || service == "sns" {
		return s.bring(plan.Target{ARN: t.ARN}, []byte(t.Input), "")
	}
	return schedulerlocal.To(s.invoke, s.bus)(ctx, t)
}

// keep fires a rule with a schedule at its times until the stage is closed.
func (s *Stage) keep(one plan.Schedule, when schedulerlocal.Expression) {
	for due, ok := when.Next(s.options.Clock.Now()); ok; due, ok = when.Next(due) {
		rings, stop := s.options.Clock.At(due)
		select {
		case <-rings:
		case <-s.ctx.Done():
		}
		stop()
		if s.ctx.Err() != nil {
			return
		}
		_ = s.fire(one, due) // nobody waits for the result
	}
}

// fire sends the event of a rule's schedule to the rule's targets.
func (s *Stage) fire(one plan.Schedule, due time.Time) error {
	arn := plan.RuleARN("default", one.Name)
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": newID(), "detail-type": "Scheduled Event", "source": "aws.events", "account": plan.Account,
		"time": due.UTC().Format(time.RFC3339), "region": plan.Region, "resources": []string{arn}, "detail": struct{}{},
	})
	if err != nil {
		return err
	}
	for _, t := range one.Targets {
		payload, failed := transform(t, one.Name, "default").Apply(event, due)
		if failed == nil {
			_, failed = s.bring(t, payload, "")
		}
		err = cmp.Or(err, failed)
	}
	return err
}

// makeRoutes starts the HTTP APIs and function URLs.
func (s *Stage) makeRoutes() error {
	var routes []apilocal.Route
	for _, r := range s.plan.Routes {
		routes = append(routes, apilocal.Route{API: r.API, Method: r.Method, Path: r.Path, Function: r.Function, Version: r.Version})
	}
	s.api.SetRoutes(routes)
	return nil
}

// Invoke invokes a function and returns its response, or queues an asynchronous
// invocation.
func (s *Stage) Invoke(ctx context.Context, name string, payload []byte, async bool) (lambdalocal.Result, error) {
	f := s.plan.Function(name)
	for i := range s.plan.Functions { // the logical ID is accepted too
		if f == nil && s.plan.Functions[i].ID == name {
			f = &s.plan.Functions[i]
		}
	}
	if f == nil {
		return lambdalocal.Result{}, fmt.Errorf("there is no function %s: the functions are %s", name, strings.Join(s.Names(), ", "))
	}
	if async {
		id, err := s.async(f.Name, payload, "")
		return lambdalocal.Result{RequestID: id}, err
	}
	return s.lambda.Deployment(f.Name).Invoke(ctx, payload, lambdalocal.InvokeOptions{Wait: true})
}

// Names returns the names of the functions.
func (s *Stage) Names() []string {
	var names []string
	for _, f := range s.plan.Functions {
		names = append(names, f.Name)
	}
	return names
}
