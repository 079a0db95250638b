package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/pause"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// clock lists the schedules of a day, in this order.
var clock = []string{
	"schedule-manager", "data", "account-data", "account-data", "account-data", "account-data",
	"strategy-analytics", "strategy-reports", "hedge-roll-manager",
}

// play starts the local services, plays the day and stops everything.
func play(ctx context.Context, o options) (day, error) {
	progress := func(format string, args ...any) { fmt.Fprintf(o.progress, format+"\n", args...) }
	p := newPlan(o.plan)
	progress("starting a bus, a queue, a scheduler, a table and %d functions with the layer attached", len(functions))
	s, err := setUp(o, p)
	if err != nil {
		s.takeDown()
		return day{}, err
	}
	progress("playing a day of %d strategies and %d trades, HOPS=%s", o.plan.strategies, o.plan.trades, o.hops)
	err = s.play(ctx)
	s.takeDown() // the extensions export their remaining spans
	if err != nil {
		return day{}, fmt.Errorf("%w\n%s", err, s.others())
	}
	d, err := s.results()
	d.plan, d.clockRuns = p, len(clock)
	return d, err
}

func (s *stage) play(ctx context.Context) error {
	for _, name := range clock {
		if _, err := s.lambda.Deployment(name).InvokeAsync([]byte(`{"source": "schedule"}`), lambdalocal.InvokeOptions{}); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if visible, _, _ := s.dead.Count(); visible > 0 {
		return s.mend(ctx)
	}
	return nil
}

// mend handles the dead-letter queue like an operator: it reads the messages, repairs the
// cause, and redrives them.
func (s *stage) mend(ctx context.Context) error {
	letters, err := s.dead.Receive(ctx, sqslocal.Receive{Max: 10, Attributes: []string{"All"}, Messages: []string{"All"}})
	if err != nil {
		return err
	}
	event, ids := s.dead.Event(letters)
	s.consume("dead-letters", s.sentByQueue)(ctx, event, ids)
	for _, letter := range letters {
		if err := s.dead.ChangeVisibility(letter.ReceiptHandle, 0); err != nil {
			return err
		}
	}
	s.table.put("mended", "true")
	if _, err := s.dead.Redrive(""); err != nil {
		return err
	}
	return s.settle(ctx)
}

// settle waits until all events, messages and invocations are handled, including those
// that a handler causes.
func (s *stage) settle(ctx context.Context) error {
	for quiet := 0; quiet < 2; {
		if err := s.bus.Wait(ctx); err != nil {
			return err
		}
		if err := s.lambda.Wait(ctx); err != nil {
			return fmt.Errorf("wait for functions: %w", err)
		}
		waiting := s.scheduler.Waiting()
		for _, q := range s.polled {
			visible, inFlight, delayed := q.Count()
			waiting += visible + inFlight + delayed
		}
		if quiet++; waiting > 0 {
			quiet = 0
		}
		const often = 20 * time.Millisecond
		if err := pause.For(ctx, often); err != nil {
			return fmt.Errorf("wait for queues and schedules: %w", err)
		}
	}
	return nil
}

func (s *stage) results() (day, error) {
	d := day{files: map[string][]byte{}, others: s.others()}
	var err error
	if d.files["spans.jsonl"], d.spans, err = s.collector.Spans(); err != nil {
		return d, err
	}
	for _, line := range s.lines {
		if strings.Contains(line.Text, `"_aws"`) {
			d.files["metrics.jsonl"] = append(append(d.files["metrics.jsonl"], line.Text...), '\n')
		}
	}
	bus := s.bus.Ledger()
	for _, delivery := range bus.Deliveries {
		d.files["events.jsonl"] = append(append(d.files["events.jsonl"], delivery.Payload...), '\n')
	}
	attempts := map[string]int{}
	for _, name := range s.deployed {
		for _, i := range s.lambda.Deployment(name).Invocations() {
			if attempts[i.RequestID]++; attempts[i.RequestID] == 1 {
				d.invocations = append(d.invocations, invocation{Function: name, RequestID: i.RequestID})
			}
		}
	}
	for i := range d.invocations {
		d.invocations[i].Attempts = attempts[d.invocations[i].RequestID]
	}
	s.completeLedger()
	d.edges, d.orphans = s.ledger.edges()
	d.markUnstamped(bus.Published)
	if s.options.hops == "join" {
		d.markLost(s.queues.Ledger().Moved)
	}
	d.files["ledger.json"], err = json.MarshalIndent(map[string]any{"invocations": d.invocations, "edges": d.edges}, "", " ")
	return d, err
}

// completeLedger adds what only the local services know.
func (s *stage) completeLedger() {
	known := map[string]bool{} // invocations that a service made
	for _, f := range s.scheduler.Fired() {
		s.ledger.delivered("scheduler", f.Schedule, "", f.ID)
	}
	for _, e := range s.ledger.received {
		known[e.To] = true
	}
	for _, i := range s.api.Ledger() {
		if !known[i.RequestID] {
			s.ledger.delivered("lambda", i.RequestID, "", i.RequestID)
		}
	}
	for _, m := range s.queues.Ledger().Moved {
		if m.Message != m.Before { // a redriven message has a new ID and the same sender
			s.ledger.mu.Lock()
			s.ledger.sent[[2]string{"sqs", m.Message}] = s.ledger.sent[[2]string{"sqs", m.Before}]
			s.ledger.mu.Unlock()
		}
	}
}

// markLost marks the edges of redriven messages. Their IDs are new, and without a trace
// header nothing connects them to the sender.
func (d *day) markLost(moved []sqslocal.Moved) {
	for i := range d.edges {
		e := &d.edges[i]
		if slices.ContainsFunc(moved, func(m sqslocal.Moved) bool { return e.Via == "sqs" && m.Message == e.ID && m.Before != m.Message }) {
			e.Lost = "redriven, a new ID"
		}
	}
}

// markUnstamped marks the edges of events that were published without a stamp. The shim
// waits 40 ms for a stamp, and here dozens of environments share the machine.
func (d *day) markUnstamped(published []*buslocal.Event) {
	bare := map[string]bool{}
	for _, e := range published {
		stamped := slices.ContainsFunc(e.Resources, func(r string) bool { return strings.HasPrefix(r, "correlation:") })
		if !stamped && e.Source != "lambda" { // Lambda's own events about failed invocations have no stamp
			bare[e.ID] = true
		}
	}
	d.unstamped = len(bare)
	for i := range d.edges {
		d.edges[i].Unstamped = d.edges[i].Via == "bus" && bare[d.edges[i].ID]
	}
	for line := range bytes.Lines(d.files["metrics.jsonl"]) {
		var m struct {
			Late        float64 `json:"StampSkipped_late"`
			Unreachable float64 `json:"StampSkipped_unreachable"`
			Busy        float64 `json:"StampSkipped_busy"`
		}
		if json.Unmarshal(line, &m) == nil {
			d.skipped += int(m.Late + m.Unreachable + m.Busy)
		}
	}
}

// others returns the other log lines, for debugging.
func (s *stage) others() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.lines {
		if line.Source != "platform" && !strings.HasPrefix(line.Text, "{") {
			fmt.Fprintf(&b, "%s: %s\n", line.Function, line.Text)
		}
	}
	return b.String()
}

// write writes the files of the day, and the page.
func (d day) write(dir string, seen measured) error {
	var page bytes.Buffer
	if err := workflow.WriteHTML(&page, seen.workflows); err != nil {
		return err
	}
	d.files["report.html"], d.files["log.txt"] = page.Bytes(), []byte(d.others)
	for name, data := range d.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}
