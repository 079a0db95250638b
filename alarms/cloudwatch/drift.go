package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Topics says whom SNS topics reach. An implementation must be safe for use by one call
// at a time.
type Topics interface {
	// Subscribers returns the number of confirmed subscriptions of a topic: 0 for
	// a topic that does not exist.
	Subscribers(ctx context.Context, topicARN string) (int, error)
	// Key says what keeps an alarm from publishing to an encrypted topic; the zero value
	// is that nothing does.
	Key(ctx context.Context, topicARN, alarmName string) (Key, error)
}

// Key is what keeps CloudWatch from the key of a topic. An alarm's action then fails:
// "CloudWatch Alarms does not have authorization to access the SNS topic encryption key".
type Key struct {
	Blocked string // why CloudWatch may not use the key; empty where it may
	Unread  string // why that cannot be told; empty where it can
}

// Class is a way in which the account is not what the set says.
type Class string

// The classes.
const (
	Missing       Class = "missing"       // it is not there
	Edited        Class = "edited"        // somebody changed it since it was applied
	Behind        Class = "behind"        // the spec changed since it was applied
	Foreign       Class = "foreign"       // its name is taken by an alarm that is not the spec's
	Orphan        Class = "orphan"        // it is the spec's, and no longer in it
	Dead          Class = "dead"          // nothing publishes its metric
	Muted         Class = "muted"         // its actions are disabled
	Undeliverable Class = "undeliverable" // nobody is subscribed to its topic, or its key keeps CloudWatch out
	Unread        Class = "unread"        // whether a topic's key lets CloudWatch in cannot be told
)

// Deviation is one thing that [Drift] found.
type Deviation struct {
	Class   Class           `json:"class"`
	Name    string          `json:"name"`
	Detail  string          `json:"detail"`
	Changes []alarms.Change `json:"changes,omitempty"`
}

// Drift is everything in which the account is not what the set says, by name.
// metrics and topics may be nil: then dead alarms and silent topics are not
// looked for.
func Drift(ctx context.Context, api API, metrics Metrics, topics Topics, s alarms.Set, pace *Pace) ([]Deviation, error) {
	plan, err := Make(ctx, api, s, nil, alarms.DefaultPrices(), pace)
	if err != nil {
		return nil, err
	}
	var out []Deviation
	for _, step := range plan.Steps {
		out = append(out, deviation(step))
		if step.Action == Change && step.live.muted() && !step.desired.muted() {
			out = append(out, Deviation{Class: Muted, Name: step.Name, Detail: "its actions are disabled: it changes state and tells nobody"})
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
		d.Class, d.Detail, d.Changes = Missing, "it is not there: apply makes it", nil
	case s.Action == Refuse:
		d.Class, d.Detail = Foreign, "the name is taken by an alarm that is not the spec's: it is left as it is; take it over with apply --adopt"
	case s.Action == Delete:
		d.Class, d.Detail = Orphan, "it is the spec's, and no longer in it: apply deletes it"
	case s.Conflict:
		d.Class, d.Detail = Edited, "somebody changed it, and the spec changed too: apply makes it what the spec says"
	case s.Edited:
		d.Class, d.Detail = Edited, "somebody changed it since it was applied: put the change into the spec, or apply takes it back"
	default:
		d.Class, d.Detail = Behind, "the spec changed since it was applied"
	}
	return d
}

// undeliverable are the topics of the set that tell nobody.
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
			out = append(out, Deviation{Class: Undeliverable, Name: topic, Detail: fmt.Sprintf("CloudWatch may not use its key, so what %d alarms send reaches nobody; among them %s: %s", len(names), names[0], key.Blocked)})
		case key.Unread != "":
			out = append(out, Deviation{Class: Unread, Name: topic, Detail: key.Unread})
		}
		if n == 0 {
			out = append(out, Deviation{Class: Undeliverable, Name: topic, Detail: fmt.Sprintf("nobody has confirmed a subscription: SNS takes what %d alarms send, and it reaches nobody; among them %s", len(names), names[0])})
		}
	}
	return out, nil
}

func isTopic(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns"
}
