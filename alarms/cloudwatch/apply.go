package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
)

// Apply carries out a plan. It puts metric alarms first, then composites, and then
// deletes, composites before metric alarms, so that a resource is watched throughout. If
// a step fails, Apply still tries the others, except for deletions, and except if every
// call would fail. done, which may be nil, is called after each step.
//
// An interrupted Apply leaves alarms that are correct or that the next plan shows,
// because the tag with the applied state is written last. The error joins the failures
// and says how many steps are not done. If the plan refuses a name, Apply changes nothing
// and returns an error.
func Apply(ctx context.Context, api API, p Plan, pace *Pace, done func(Step, error)) error {
	if refused := p.Refused(); len(refused) > 0 {
		return fmt.Errorf("%s: an alarm that does not belong to %s has this name: nothing was changed; rename one of them, or take the alarm over with --adopt %s", strings.Join(refused, ", "), p.spec, refused[0])
	}
	a := applying{api: api, pace: pace, report: done}
	if a.report == nil {
		a.report = func(Step, error) {}
	}
	for _, composite := range []bool{false, true} {
		for _, s := range p.Steps {
			if s.Composite == composite && s.Action != Delete {
				a.step(ctx, s, a.put)
			}
		}
	}
	if len(a.failed) > 0 {
		a.skipDeletions(p)
		return a.err(p)
	}
	var metric []Step
	for _, s := range p.Steps {
		if s.Action == Delete && s.Composite {
			a.step(ctx, s, func(ctx context.Context, s Step) error { return a.remove(ctx, s.Name) })
		} else if s.Action == Delete {
			metric = append(metric, s)
		}
	}
	for chunk := range slices.Chunk(metric, 100) {
		names := make([]string, len(chunk))
		for i, s := range chunk {
			names[i] = s.Name
		}
		err := a.fatal
		if err == nil {
			err = a.remove(ctx, names...)
		}
		for _, s := range chunk {
			a.note(s, err)
		}
	}
	return a.err(p)
}

type applying struct {
	api    API
	pace   *Pace
	report func(Step, error)
	done   int
	failed []error
	fatal  error
}

func (a *applying) step(ctx context.Context, s Step, do func(context.Context, Step) error) {
	if a.fatal != nil {
		return
	}
	a.note(s, do(ctx, s))
}

func (a *applying) note(s Step, err error) {
	if err == nil {
		a.done++
		a.report(s, nil)
		return
	}
	var e *Error
	if errors.As(err, &e) && e.Fatal || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if a.fatal == nil {
			a.failed = append(a.failed, err)
		}
		a.fatal = err
	} else if len(a.failed) == 0 || !errors.Is(a.failed[len(a.failed)-1], err) {
		a.failed = append(a.failed, err)
	}
	a.report(s, err)
}

func (a *applying) skipDeletions(p Plan) {
	n := 0
	for _, s := range p.Steps {
		if s.Action == Delete {
			n++
		}
	}
	if n > 0 && a.fatal == nil {
		a.failed = append(a.failed, fmt.Errorf("%d alarms are not deleted yet, because other steps failed", n))
	}
}

func (a *applying) err(p Plan) error {
	if len(a.failed) == 0 {
		return nil
	}
	return fmt.Errorf("%w\n%d of %d steps are done; plan shows the others, and the next apply does them", errors.Join(a.failed...), a.done, len(p.Steps))
}

// put creates or changes one alarm, then its tags, and last the tag with the applied
// state.
func (a *applying) put(ctx context.Context, s Step) error {
	if s.Action != Retag {
		if err := a.pace.wait(ctx, changing); err != nil {
			return err
		}
		var err error
		permission := "cloudwatch:PutMetricAlarm"
		if s.Composite {
			permission = "cloudwatch:PutCompositeAlarm"
			_, err = a.api.PutCompositeAlarm(ctx, putCompositeAlarm(s.desired.over))
		} else {
			_, err = a.api.PutMetricAlarm(ctx, putMetricAlarm(s.desired.alarm))
		}
		if err != nil {
			return Explain(fmt.Sprintf("%s %s", s.Action, s.Name), permission, err)
		}
	}
	if s.Action == Create {
		return nil // PutMetricAlarm sets the tags of a new alarm
	}
	return a.retag(ctx, s)
}

func (a *applying) retag(ctx context.Context, s Step) error {
	var gone []string
	for _, t := range s.live.tags {
		if !slices.ContainsFunc(s.desired.tags, func(d alarms.Tag) bool { return d.Key == t.Key }) {
			gone = append(gone, t.Key)
		}
	}
	var first, last []types.Tag
	for _, t := range tags(s.desired.tags) {
		if aws.ToString(t.Key) == alarms.TagHash {
			last = append(last, t)
		} else if !slices.Contains(s.live.tags, alarms.Tag{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)}) {
			first = append(first, t)
		}
	}
	if len(gone) > 0 {
		if err := a.pace.wait(ctx, tagging); err != nil {
			return err
		}
		if _, err := a.api.UntagResource(ctx, &cloudwatch.UntagResourceInput{ResourceARN: &s.live.arn, TagKeys: gone}); err != nil {
			return Explain("untag "+s.Name, "cloudwatch:UntagResource", err)
		}
	}
	for _, list := range [][]types.Tag{first, last} {
		if len(list) == 0 {
			continue
		}
		if err := a.pace.wait(ctx, tagging); err != nil {
			return err
		}
		if _, err := a.api.TagResource(ctx, &cloudwatch.TagResourceInput{ResourceARN: &s.live.arn, Tags: list}); err != nil {
			return Explain("tag "+s.Name, "cloudwatch:TagResource", err)
		}
	}
	return nil
}

func (a *applying) remove(ctx context.Context, names ...string) error {
	if err := a.pace.wait(ctx, changing); err != nil {
		return err
	}
	if _, err := a.api.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: names}); err != nil {
		return Explain("delete "+strings.Join(names, ", "), "cloudwatch:DeleteAlarms", err)
	}
	return nil
}
