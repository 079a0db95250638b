package read

import (
	"context"
	"strings"
	"time"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/newbus"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// isNewBus says whether an ARN is a new custom bus's.
func isNewBus(arn string) bool { return strings.Contains(arn, ":event-busv2/") }

// newBus reads a new custom bus with its subscribers.
func (r *Account) newBus(ctx context.Context, arn string) error {
	name, _, _ := strings.Cut(arn[strings.Index(arn, ":event-busv2/")+len(":event-busv2/"):], "/")
	r.options.Progress.Show("reading bus %s", name)
	b := system.Bus{Name: name, ARN: arn, New: &system.NewBus{}}
	answer, err := r.fresh.Bus(ctx, arn)
	switch {
	case account.ErrorCode(err) == "ResourceNotFoundException":
		r.System.Buses = append(r.System.Buses, b)
		return nil
	case err != nil:
		return r.skipPart(system.Buses, "describe bus "+name, err)
	}
	b.Exists, b.New.RetentionDays = true, answer.Storage.RetentionDays
	subscribers, err := r.fresh.Subscribers(ctx, arn)
	if err != nil {
		return r.skipPart(system.Rules, "list subscribers of "+name, err)
	}
	for i := range subscribers {
		b.Rules = append(b.Rules, ruleOf(&subscribers[i]))
	}
	r.System.Buses = append(r.System.Buses, b)
	return nil
}

// ruleOf is a subscriber as a rule with one target.
func ruleOf(s *newbus.Subscriber) system.Rule {
	target := system.Target{ID: s.Name, ARN: s.Invoke.Target, Role: s.Invoke.Role, DeadLetter: s.OnFailure.ARN, Transformer: s.Transformer.Type, Invocation: s.Invoke.Lambda.InvocationType}
	if s.Batch.Size != nil {
		target.Batch = *s.Batch.Size
	}
	if s.Retry.Attempts != nil {
		attempts := int32(*s.Retry.Attempts)
		target.Attempts = &attempts
	}
	if s.Retry.Seconds != nil {
		target.MaxAge = time.Duration(*s.Retry.Seconds) * time.Second
	}
	rule := system.Rule{Name: s.Name, ARN: s.ARN, Disabled: s.State == "STOPPED" || s.Revoked, Targets: []system.Target{target}}
	rule.Pattern, rule.Beyond = s.Pattern()
	return rule
}

// freshBus is the ARN of the new custom bus of a name, "" where there is none.
func (r *Account) freshBus(ctx context.Context, name string) (string, error) {
	buses, err := r.fresh.Buses(ctx)
	if err != nil {
		return "", err
	}
	for _, b := range buses {
		if b.Name == name {
			return b.ARN, nil
		}
	}
	return "", nil
}

// named reads the new custom bus of a name.
func (r *Account) named(ctx context.Context, name string) error {
	arn, err := r.freshBus(ctx, name)
	switch {
	case err != nil:
		return r.skipPart(system.Buses, "list new custom buses", err)
	case arn == "":
		r.System.Buses = append(r.System.Buses, system.Bus{Name: name, New: &system.NewBus{}})
		return nil
	}
	return r.newBus(ctx, arn)
}

// dimensions finds out how the metrics of new custom buses name them: AWS's pages contradict
// each other.
func (r *Account) dimensions(ctx context.Context) error {
	for i := range r.System.Buses {
		b := &r.System.Buses[i]
		if b.New == nil || !b.Exists {
			continue
		}
		values, err := alarmscloudwatch.Values(ctx, r.metrics, "PublishEventsEntryCount", &alarmscloudwatch.Pace{})
		if err != nil {
			return r.skipPart(system.Metrics, "list the metrics of new custom buses", err)
		}
		for _, value := range values {
			form := "its name"
			switch {
			case alarmscloudwatch.BusName(value) != b.Name:
				continue
			case isNewBus(value):
				form = "its ARN"
			case strings.Contains(value, "/"):
				form = "name/id"
			}
			b.New.Found = append(b.New.Found, system.Found{Question: "the dimension EventBus of its metrics", Answer: form + " (" + value + ")"})
		}
	}
	return nil
}
