package try

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/read"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/internal/pause"
	"github.com/throughline/throughline/metrics"
)

// Replay replays a part of a bus's archive, or describes what it would replay.
func (t *Trials) Replay(ctx context.Context) error {
	for _, bus := range t.account.System.Buses {
		archive := t.choose(bus)
		if archive == nil {
			continue
		}
		// Events of the last ten minutes may not be in the archive yet (EventBridge user
		// guide, "Archiving and replaying events").
		const lag = 10 * time.Minute
		to := t.options.Now.Add(-lag).Truncate(time.Minute)
		trial := &system.ReplayTrial{Name: "throughline-check-" + mark(), Archive: archive.Name, From: to.Add(-t.options.Slice), To: to, Dry: !t.options.Write}
		var rules []string
		for _, r := range bus.Rules {
			if r.Disabled || t.options.Rule != "" && r.Name != t.options.Rule {
				continue
			}
			rules = append(rules, r.ARN)
			trial.Rules = append(trial.Rules, r.Name)
			for _, target := range r.Targets {
				trial.Reaches = append(trial.Reaches, arn.Name(target.ARN))
			}
		}
		slices.Sort(trial.Rules)
		slices.Sort(trial.Reaches)
		trial.Reaches = slices.Compact(trial.Reaches)
		t.account.System.Observed.Replay = trial
		switch {
		case len(rules) == 0:
			trial.Dry, trial.Reason = true, "bus "+bus.Name+" has no rule to replay to"
		case t.options.Write:
			return t.start(ctx, bus, archive, trial, rules)
		}
		return nil
	}
	t.account.System.Observed.Replay = &system.ReplayTrial{Dry: true, Reason: t.noArchive()}
	return nil
}

func (t *Trials) noArchive() string {
	var names []string
	for _, b := range t.account.System.Buses {
		if b.Exists && b.New == nil {
			names = append(names, b.Name)
		}
	}
	switch why := t.account.System.Unread[system.Archives]; {
	case why != "":
		return "the archives could not be read: " + why
	case len(names) == 0 && len(t.account.System.Buses) > 0:
		return "a new custom bus has no archive: a subscriber from a point in time is its replay"
	case len(names) == 0:
		return "no bus is known"
	case t.options.Archive != "":
		return fmt.Sprintf("%s has no archive %s that is enabled", phrase.Some(names), t.options.Archive)
	}
	return phrase.Some(names) + " has no archive"
}

func (t *Trials) choose(bus system.Bus) *system.Archive {
	for i := range bus.Archives {
		if a := &bus.Archives[i]; a.Enabled && (t.options.Archive == "" || a.Name == t.options.Archive) {
			return a
		}
	}
	return nil
}

// start replays, waits until the replay ends, and reads its effects.
func (t *Trials) start(ctx context.Context, bus system.Bus, archive *system.Archive, trial *system.ReplayTrial, rules []string) error {
	began := time.Now()
	if _, err := t.events.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &trial.Name, EventSourceArn: &archive.ARN, EventStartTime: &trial.From, EventEndTime: &trial.To,
		Destination: &types.ReplayDestination{Arn: &bus.ARN, FilterArns: rules},
	}); err != nil {
		trial.Reason = fmt.Sprintf("start the replay: %v", err)
		return nil
	}
	t.recordChange("replayed %s from %s to %s as %s; the list of replays keeps its entry", archive.Name, trial.From.UTC().Format(time.DateTime), trial.To.UTC().Format(time.DateTime), trial.Name)
	if err := t.await(ctx, trial); err != nil || trial.Reason != "" {
		return err
	}
	return t.settle(ctx, trial, began)
}

// await waits until the replay has ended, and cancels it if it takes too long.
func (t *Trials) await(ctx context.Context, trial *system.ReplayTrial) error {
	for began := time.Now(); ; {
		answer, err := t.events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &trial.Name})
		if err != nil {
			trial.Reason = fmt.Sprintf("describe the replay: %v", err)
			return nil
		}
		switch trial.State = string(answer.State); answer.State {
		case types.ReplayStateCompleted:
			return nil
		case types.ReplayStateFailed, types.ReplayStateCancelled:
			trial.Reason = strings.TrimSpace(trial.State + " " + aws.ToString(answer.StateReason))
			return nil
		}
		t.options.Progress.Show("replay %s is %s", trial.Name, trial.State)
		if time.Since(began) < t.options.Wait && pause.For(ctx, t.pause) == nil {
			continue
		}
		const patience = 30 * time.Second
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		trial.Reason = fmt.Sprintf("it did not end within %s, and was cancelled", phrase.Duration(t.options.Wait))
		if _, err := t.events.CancelReplay(clean, &eventbridge.CancelReplayInput{ReplayName: &trial.Name}); err != nil {
			trial.Reason = fmt.Sprintf("it did not end within %s, and could not be cancelled: %v", phrase.Duration(t.options.Wait), err)
			return nil
		}
		t.recordChange("cancelled the replay %s", trial.Name)
		return ctx.Err()
	}
}

// settle reads the functions' logs until no new line of the replay appears.
func (t *Trials) settle(ctx context.Context, trial *system.ReplayTrial, began time.Time) error {
	const longest, looks = time.Minute, 3 // equal results in a row
	before, alike := -1, 0
	for {
		var lines [][]byte
		for _, f := range t.account.System.Functions {
			if err := t.account.Lines(ctx, f, began, func(line []byte) { lines = append(lines, line) }); err != nil {
				return err
			}
		}
		consequences(trial, lines)
		if alike++; len(lines) != before {
			before, alike = len(lines), 0
		}
		if len(trial.Replayed) > 0 && alike >= looks || time.Since(began) > min(longest, t.options.Wait) {
			return nil
		}
		t.options.Progress.Show("reading the effects of replay %s", trial.Name)
		if pause.For(ctx, t.pause) != nil {
			return ctx.Err()
		}
	}
}

// consequences reads the lines that were written after a replay began: which deliveries
// were flagged, and what was published under their correlation IDs.
func consequences(trial *system.ReplayTrial, lines [][]byte) {
	trial.Replayed, trial.Again, trial.Published = nil, nil, map[string]float64{}
	var told system.Observed
	for _, line := range lines {
		read.Take(&told, line)
	}
	replayed := map[string]bool{}
	for _, l := range told.Lines {
		if l.Repeat == "replay" {
			trial.Replayed = append(trial.Replayed, l)
			replayed[l.CorrelationID] = true
		}
	}
	for _, l := range told.Lines {
		if l.Repeat == "republish" && replayed[l.CorrelationID] {
			trial.Again = append(trial.Again, l)
		}
	}
	for _, line := range lines {
		if !bytes.Contains(line, []byte(`"_aws"`)) {
			continue
		}
		var one system.Observed
		read.Take(&one, line)
		for service, t := range one.Functions {
			n := t.Sum[string(metrics.EventsPublished)]
			// If a line also has other workflows, the publisher of its events is unknown.
			if n > 0 && len(t.Correlations) > 0 && within(t.Correlations, replayed) {
				trial.Published[service] += n
			}
		}
	}
}

// within reports whether every key of of is a key of in.
func within(of, in map[string]bool) bool {
	for k := range of {
		if !in[k] {
			return false
		}
	}
	return true
}
