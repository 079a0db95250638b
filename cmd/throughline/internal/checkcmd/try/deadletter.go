package try

import (
	"bytes"
	"context"
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

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/resourcepolicy"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/internal/pause"
)

// failing is one trial of a dead-letter queue: a target that does not exist, added to a
// rule, and an entry that the rule matches.
type failing struct {
	bus      system.Bus
	rule     string // the rule's name
	queue    system.Queue
	own      bool // check creates the rule
	target   types.Target
	entry    types.PutEventsRequestEntry
	targetID string
}

// DeadLetters lets an event fail for each dead-letter queue of the buses' rules.
func (t *Trials) DeadLetters(ctx context.Context) error {
	o := &t.account.System.Observed
	for _, bus := range t.account.System.Buses {
		for _, arn := range bus.DeadLetterQueues() {
			queue := t.account.System.Queue(arn)
			if queue == nil || !queue.Exists {
				continue // the item targets reports it
			}
			f, why, err := t.prepare(bus, *queue)
			if err != nil {
				return err
			}
			trial := system.DLQTrial{Queue: arn, Rule: f.rule, Dry: true, Why: why}
			if t.options.Write && why == "" {
				trial = t.fail(ctx, f)
			}
			o.DLQ = append(o.DLQ, trial)
		}
	}
	return nil
}

// prepare returns the trial for a queue, or why it is not possible.
func (t *Trials) prepare(bus system.Bus, queue system.Queue) (failing, string, error) {
	if bus.New != nil {
		return failing{}, "records of a new custom bus are written by the role of a subscriber, and check makes no roles: publish an event that a subscriber's target refuses, and look with throughline dlq", nil
	}
	id := mark()
	base := strings.Split(bus.ARN, ":event-bus/")[0]
	f := failing{bus: bus, queue: queue, own: true, rule: "throughline-check-" + id, targetID: "throughline-check-" + id}
	f.target = types.Target{
		Id: &f.targetID, Arn: aws.String(strings.Replace(base, ":events:", ":lambda:", 1) + ":function:throughline-check-is-not-there"),
		DeadLetterConfig: &types.DeadLetterConfig{Arn: &queue.ARN},
		RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(60)},
	}
	if t.options.Event != "" {
		return t.prepareRule(f)
	}
	detail, err := json.Marshal(map[string]string{"event_id": f.rule, "correlation_id": f.rule, "note": "published by throughline check: no target accepts it"})
	if err != nil {
		return f, "", err
	}
	f.entry = types.PutEventsRequestEntry{Source: aws.String(source), DetailType: &f.rule, Detail: aws.String(string(detail)), EventBusName: aws.String(bus.Name)}
	if why := resourcepolicy.Allows(queue.Policy, "sqs:SendMessage", queue.ARN, base+":rule/"+rulePath(bus.Name, f.rule)); why != "" {
		return f, "its policy allows only rules by name (" + why + "), so a rule that check creates cannot send to it: give --rule NAME and --event FILE", nil
	}
	return f, "", nil
}

// rulePath returns the resource part of a rule's ARN.
func rulePath(bus, rule string) string {
	if bus == "default" {
		return rule
	}
	return bus + "/" + rule
}

// prepareRule prepares the given rule and event, if the rule sends its dead letters to
// the queue.
func (t *Trials) prepareRule(f failing) (failing, string, error) {
	i := slices.IndexFunc(f.bus.Rules, func(r system.Rule) bool { return r.Name == t.options.Rule })
	if i < 0 || !slices.ContainsFunc(f.bus.Rules[i].Targets, func(g system.Target) bool { return g.DeadLetter == f.queue.ARN }) {
		return f, "the rule " + t.options.Rule + " does not use this dead-letter queue", nil
	}
	data, err := os.ReadFile(t.options.Event)
	if err != nil {
		return f, "", fmt.Errorf("read the event: %w", err)
	}
	entry, err := readEntry(data)
	if err != nil {
		return f, "", fmt.Errorf("read the event %s: %w", t.options.Event, err)
	}
	entry.EventBusName = aws.String(f.bus.Name)
	f.own, f.rule, f.entry = false, t.options.Rule, entry
	return f, "", nil
}

// readEntry reads one entry: the entry itself, the array that put-events --entries takes,
// or the request of PutEvents. Its Detail is a text or an object.
func readEntry(data []byte) (types.PutEventsRequestEntry, error) {
	type entry struct {
		Source, DetailType string
		Detail             json.RawMessage
		Resources          []string
	}
	var request struct {
		entry
		Entries []entry
	}
	var into any = &request
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		into = &request.Entries
	}
	if err := json.Unmarshal(data, into); err != nil {
		return types.PutEventsRequestEntry{}, err
	}
	e := request.entry
	switch len(request.Entries) {
	case 0:
	case 1:
		e = request.Entries[0]
	default:
		return types.PutEventsRequestEntry{}, fmt.Errorf("the file has %d entries: give one", len(request.Entries))
	}
	detail := string(e.Detail)
	var text string
	if json.Unmarshal(e.Detail, &text) == nil {
		detail = text
	}
	if e.Source == "" || e.DetailType == "" || detail == "" {
		return types.PutEventsRequestEntry{}, errors.New("the entry needs Source, DetailType and Detail")
	}
	return types.PutEventsRequestEntry{Source: &e.Source, DetailType: &e.DetailType, Detail: &detail, Resources: e.Resources}, nil
}

// fail makes the trial and always deletes what it created.
func (t *Trials) fail(ctx context.Context, f failing) (trial system.DLQTrial) {
	trial = system.DLQTrial{Queue: f.queue.ARN, Rule: f.rule}
	defer func() {
		// Ctrl-C must not leave a rule in the account.
		const patience = 30 * time.Second
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		trial.Left = append(trial.Left, t.remove(clean, f)...)
	}()
	if err := t.put(ctx, f); err != nil {
		trial.Why = err.Error()
		return trial
	}
	box := mailbox{Trials: t, queue: f.queue, published: map[string]bool{}}
	defer box.release(ctx)
	began := time.Now()
	again := time.Time{}
	for {
		// A new rule takes effect with a delay, so the event is published again.
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
		if trial.Waited = time.Since(began); trial.Waited > t.options.Wait {
			trial.Why = fmt.Sprintf("%s failed at rule %s, and was not received from the queue within %s", trial.EventID, f.rule, phrase.Duration(t.options.Wait))
			return trial
		}
		t.options.Progress.Show("waiting for %s in %s", trial.EventID, arn.Name(f.queue.ARN))
		if pause.For(ctx, t.pause) != nil {
			trial.Why = ctx.Err().Error()
			return trial
		}
	}
}

// put creates the rule, if it is check's, and adds the target to it.
func (t *Trials) put(ctx context.Context, f failing) error {
	if f.own {
		pattern, err := json.Marshal(map[string][]string{"source": {source}, "detail-type": {f.rule}})
		if err != nil {
			return err
		}
		if _, err := t.events.PutRule(ctx, &eventbridge.PutRuleInput{
			Name: &f.rule, EventBusName: &f.bus.Name, EventPattern: aws.String(string(pattern)), State: types.RuleStateEnabled,
			Description: aws.String("throughline check: an event that fails; delete this rule"),
		}); err != nil {
			return fmt.Errorf("put rule %s: %w", f.rule, err)
		}
		t.recordChange("created the rule %s on %s", f.rule, f.bus.Name)
	}
	answer, err := t.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &f.rule, EventBusName: &f.bus.Name, Targets: []types.Target{f.target}})
	if err == nil && answer.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(answer.FailedEntries[0].ErrorMessage))
	}
	if err != nil {
		return fmt.Errorf("put a target on rule %s: %w", f.rule, err)
	}
	t.recordChange("added a target that does not exist to the rule %s", f.rule)
	return nil
}

func (t *Trials) publish(ctx context.Context, f failing) (string, error) {
	answer, err := t.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{f.entry}})
	if err != nil {
		return "", fmt.Errorf("publish: %w", err)
	}
	if len(answer.Entries) != 1 {
		return "", fmt.Errorf("publish: the response has %d results for one entry", len(answer.Entries))
	}
	if answer.FailedEntryCount > 0 {
		return "", fmt.Errorf("publish: %s: %s", aws.ToString(answer.Entries[0].ErrorCode), aws.ToString(answer.Entries[0].ErrorMessage))
	}
	id := aws.ToString(answer.Entries[0].EventId)
	t.recordChange("published %s on %s", id, f.bus.Name)
	return id, nil
}

// remove deletes what put created, and returns what it could not delete.
func (t *Trials) remove(ctx context.Context, f failing) (left []string) {
	if _, err := t.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &f.rule, EventBusName: &f.bus.Name, Ids: []string{f.targetID}}); err != nil && account.ErrorCode(err) != "ResourceNotFoundException" {
		return []string{fmt.Sprintf("the target %s of rule %s: %v", f.targetID, f.rule, err)}
	}
	t.recordChange("removed the target from the rule %s", f.rule)
	if !f.own {
		return nil
	}
	if _, err := t.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &f.rule, EventBusName: &f.bus.Name}); err != nil && account.ErrorCode(err) != "ResourceNotFoundException" {
		return []string{fmt.Sprintf("the rule %s: %v", f.rule, err)}
	}
	t.recordChange("deleted the rule %s", f.rule)
	return nil
}
