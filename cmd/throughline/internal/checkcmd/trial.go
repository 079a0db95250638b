package checkcmd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// trialSource is the source of the events that check publishes.
const trialSource = "throughline.check"

// trials does what --write allows, or says what it would do.
type trials struct {
	*reader
	options options
	did     []string
	pause   time.Duration // between looks at what came of it
}

func (t *trials) done(format string, args ...any) {
	t.did = append(t.did, fmt.Sprintf(format, args...))
}

// run tries the items that were asked for.
func (t *trials) run(ctx context.Context) error {
	if chosen(t.options.only, "dlq") {
		if err := t.deadLetters(ctx); err != nil {
			return err
		}
	}
	if chosen(t.options.only, "replay") {
		return t.replay(ctx)
	}
	return nil
}

func mark() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// sleep waits, and reports whether the context still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failing is one trial at a dead-letter queue: a target that does not exist,
// put on a rule, and the entry that the rule matches.
type failing struct {
	bus      system.Bus
	rule     string // its name
	queue    system.Queue
	own      bool // the rule is check's
	target   types.Target
	entry    types.PutEventsRequestEntry
	targetID string
}

// deadLetters has an event fail for each dead-letter queue of the buses' rules.
func (t *trials) deadLetters(ctx context.Context) error {
	o := &t.system.Observed
	for _, bus := range t.system.Buses {
		for _, arn := range deadLetterQueues(&system.System{Buses: []system.Bus{bus}}) {
			queue := t.system.Queue(arn)
			if queue == nil || !queue.Exists {
				continue // the item targets says so
			}
			f, why, err := t.prepare(bus, *queue)
			if err != nil {
				return err
			}
			trial := system.DLQTrial{Queue: arn, Rule: f.rule, Dry: true, Why: why}
			if t.options.write && why == "" {
				trial = t.fail(ctx, f)
			}
			o.DLQ = append(o.DLQ, trial)
		}
	}
	return nil
}

// prepare is the trial for a queue, or why there can be none.
func (t *trials) prepare(bus system.Bus, queue system.Queue) (failing, string, error) {
	id := mark()
	base := strings.Split(bus.ARN, ":event-bus/")[0]
	f := failing{bus: bus, queue: queue, own: true, rule: "throughline-check-" + id, targetID: "throughline-check-" + id}
	f.target = types.Target{
		Id: &f.targetID, Arn: aws.String(strings.Replace(base, ":events:", ":lambda:", 1) + ":function:throughline-check-is-not-there"),
		DeadLetterConfig: &types.DeadLetterConfig{Arn: &queue.ARN},
		RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(60)},
	}
	if t.options.event != "" {
		return t.prepareRule(f)
	}
	detail, err := json.Marshal(map[string]string{"event_id": f.rule, "correlation_id": f.rule, "note": "published by throughline check: no target takes it"})
	if err != nil {
		return f, "", err
	}
	f.entry = types.PutEventsRequestEntry{Source: aws.String(trialSource), DetailType: &f.rule, Detail: aws.String(string(detail)), EventBusName: aws.String(bus.Name)}
	if why := allows(queue.Policy, "sqs:SendMessage", queue.ARN, base+":rule/"+rulePath(bus.Name, f.rule)); why != "" {
		return f, "its policy admits rules by name (" + why + "), so a rule of check's own cannot try it: give --rule NAME and --event FILE", nil
	}
	return f, "", nil
}

// rulePath is a rule's resource as its ARN has it.
func rulePath(bus, rule string) string {
	if bus == "default" {
		return rule
	}
	return bus + "/" + rule
}

// prepareRule lets the rule and the event that were given fail, where the rule
// sends its dead letters to the queue.
func (t *trials) prepareRule(f failing) (failing, string, error) {
	i := slices.IndexFunc(f.bus.Rules, func(r system.Rule) bool { return r.Name == t.options.rule })
	if i < 0 || !slices.ContainsFunc(f.bus.Rules[i].Targets, func(g system.Target) bool { return g.DeadLetter == f.queue.ARN }) {
		return f, "the rule " + t.options.rule + " does not send its dead letters there", nil
	}
	data, err := os.ReadFile(t.options.event)
	if err != nil {
		return f, "", fmt.Errorf("read the event: %w", err)
	}
	var entry struct {
		Source, DetailType string
		Detail             json.RawMessage
		Resources          []string
	}
	if err := json.Unmarshal(data, &entry); err != nil {
		return f, "", fmt.Errorf("read the event %s: %w", t.options.event, err)
	}
	detail := string(entry.Detail)
	var text string
	if json.Unmarshal(entry.Detail, &text) == nil { // as put-events takes it; an object does as well
		detail = text
	}
	if entry.Source == "" || entry.DetailType == "" || detail == "" {
		return f, "", fmt.Errorf("the event %s needs Source, DetailType and Detail", t.options.event)
	}
	f.own, f.rule = false, t.options.rule
	f.entry = types.PutEventsRequestEntry{Source: &entry.Source, DetailType: &entry.DetailType, Detail: &detail, Resources: entry.Resources, EventBusName: aws.String(f.bus.Name)}
	return f, "", nil
}

// fail does the trial and removes what it made, whatever came of it.
func (t *trials) fail(ctx context.Context, f failing) (trial system.DLQTrial) {
	trial = system.DLQTrial{Queue: f.queue.ARN, Rule: f.rule}
	defer func() {
		// Ctrl-C must not leave a rule behind.
		const patience = 30 * time.Second
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		trial.Left = append(trial.Left, t.remove(clean, f)...)
	}()
	if err := t.put(ctx, f); err != nil {
		trial.Why = err.Error()
		return trial
	}
	box := mailbox{trials: t, queue: f.queue, published: map[string]bool{}}
	defer box.release(ctx)
	began := time.Now()
	again := time.Time{}
	for {
		// A new rule takes effect after a while, so the event is published anew.
		const anew = 20 * time.Second
		if now := time.Now(); now.After(again) {
			id, err := t.publish(ctx, f)
			if err != nil {
				trial.Why = err.Error()
				return trial
			}
			trial.EventID, again = id, now.Add(anew)
			box.published[id] = true
		}
		found, err := box.look(ctx)
		if err != nil {
			trial.Why = err.Error()
			return trial
		}
		if found != nil {
			trial.Letter, trial.EventID, trial.After = found, found.EventID, time.Since(began)
			return trial
		}
		if trial.Waited = time.Since(began); trial.Waited > t.options.wait {
			trial.Why = fmt.Sprintf("%s failed at rule %s, and did not arrive within %s", trial.EventID, f.rule, short(t.options.wait))
			return trial
		}
		t.bar.Show("waiting for %s in %s", trial.EventID, last(f.queue.ARN))
		if !sleep(ctx, t.pause) {
			trial.Why = ctx.Err().Error()
			return trial
		}
	}
}

// put makes the rule, where it is check's, and puts the target on it.
func (t *trials) put(ctx context.Context, f failing) error {
	if f.own {
		pattern, err := json.Marshal(map[string][]string{"source": {trialSource}, "detail-type": {f.rule}})
		if err != nil {
			return err
		}
		if _, err := t.events.PutRule(ctx, &eventbridge.PutRuleInput{
			Name: &f.rule, EventBusName: &f.bus.Name, EventPattern: aws.String(string(pattern)), State: types.RuleStateEnabled,
			Description: aws.String("throughline check: an event that fails; to be removed"),
		}); err != nil {
			return fmt.Errorf("put rule %s: %w", f.rule, err)
		}
		t.done("made the rule %s on %s", f.rule, f.bus.Name)
	}
	answer, err := t.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &f.rule, EventBusName: &f.bus.Name, Targets: []types.Target{f.target}})
	if err == nil && answer.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(answer.FailedEntries[0].ErrorMessage))
	}
	if err != nil {
		return fmt.Errorf("put a target on rule %s: %w", f.rule, err)
	}
	t.done("put a target that does not exist on the rule %s", f.rule)
	return nil
}

func (t *trials) publish(ctx context.Context, f failing) (string, error) {
	answer, err := t.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{f.entry}})
	if err != nil {
		return "", fmt.Errorf("publish: %w", err)
	}
	if len(answer.Entries) != 1 {
		return "", fmt.Errorf("publish: %d answers to one entry", len(answer.Entries))
	}
	if answer.FailedEntryCount > 0 {
		return "", fmt.Errorf("publish: %s: %s", aws.ToString(answer.Entries[0].ErrorCode), aws.ToString(answer.Entries[0].ErrorMessage))
	}
	id := aws.ToString(answer.Entries[0].EventId)
	t.done("published %s on %s", id, f.bus.Name)
	return id, nil
}

// remove takes away what put made, and says what it could not.
func (t *trials) remove(ctx context.Context, f failing) (left []string) {
	if _, err := t.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &f.rule, EventBusName: &f.bus.Name, Ids: []string{f.targetID}}); err != nil && code(err) != "ResourceNotFoundException" {
		return []string{fmt.Sprintf("the target %s of rule %s: %v", f.targetID, f.rule, err)}
	}
	t.done("removed the target from the rule %s", f.rule)
	if !f.own {
		return nil
	}
	if _, err := t.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &f.rule, EventBusName: &f.bus.Name}); err != nil && code(err) != "ResourceNotFoundException" {
		return []string{fmt.Sprintf("the rule %s: %v", f.rule, err)}
	}
	t.done("removed the rule %s", f.rule)
	return nil
}
