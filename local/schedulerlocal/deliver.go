package schedulerlocal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/internal/wire"
	"github.com/throughline/throughline/local/invokelocal"
)

// To returns an [Options.Deliver] for the functions of a local Lambda and the buses
// of a local EventBridge. Either may be nil.
func To(functions *invokelocal.API, bus *buslocal.Bus) func(context.Context, Target) (string, error) {
	return func(_ context.Context, t Target) (string, error) {
		switch {
		case strings.Contains(t.ARN, ":function:") && functions != nil:
			return functions.Event(t.ARN, []byte(t.Input), "")
		case t.Events != nil && bus != nil:
			body, err := json.Marshal(map[string]any{"Entries": []any{map[string]any{
				"Source": t.Events.Source, "DetailType": t.Events.DetailType, "Detail": t.Input, "EventBusName": t.ARN, "Resources": []string{t.Schedule},
			}}})
			if err != nil {
				return "", err
			}
			results, fault := bus.Put(body, "")
			switch {
			case fault != nil:
				return "", fmt.Errorf("put the event: %v", *fault)
			case results[0].ErrorCode != "":
				return "", fmt.Errorf("put the event: %s %s", results[0].ErrorCode, results[0].ErrorMessage)
			}
			return results[0].EventID, nil
		default:
			return "", fmt.Errorf("no target for %s", t.ARN)
		}
	}
}

// scheduled returns the event of a schedule without an Input.
func (s *Service) scheduled(schedule string, due time.Time) string {
	data, _ := json.Marshal(map[string]any{
		"version": "0", "id": wire.UUID(), "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": s.options.Account,
		"time": due.UTC().Format(time.RFC3339), "region": s.options.Region, "resources": []string{schedule}, "detail": "{}",
	}) // strings always marshal
	return string(data)
}

// fire invokes the target of a schedule, with retries.
func (s *Service) fire(ctx context.Context, t Target, due time.Time) Fired {
	retries := 185
	if t.Retry != nil && t.Retry.Attempts != nil {
		retries = *t.Retry.Attempts
	}
	input := t.Input
	if input == "" {
		input = s.scheduled(t.Schedule, due)
	}
	f := Fired{Schedule: t.Schedule, Target: t.ARN, Due: due}
	execution := wire.UUID()
	for {
		f.Attempts++
		f.At = s.options.Clock.Now()
		t.Input = strings.NewReplacer(
			"<aws.scheduler.schedule-arn>", t.Schedule, "<aws.scheduler.scheduled-time>", due.UTC().Format(time.RFC3339),
			"<aws.scheduler.execution-id>", execution, "<aws.scheduler.attempt-number>", fmt.Sprint(f.Attempts),
		).Replace(input)
		if f.ID, f.Err = s.options.Deliver(ctx, t); f.Err == nil || f.Attempts > retries {
			return f
		}
		select {
		case <-time.After(s.options.RetryDelay):
		case <-ctx.Done():
			return f
		}
	}
}
