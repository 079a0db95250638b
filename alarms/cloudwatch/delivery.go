package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// States has the operations of CloudWatch's client that [Test] and [History] call.
type States interface {
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
	DescribeAlarmHistory(context.Context, *cloudwatch.DescribeAlarmHistoryInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmHistoryOutput, error)
	SetAlarmState(context.Context, *cloudwatch.SetAlarmStateInput, ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error)
}

// Item is one line of an alarm's history: a change of state, or the result of an action.
type Item struct {
	At      time.Time `json:"at"`
	Alarm   string    `json:"alarm"`
	Kind    string    `json:"kind"`
	Summary string    `json:"summary"`
}

// History returns the history of an alarm since a time, oldest first. CloudWatch keeps
// thirty days.
func History(ctx context.Context, api States, name string, since time.Time, pace *Pace) ([]Item, error) {
	in := &cloudwatch.DescribeAlarmHistoryInput{
		AlarmName: &name, StartDate: &since, MaxRecords: aws.Int32(100),
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
	}
	var out []Item
	pages := cloudwatch.NewDescribeAlarmHistoryPaginator(api, in)
	for pages.HasMorePages() {
		if err := pace.wait(ctx, describing); err != nil {
			return out, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return out, Explain("read the history of "+name, "cloudwatch:DescribeAlarmHistory", err)
		}
		for _, i := range page.AlarmHistoryItems {
			out = append(out, Item{At: aws.ToTime(i.Timestamp).UTC(), Alarm: aws.ToString(i.AlarmName), Kind: string(i.HistoryItemType), Summary: aws.ToString(i.HistorySummary)})
		}
	}
	slices.SortStableFunc(out, func(a, b Item) int { return a.At.Compare(b.At) })
	return out, nil
}

// Delivery is the result of testing one alarm's notifications.
type Delivery struct {
	Alarm string `json:"alarm"`
	// Sent reports that the alarm's history has an action that succeeded.
	Sent bool `json:"sent"`
	// Reached reports that each of its topics has a confirmed subscription, and that no
	// topic's key refuses CloudWatch.
	Reached  bool     `json:"reached"`
	Restored string   `json:"restored"` // the state that was restored
	Problems []string `json:"problems,omitempty"`
}

// Good reports whether a notification was sent to at least one subscriber.
func (d Delivery) Good() bool { return d.Sent && d.Reached && len(d.Problems) == 0 }

// Test sets an alarm to ALARM, looks for the notification in its history, checks that its
// topics have subscribers, and restores the state. It waits at most a minute for the
// history. An action other than an SNS topic could roll back a deployment or stop an
// instance: Test refuses an alarm with such an action, unless force is set.
func Test(ctx context.Context, api States, topics Topics, name string, force bool, pace *Pace) (d Delivery, err error) {
	d.Alarm = name
	if err := pace.wait(ctx, describing); err != nil {
		return d, err
	}
	out, err := api.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
	if err != nil {
		return d, Explain("read "+name, "cloudwatch:DescribeAlarms", err)
	}
	var actions []string
	var before types.StateValue
	var enabled bool
	switch {
	case len(out.MetricAlarms) > 0:
		m := out.MetricAlarms[0]
		actions, before, enabled = m.AlarmActions, m.StateValue, aws.ToBool(m.ActionsEnabled)
	case len(out.CompositeAlarms) > 0:
		c := out.CompositeAlarms[0]
		actions, before, enabled = c.AlarmActions, c.StateValue, aws.ToBool(c.ActionsEnabled)
	default:
		return d, fmt.Errorf("%s: this account and Region do not have the alarm: apply the spec first", name)
	}
	if err := testable(name, actions, enabled, force); err != nil {
		return d, err
	}
	if d.Reached, d.Problems, err = reached(ctx, topics, actions, name); err != nil {
		return d, err
	}
	if before == types.StateValueAlarm { // CloudWatch runs actions only on a change of state
		if err := setState(ctx, api, name, types.StateValueOk, "throughline: a test of delivery", pace); err != nil {
			return d, err
		}
	}
	begin := pace.now()
	if err := setState(ctx, api, name, types.StateValueAlarm, "throughline: a test of delivery", pace); err != nil {
		return d, err
	}
	// The state is restored whatever follows, even if ctx has ended.
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		before = cmp.Or(before, types.StateValueOk)
		if e := setState(back, api, name, before, "throughline: the test of delivery is over", pace); e != nil {
			err = errors.Join(err, fmt.Errorf("%s is still in ALARM: %w", name, e))
			return
		}
		d.Restored = string(before)
	}()
	d.Sent, err = sent(ctx, api, name, begin, &d, pace)
	return d, err
}

func testable(name string, actions []string, enabled, force bool) error {
	switch {
	case len(actions) == 0:
		return fmt.Errorf("%s has no actions, so nothing is delivered: add notify to the spec", name)
	case !enabled:
		return fmt.Errorf("%s: its actions are disabled: enable them, then test again", name)
	}
	for _, a := range actions {
		if !isTopic(a) && !force {
			return fmt.Errorf("%s: the action %s is not an SNS topic and can change resources: give --force to run it", name, a)
		}
	}
	return nil
}

func reached(ctx context.Context, topics Topics, actions []string, alarm string) (all bool, problems []string, err error) {
	all = true
	for _, a := range actions {
		if !isTopic(a) {
			continue
		}
		n, err := topics.Subscribers(ctx, a)
		if err != nil {
			return false, nil, err
		}
		if n == 0 {
			all = false
			problems = append(problems, a+": nobody has confirmed a subscription")
		}
		key, err := topics.Key(ctx, a, alarm)
		if err != nil {
			return false, nil, err
		}
		if key.Blocked != "" {
			all = false
			problems = append(problems, a+": CloudWatch has no access to its KMS key: "+key.Blocked)
		}
	}
	return all, problems, nil
}

func setState(ctx context.Context, api States, name string, state types.StateValue, reason string, pace *Pace) error {
	if err := pace.wait(ctx, changing); err != nil {
		return err
	}
	_, err := api.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: state, StateReason: &reason})
	if err != nil {
		return Explain("set the state of "+name, "cloudwatch:SetAlarmState", err)
	}
	return nil
}

const (
	historyWait  = time.Minute
	historyPause = 2 * time.Second
)

// sent waits until the history has an action.
func sent(ctx context.Context, api States, name string, since time.Time, d *Delivery, pace *Pace) (bool, error) {
	for waited := time.Duration(0); waited <= historyWait; waited += historyPause {
		items, err := History(ctx, api, name, since.Add(-time.Second), pace)
		if err != nil {
			return false, err
		}
		for _, i := range items {
			if i.Kind != string(types.HistoryItemTypeAction) {
				continue
			}
			if strings.Contains(i.Summary, "Failed") {
				d.Problems = append(d.Problems, i.Summary)
				return false, nil
			}
			return true, nil
		}
		if err := pace.Pause(ctx, historyPause); err != nil {
			return false, err
		}
	}
	d.Problems = append(d.Problems, "the alarm's history shows no action within a minute")
	return false, nil
}
