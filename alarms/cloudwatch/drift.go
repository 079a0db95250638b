package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Topics looks up the subscribers and the keys of SNS topics. The functions of this
// package call it from one goroutine at a time.
type Topics interface {
	// Subscribers returns the number of confirmed subscriptions of a topic. It is 0 for a
	// topic that does not exist.
	Subscribers(ctx context.Context, topicARN string) (int, error)
	// Key returns why CloudWatch cannot publish the alarm's notifications to an encrypted
	// topic. The zero value means that it can.
	Key(ctx context.Context, topicARN, alarmName string) (Key, error)
}

// Key says why CloudWatch cannot use the KMS key of a topic. An alarm's action then
// fails: "CloudWatch Alarms does not have authorization to access the SNS topic
// encryption key". The zero value means that it can.
type Key struct {
	Blocked string // why CloudWatch cannot use the key; empty if it can
	Unread  string // why the key could not be read; empty if it was read
}

// Class is a kind of difference between the account and the set.
type Class string

// The classes.
const (
	Missing       Class = "missing"       // the account does not have the alarm
	Edited        Class = "edited"        // the alarm was changed by hand since it was applied
	Behind        Class = "behind"        // the spec changed since it was applied
	Foreign       Class = "foreign"       // an alarm of another owner has the name
	Orphan        Class = "orphan"        // the account has an alarm of the spec that the spec does not contain
	Dead          Class = "dead"          // nothing publishes its metric
	Muted         Class = "muted"         // its actions are disabled
	Undeliverable Class = "undeliverable" // the topic has no confirmed subscription, or its key refuses CloudWatch
	Unread        Class = "unread"        // the topic's key could not be read
)

// Deviation is one thing that [Drift] found.
type Deviation struct {
	Class   Class           `json:"class"`
	Name    string          `json:"name"`
	Detail  string          `json:"detail"`
	Changes []alarms.Change `json:"changes,omitempty"`
}

// Drift returns the differences between the account and the set, sorted by name. If
// metrics is nil, dead alarms are not looked for. If topics is nil, topics are not
// checked.
func Drift(ctx context.Context, api API, metrics Metrics, topics Topics, s alarms.Set, pace *Pace) ([]Deviation, error) {
	plan, err := Make(ctx, api, s, nil, alarms.DefaultPrices(), pace)
	if err != nil {
		return nil, err
	}
	var out []Deviation
	for _, step := range plan.Steps {
		out = append(out, deviation(step))
		if step.Action == Change && step.live.muted() && !step.desired.muted() {
			out = append(out, Deviation{Class: Muted, Name: step.Name, Detail: "its actions are disabled: it changes state and notifies nobody"})
		}
	}
	if metrics != nil {
		found, err := Check(ctx, metrics, s, pace)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if e.Verdict == Absent {
				out = append(out, Deviation{Class: Dead, Name: e.Alarm, Detail: e.Stat.Metric + ": " + e.Message})
			}
		}
	}
	if topics != nil {
		silent, err := undeliverable(ctx, topics, s)
		if err != nil {
			return nil, err
		}
		out = append(out, silent...)
	}
	slices.SortStableFunc(out, func(a, b Deviation) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func deviation(s Step) Deviation {
	d := Deviation{Name: s.Name, Changes: s.Changes}
	switch {
	case s.Action == Create:
		d.Class, d.Detail, d.Changes = Missing, "the account does not have it: apply creates it", nil
	case s.Action == Refuse:
		d.Class, d.Detail = Foreign, "an alarm that does not belong to the spec has this name and is left unchanged: take it over with apply --adopt"
	case s.Action == Delete:
		d.Class, d.Detail = Orphan, "the spec does not contain it, and its tags say that it belongs to the spec: apply deletes it"
	case s.Conflict:
		d.Class, d.Detail = Edited, "it was changed by hand, and the spec changed too: apply sets it to what the spec says"
	case s.Edited:
		d.Class, d.Detail = Edited, "it was changed by hand since it was applied: put the change into the spec, or apply reverts it"
	default:
		d.Class, d.Detail = Behind, "the spec changed since it was applied"
	}
	return d
}

// undeliverable returns the topics of the set whose notifications are not delivered.
func undeliverable(ctx context.Context, topics Topics, s alarms.Set) ([]Deviation, error) {
	using := map[string][]string{}
	add := func(name string, actions ...[]string) {
		for _, action := range slices.Concat(actions...) {
			if isTopic(action) && !slices.Contains(using[action], name) {
				using[action] = append(using[action], name)
			}
		}
	}
	for _, a := range s.Alarms {
		add(a.Name, a.Actions, a.OKActions, a.NoDataActions)
	}
	for _, c := range s.Composites {
		add(c.Name, c.Actions, c.OKActions, c.NoDataActions)
	}
	var out []Deviation
	for topic, names := range using {
		slices.Sort(names)
		n, err := topics.Subscribers(ctx, topic)
		if err != nil {
			return nil, err
		}
		key, err := topics.Key(ctx, topic, names[0])
		if err != nil {
			return nil, err
		}
		switch {
		case key.Blocked != "":
			out = append(out, Deviation{Class: Undeliverable, Name: topic, Detail: fmt.Sprintf("CloudWatch has no access to its KMS key, so the notifications of %d alarms are not delivered, such as those of %s: %s", len(names), names[0], key.Blocked)})
		case key.Unread != "":
			out = append(out, Deviation{Class: Unread, Name: topic, Detail: key.Unread})
		}
		if n == 0 {
			out = append(out, Deviation{Class: Undeliverable, Name: topic, Detail: fmt.Sprintf("nobody has confirmed a subscription, so the notifications of %d alarms are not delivered, such as those of %s", len(names), names[0])})
		}
	}
	return out, nil
}

func isTopic(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns"
}
