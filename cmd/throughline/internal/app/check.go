package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/spancollector"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// Checks reports whether --check is given: the application then exits after the check.
func (f *Flags) Checks() bool { return len(f.check) > 0 }

// rehearsal are the faults of a check without --fault: those that the checklist asks for
// before a system goes live.
var rehearsal = []string{"duplicate:20%", "reorder=300ms:20%", "http-delay=1s"}

const (
	patience = 5 * time.Minute        // the time limit for each part of a check
	retry    = 200 * time.Millisecond // when a check delivers a message again that a function did not delete
	attempts = 10                     // the number of deliveries of such a message without a redrive policy
)

func (f Flags) retry() time.Duration {
	if f.record == nil {
		return 0
	}
	return retry
}

func (f Flags) attempts() int {
	if f.record == nil {
		return 0
	}
	return attempts
}

// onLog returns the function that receives lines of the functions' log.
func (f Flags) onLog(l *log) func(lambdalocal.LogLine) {
	if f.record == nil {
		return l.add
	}
	return func(line lambdalocal.LogLine) {
		f.record(line)
		l.add(line)
	}
}

// onEvent returns the function that receives the events of the buses. A check keeps them
// itself.
func (f Flags) onEvent(dir string, l *log) func(buslocal.Event) {
	if f.record != nil {
		return nil
	}
	return newRecorder(dir, l.tell).add
}

// Check plays the application of a template with the given events: once with faults, once
// more as a replay, and one event that every target refuses. Then it runs the checklist
// of throughline check. Its input files are in a folder below dir.
func (f Flags) Check(cmd *cobra.Command, path, dir string, asJSON bool) error {
	collector, err := spancollector.Start("", nil)
	if err != nil {
		return err
	}
	defer collector.Close()
	lines := &metricLines{}
	f.record = lines.add
	if len(f.faults) == 0 {
		f.faults = rehearsal
	}
	a, err := f.Start(cmd.Context(), path, Places{OTLP: collector.URL, Dir: dir, Out: cmd.ErrOrStderr()})
	if err != nil {
		return err
	}
	closeApp := sync.OnceFunc(a.Close)
	defer closeApp()
	if err := a.Print(cmd.ErrOrStderr()); err != nil {
		return err
	}
	events, err := f.given(cmd.InOrStdin(), a)
	if err != nil {
		return err
	}
	var schedules []plan.Schedule
	if slices.Contains(f.check, "samples") {
		schedules = slices.DeleteFunc(slices.Clone(a.plan.Schedules), func(one plan.Schedule) bool { return one.Disabled })
	}
	if err := a.rehearse(cmd.Context(), cmd.ErrOrStderr(), events, schedules); err != nil {
		return terminal.As(terminal.CouldNot, err)
	}
	functions := a.stage.Functions()
	closeApp() // the extensions export their remaining spans
	spans, decoded, err := collector.Spans()
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "check")
	if err := a.write(folder, spans, decoded, lines.bytes(), f); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the recorded spans, events and metrics are in %s\n", folder)
	for _, of := range a.stage.GaveUp() {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s failed %s of the queue %s %d times, and dev dropped it: in AWS it is delivered again until it expires. Give the queue a RedrivePolicy\n",
			of.Function, phrase.Count(of.Messages, "message"), of.Queue, attempts)
	}
	broken := f.failed(functions)
	err = checkcmd.Folder(cmd, folder, asJSON)
	if err == nil && !a.breaks() {
		return broken
	}
	if broken != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %v\n", broken)
	}
	return err
}

// breaks reports whether faults make invocations fail.
func (a *App) breaks() bool {
	return slices.ContainsFunc(a.faults.Past(), func(r faults.Rule) bool {
		return slices.Contains([]faults.Kind{faults.Kill, faults.Timeout, faults.Freeze, faults.HTTP, faults.Throttle}, r.Kind)
	})
}

// failed returns a finding if functions failed that no fault was injected into.
func (f Flags) failed(functions []Function) error {
	var names []string
	for _, fn := range functions {
		if fn.Errors > 0 {
			names = append(names, fmt.Sprintf("%s (%d of %d)", fn.Name, fn.Errors, fn.Invocations))
		}
	}
	if len(names) == 0 {
		return nil
	}
	where, hint := "the log above says why", ""
	if f.quiet {
		where = "without --quiet the log says why"
	}
	if slices.Contains(f.check, "samples") {
		hint = ". A sample has only what a rule's pattern names: if functions need more, name a file of events instead"
	}
	return terminal.Finding("invocations failed: %s; %s%s", strings.Join(names, ", "), where, hint)
}

// given returns the events of the named files.
func (f Flags) given(stdin io.Reader, a *App) ([]eventfile.Event, error) {
	var events []eventfile.Event
	for _, name := range f.check {
		if name == "samples" {
			for _, t := range a.types() {
				if e, ok := eventfile.Sample(a.stage.Rules(), t, nil); ok {
					events = append(events, e)
				}
			}
			continue
		}
		file, err := terminal.Open(stdin, name)
		if err != nil {
			return nil, terminal.Misuse("--check: %v; name a file of events, or samples", err)
		}
		read, err := eventfile.Read(file)
		_ = file.Close()
		if err != nil {
			return nil, terminal.Misuse("--check %s: %v", name, err)
		}
		events = append(events, read...)
	}
	if len(events) == 0 {
		return nil, terminal.Misuse("--check samples: no rule names a detail-type: name a file of events")
	}
	return events, nil
}

// rehearse plays the three parts of a check.
func (a *App) rehearse(ctx context.Context, out io.Writer, events []eventfile.Event, schedules []plan.Schedule) error {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	with := a.faults.Rules()
	var names []string
	for _, d := range with {
		names = append(names, d.Rule)
	}
	say("playing %s with %s", phrase.Count(len(events), "event"), strings.Join(names, ", "))
	sent := make([]eventfile.Event, 0, len(events))
	matched := 0
	for _, e := range events {
		e.ID, e.Replay, e.Time = "", "", time.Time{}
		one, err := a.stage.Send(e)
		if err != nil {
			return err
		}
		if len(one.Rules) == 0 {
			say("note: no rule matches %s%s", e.DetailType, prefixOf("; ", one.Near))
		} else {
			matched++
		}
		e.ID, e.Bus, e.Time = one.ID, one.Bus, one.Time
		sent = append(sent, e)
	}
	if matched == 0 {
		return errors.New("no rule matches any of the events, so nothing was played: check their source and detail-type")
	}
	for _, one := range schedules {
		say("firing the schedule %s", one.Name)
		if err := a.stage.Fire(ctx, one.Name); err != nil {
			return err
		}
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	say("playing the events again, as a replay")
	a.faults.Put(nil)
	for _, e := range sent {
		e.Replay = "check"
		if _, err := a.stage.Send(e); err != nil {
			return err
		}
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	say("playing an event that every target refuses")
	refuse, err := faults.Parse(string(faults.Refuse))
	if err != nil {
		return err
	}
	a.faults.Put([]faults.Rule{refuse})
	if _, err := a.stage.Send(sent[0]); err != nil {
		return err
	}
	return a.settle(ctx)
}

func prefixOf(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func (a *App) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.stage.Settle(ctx); err != nil {
		return fmt.Errorf("the application did not become idle within %v; the log above shows what is retried: %w", patience, err)
	}
	return nil
}

// metricLines keeps the metric lines in functions' logs.
type metricLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (m *metricLines) add(line lambdalocal.LogLine) {
	if !strings.HasPrefix(line.Text, "{") || !strings.Contains(line.Text, `"_aws"`) && !strings.Contains(line.Text, `"throughline"`) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b.WriteString(line.Text + "\n")
}

func (m *metricLines) bytes() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.b.Bytes())
}

// write writes the files that throughline check reads.
func (a *App) write(folder string, spans []byte, decoded []workflow.Span, metrics []byte, f Flags) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	delivered, letters := a.stage.Recorded()
	var events, dead bytes.Buffer
	for _, e := range delivered {
		events.Write(append(e.Envelope, '\n'))
	}
	for _, l := range letters {
		type attribute struct{ DataType, StringValue string }
		attributes := map[string]attribute{}
		for name, value := range l.Attributes {
			attributes[name] = attribute{"String", value}
		}
		line, err := json.Marshal(map[string]any{"Body": l.Body, "MessageAttributes": attributes})
		if err != nil {
			return err
		}
		dead.Write(append(line, '\n'))
	}
	described, err := json.MarshalIndent(a.describe(decoded, f), "", "  ")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"system.json": described, "spans.jsonl": spans, "metrics.jsonl": metrics, "events.jsonl": events.Bytes(), "dead.jsonl": dead.Bytes()} {
		err = cmp.Or(err, os.WriteFile(filepath.Join(folder, name), data, 0o600))
	}
	return err
}
