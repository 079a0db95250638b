package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/throughline/throughline/internal/pause"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// play starts the local services, plays the day and stops everything.
func play(ctx context.Context, o Options) (day, error) {
	progress := func(format string, args ...any) {
		if o.Progress != nil {
			fmt.Fprintf(o.Progress, format+"\n", args...)
		}
	}
	o, err := o.found()
	if err != nil {
		return day{}, err
	}
	progress("starting a bus, an Alpaca stand-in and %d functions with the extension attached", len(functions))
	s, err := setUp(o)
	defer s.takeDown()
	if err != nil {
		return day{}, err
	}
	progress("playing a trading day")
	if _, err := s.deployed["strategy"].InvokeAsync([]byte(`{"source":"schedule"}`), lambdalocal.InvokeOptions{}); err != nil {
		return day{}, fmt.Errorf("start the day: %w", err)
	}
	if err := s.untilHandled(ctx, "notifications", "AllTradesCompleted"); err != nil {
		return day{}, fmt.Errorf("%w\n%s", err, s.logs.others())
	}
	close(s.held)
	if err := s.settle(ctx); err != nil {
		return day{}, err
	}
	progress("redriving the dead-letter queue")
	if err := s.redriveAll(); err != nil {
		return day{}, fmt.Errorf("redrive: %w", err)
	}
	if err := s.settle(ctx); err != nil {
		return day{}, err
	}
	progress("replaying the end of the run")
	if err := s.replay("AllTradesCompleted"); err != nil {
		return day{}, fmt.Errorf("replay: %w", err)
	}
	if err := s.settle(ctx); err != nil {
		return day{}, err
	}
	progress("shutting the environments down")
	if err := s.lambda.Close(); err != nil {
		return day{}, fmt.Errorf("shut down: %w", err)
	}
	d, err := s.results()
	if err != nil {
		return day{}, err
	}
	d.passed = s.collector.Pass(ctx)
	return d, nil
}

func (s *stage) redriveAll() error {
	for _, m := range s.dead.Messages() {
		s.redrive.Send(m.Body, m.TraceHeader, m.Event)
	}
	if s.newBus == nil {
		return nil
	}
	return s.redriveRecords()
}

func (s *stage) replay(detailType string) error {
	if s.newBus != nil {
		return s.replayNewBus(detailType, "hedge", "notifications")
	}
	s.bus.Replay(buslocal.Replay{Name: "monday", Bus: bus, Match: func(e *buslocal.Event) bool { return e.DetailType == detailType }})
	return nil
}

// untilHandled waits until a function has handled an event of a type.
func (s *stage) untilHandled(ctx context.Context, name, detailType string) error {
	for {
		s.mu.Lock()
		count := slices.IndexFunc(s.handled, func(h handled) bool { return h.function == name && h.event.DetailType == detailType })
		s.mu.Unlock()
		if count >= 0 && s.idle(name) {
			return nil
		}
		if pause.For(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("wait for %s to handle %s: %w", name, detailType, ctx.Err())
		}
	}
}

// idle reports whether the function has handled every event that it received.
func (s *stage) idle(name string) bool {
	s.mu.Lock()
	given := 0
	for _, h := range s.handled {
		if h.function == name {
			given++
		}
	}
	s.mu.Unlock()
	done := 0
	for _, i := range s.deployed[name].Invocations() {
		if i.Done {
			done++
		}
	}
	return done >= given
}

// settle waits until the buses and Lambda have nothing left to do, including work that a
// delivery causes.
func (s *stage) settle(ctx context.Context) error {
	for quiet := 0; quiet < 2; {
		before := len(s.ledger().Deliveries)
		if s.newBus != nil {
			if err := s.newBus.service.Wait(ctx); err != nil {
				return err
			}
		}
		if err := s.bus.Wait(ctx); err != nil {
			return err
		}
		if err := s.lambda.Wait(ctx); err != nil {
			return fmt.Errorf("wait for functions: %w", err)
		}
		if len(s.ledger().Deliveries) == before {
			quiet++
		} else {
			quiet = 0
		}
	}
	return nil
}

func (s *stage) results() (day, error) {
	lines, spans, err := s.collector.Spans()
	if err != nil {
		return day{}, err
	}
	details, err := publishedDetails(s.options.Events)
	if err != nil {
		return day{}, err
	}
	d := day{details: details, files: map[string][]byte{"spans.jsonl": lines}}
	d.reported.spans = spans
	d.reported.docs, d.reported.rare, d.files["metrics.jsonl"] = s.logs.read()
	d.truth = truth{ledger: s.ledger(), invocations: map[string][]lambdalocal.Invocation{}, orders: s.alpaca.Orders(), handled: s.handled}
	for name, deployment := range s.deployed {
		d.truth.invocations[name] = deployment.Invocations()
	}
	d.truth.time()
	d.files["template.yaml"] = s.template()
	if d.files["system.json"], err = s.describe(); err != nil {
		return day{}, fmt.Errorf("describe the system: %w", err)
	}
	if d.files["dead.jsonl"], err = s.letters(); err != nil {
		return day{}, fmt.Errorf("write dead letters: %w", err)
	}
	consumers := map[string]string{"plans": "execution", redriven: "notifications"}
	for _, r := range d.truth.ledger.Receipts {
		d.truth.handled = append(d.truth.handled, handled{function: consumers[r.Queue], event: r.Event, receives: r.ReceiveCount, at: r.At, until: r.At})
	}
	slices.SortStableFunc(d.truth.handled, func(a, b handled) int { return a.at.Compare(b.at) })
	for _, h := range d.truth.handled {
		d.files["events.jsonl"] = append(append(d.files["events.jsonl"], h.event.Envelope...), '\n')
	}
	return d, nil
}
