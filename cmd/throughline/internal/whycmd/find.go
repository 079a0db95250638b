package whycmd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/eventpattern"
)

// found is an event that was found, with the records about it.
type found struct {
	event envelope.Event // JSON is nil if only spans have it
	steps []Step
	trail *Trail
	from  string
}

// scan is the content of files: events, and records of a bus's log.
type scan struct {
	id     string // "" selects every event
	events []envelope.Event
	steps  []Step
	seen   map[string]bool
}

func (s *scan) read(in io.Reader) error {
	_, err := records.Read(in, func(d records.Document) error {
		if step, ok := readStep(d.JSON); ok {
			s.steps = append(s.steps, step)
			return nil
		}
		for _, e := range envelope.In(d.JSON) {
			key := cmp.Or(e.ID, string(e.JSON))
			if (s.id == "" || e.Is(s.id)) && !s.seen[key] {
				s.seen[key] = true
				s.events = append(s.events, e)
			}
		}
		return nil
	})
	return err
}

func (s *scan) readFile(stdin io.Reader, name string) error {
	file, err := terminal.Open(stdin, name)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, letters)
	s.readLetters(in)
	if err := s.read(in); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// letters bounds how much of a file can be messages of a dead-letter queue: ten, the
// limit of receive-message.
const letters = 12 << 20

// readLetters reads EventBridge's attributes of messages in a dead-letter queue. The rest
// of the scan sees only the bodies.
func (s *scan) readLetters(in *bufio.Reader) {
	head, _ := in.Peek(letters)
	for _, m := range deadletter.Parse(head) {
		if l := deadletter.Read(m); l.Kind == deadletter.OfRule && l.EnvelopeID != "" {
			s.steps = append(s.steps, Step{
				At: l.Since, Type: "INVOCATION_DLQ", EventID: l.EnvelopeID, Bus: busOf(l.Rule), Rule: arn.Name(l.Rule), Target: l.Target, Attempts: l.Attempts, Error: l.Summary(),
			})
		}
	}
}

// busOf returns the bus in a rule's ARN: rule/BUS/RULE, or rule/RULE on the default bus.
func busOf(rule string) string {
	_, path, _ := strings.Cut(rule, ":rule/")
	if bus, _, custom := strings.Cut(path, "/"); custom {
		return bus
	}
	return "default"
}

// one returns the only event of the files, and the log records about it.
func (s *scan) one(where string) (found, error) {
	f := found{from: where}
	if len(s.events) == 0 {
		of := map[string][]Step{}
		for _, step := range s.steps {
			if s.id == "" || step.EventID == s.id {
				of[step.EventID] = append(of[step.EventID], step)
			}
		}
		for id, steps := range of {
			e, ok := ofLog(steps)
			if !ok {
				e = envelope.Event{ID: id, Bus: steps[0].Bus}
			}
			s.events = append(s.events, e)
		}
	}
	switch len(s.events) {
	case 0:
		return f, nil
	case 1:
		f.event = s.events[0]
	default:
		text := fmt.Sprintf("%s has %d events: name one, as in throughline why ID --events %s", where, len(s.events), where)
		const show = 5
		for _, e := range s.events[:min(show, len(s.events))] {
			text += fmt.Sprintf("\n  %s  %s", terminal.Line(cmp.Or(e.DomainID, e.ID)), terminal.Line(e.Type))
		}
		return f, terminal.Misuse("%s", text)
	}
	for _, step := range s.steps {
		if step.EventID == f.event.ID {
			f.steps = append(f.steps, step)
			f.event.Bus = cmp.Or(f.event.Bus, step.Bus)
		}
	}
	return f, nil
}

// find looks for the event that the argument names: in a file of that name, else by its ID in
// the files of --events, in the log of the bus, and in spans.
func (o *options) find(cmd *cobra.Command, argument string) (found, error) {
	if argument == "-" || isFile(argument) {
		s := scan{seen: map[string]bool{}}
		if err := s.readFile(cmd.InOrStdin(), argument); err != nil {
			return found{}, err
		}
		f, err := s.one(argument)
		if err == nil && f.event.JSON == nil && f.event.ID == "" {
			err = terminal.Finding("no event was found in %s", argument)
		}
		return f, err
	}
	s := scan{id: argument, seen: map[string]bool{}}
	for _, name := range o.events {
		if err := s.readFile(cmd.InOrStdin(), name); err != nil {
			return found{}, err
		}
	}
	return s.one(strings.Join(o.events, ", "))
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// follow adds what spans have of the event.
func (f *found) follow(ctx context.Context, source spansource.Source, id string) error {
	workflowID, whole, err := source.OfEvent(ctx, id)
	if errors.Is(err, spansource.ErrNotFound) {
		whole = id
		workflowID, err = source.OfID(ctx, id)
	}
	switch {
	case errors.Is(err, spansource.ErrNotFound):
		f.trail = &Trail{}
		return nil
	case err != nil:
		return err
	}
	w, err := source.Find(ctx, workflowID)
	if err != nil {
		return err
	}
	trail := trailOf(w, whole)
	f.trail = &trail
	if f.event.JSON == nil && f.event.ID == "" {
		f.from = "spans " + source.Where
		f.event.DomainID = whole
	}
	f.event.CorrelationID = cmp.Or(f.event.CorrelationID, w.CorrelationID)
	if p := trail.Published; p != nil {
		f.event.ID = cmp.Or(f.event.ID, p.EnvelopeID)
		f.event.DomainID = cmp.Or(p.EventID, f.event.DomainID)
		f.event.Type = cmp.Or(f.event.Type, p.Type)
		f.event.Bus = cmp.Or(f.event.Bus, p.Bus)
		if f.event.Time.IsZero() {
			f.event.Time = p.At
		}
	}
	return nil
}

// described returns the event to compare with rules: complete, or with its known members.
func (f *found) described() (Event, eventpattern.Event, error) {
	e := f.event
	described := Event{ID: cmp.Or(e.DomainID, e.ID), EnvelopeID: e.ID, Source: e.Source, Type: e.Type, Bus: e.Bus, Time: e.Time, Workflow: e.CorrelationID, Whole: e.JSON != nil, From: f.from}
	document := e.JSON
	if document == nil {
		known := map[string]string{}
		for name, value := range map[string]string{"id": e.ID, "source": e.Source, "detail-type": e.Type} {
			if value != "" {
				known[name] = value
			}
		}
		document, _ = json.Marshal(known) // strings always marshal
	}
	parsed, err := eventpattern.Read(bytes.TrimSpace(document))
	if err != nil {
		return described, parsed, fmt.Errorf("event %s: %w", described.ID, err)
	}
	return described, parsed, nil
}
