package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/throughline/throughline/alarms"
)

// Topics is what of SNS's client is needed to know whether a notification
// reaches anybody.
type Topics interface {
	ListSubscriptionsByTopic(context.Context, *sns.ListSubscriptionsByTopicInput, ...func(*sns.Options)) (*sns.ListSubscriptionsByTopicOutput, error)
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
	Undeliverable Class = "undeliverable" // nobody is subscribed to its topic
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
		n, err := subscribers(ctx, topics, topic)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			slices.Sort(names)
			out = append(out, Deviation{Class: Undeliverable, Name: topic, Detail: fmt.Sprintf("nobody has confirmed a subscription: SNS takes what %d alarms send, and it reaches nobody; among them %s", len(names), names[0])})
		}
	}
	return out, nil
}

func isTopic(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns"
}

// subscribers counts a topic's confirmed subscriptions. A topic that is not
// there has none.
func subscribers(ctx context.Context, topics Topics, topic string) (int, error) {
	confirmed := 0
	in := &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}
	for {
		out, err := topics.ListSubscriptionsByTopic(ctx, in)
		var gone *snstypes.NotFoundException
		if asError(err, &gone) {
			return 0, nil
		}
		if err != nil {
			return 0, explain("read the subscriptions of "+topic, "sns:ListSubscriptionsByTopic", err)
		}
		for _, sub := range out.Subscriptions {
			if strings.HasPrefix(aws.ToString(sub.SubscriptionArn), "arn:") { // PendingConfirmation has none
				confirmed++
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return confirmed, nil
		}
		in.NextToken = out.NextToken
	}
}
