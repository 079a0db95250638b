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

// States is what of CloudWatch's client [Test] and [History] need.
type States interface {
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
	DescribeAlarmHistory(context.Context, *cloudwatch.DescribeAlarmHistoryInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmHistoryOutput, error)
	SetAlarmState(context.Context, *cloudwatch.SetAlarmStateInput, ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error)
}

// Item is one line of an alarm's history: a change of state, or what an action
// came to.
type Item struct {
	At      time.Time `json:"at"`
	Alarm   string    `json:"alarm"`
	Kind    string    `json:"kind"`
	Summary string    `json:"summary"`
}

// History is what CloudWatch, which keeps thirty days, knows of an alarm since
// a time, oldest first.
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

// Delivery is what a test of one alarm's notifications came to.
type Delivery struct {
	Alarm string `json:"alarm"`
	// Sent says that the alarm's history tells of an action that succeeded.
	Sent bool `json:"sent"`
	// Reached says that each of its topics has a confirmed subscription, and no key that
	// keeps CloudWatch out.
	Reached  bool     `json:"reached"`
	Restored string   `json:"restored"` // the state that it was put back to
	Problems []string `json:"problems,omitempty"`
}

// Good says whether a notification left and had somebody to reach.
func (d Delivery) Good() bool { return d.Sent && d.Reached && len(d.Problems) == 0 }

// Test puts an alarm into ALARM, looks in its history for the action that
// follows, whether its topics have subscribers, and puts the state back. It
// waits at most a minute for the history. Actions that are not SNS topics could
// roll back a deployment or stop a machine: it refuses an alarm that has one,
// unless force is set.
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
		return d, fmt.Errorf("%s: there is no such alarm in this account and Region: apply the spec first", name)
	}
	if err := testable(name, actions, enabled, force); err != nil {
		return d, err
	}
	if d.Reached, d.Problems, err = reached(ctx, topics, actions, name); err != nil {
		return d, err
	}
	if before == types.StateValueAlarm { // from which no action would follow
		if err := setState(ctx, api, name, types.StateValueOk, "throughline: a test of delivery", pace); err != nil {
			return d, err
		}
	}
	begin := pace.now()
	if err := setState(ctx, api, name, types.StateValueAlarm, "throughline: a test of delivery", pace); err != nil {
		return d, err
	}
	// From here on the state is put back, whatever happens, even if ctx has ended.
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
		return fmt.Errorf("%s has no actions: there is nothing to deliver; give notify in the spec", name)
	case !enabled:
		return fmt.Errorf("%s: its actions are disabled", name)
	}
	for _, a := range actions {
		if !isTopic(a) && !force {
			return fmt.Errorf("%s: the action %s is not an SNS topic and might do harm: give --force to let it happen", name, a)
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
			problems = append(problems, a+": CloudWatch may not use its key: "+key.Blocked)
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

// sent waits for the history to tell of an action.
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
	d.Problems = append(d.Problems, "its history tells of no action within a minute")
	return false, nil
}
