package whycmd

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// scan is the content of files: events, and records of a bus's log.
type scan struct {
	ids    []string         // the event's IDs; nil selects every event
	events []envelope.Event // the selected events
	begun  []envelope.Event // some of the other events that have an ID which begins with ids[0]
	steps  []Step
	seen   map[string]bool
}

func newScan(ids ...string) *scan { return &scan{ids: ids, seen: map[string]bool{}} }

func (s *scan) read(in io.Reader) error {
	_, err := records.Read(in, func(d records.Document) error {
		if step, ok := readStep(d.JSON); ok {
			s.steps = append(s.steps, step)
			return nil
		}
		for _, e := range envelope.In(d.JSON) {
			s.add(e)
		}
		return nil
	})
	return err
}

// shown is the number of events that an error names.
const shown = 5

func (s *scan) add(e envelope.Event) {
	key := cmp.Or(e.ID, string(e.JSON))
	switch {
	case s.seen[key]:
		return
	case len(s.ids) == 0 || slices.ContainsFunc(s.ids, e.Is):
		s.events = append(s.events, e)
	case len(s.begun) <= shown && (strings.HasPrefix(e.ID, s.ids[0]) || strings.HasPrefix(e.DomainID, s.ids[0])):
		s.begun = append(s.begun, e)
	default:
		return
	}
	s.seen[key] = true
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

// logged returns the events in the records of the log whose envelopes have wanted IDs.
func (s *scan) logged(wanted func(id string) bool) []envelope.Event {
	of := map[string][]Step{}
	for _, step := range s.steps {
		if wanted(step.EventID) {
			of[step.EventID] = append(of[step.EventID], step)
		}
	}
	var events []envelope.Event
	for _, id := range slices.Sorted(maps.Keys(of)) {
		steps := of[id]
		e, ok := ofLog(steps)
		if !ok {
			e = envelope.Event{ID: id, Bus: steps[0].Bus}
		}
		events = append(events, e)
	}
	return events
}

// one returns the only event of the files that was selected, and the log records about it.
func (s *scan) one(where string) (found, error) {
	events := s.events
	if len(events) == 0 {
		events = s.logged(func(id string) bool { return len(s.ids) == 0 || slices.Contains(s.ids, id) })
	}
	return s.only(events, where)
}

// beginning is one for the events that have an ID which begins with the selected one.
func (s *scan) beginning(where string) (found, error) {
	return s.only(append(s.begun, s.logged(func(id string) bool {
		return strings.HasPrefix(id, s.ids[0]) && !slices.ContainsFunc(s.begun, func(e envelope.Event) bool { return e.ID == id })
	})...), where)
}

func (s *scan) only(events []envelope.Event, where string) (found, error) {
	f := found{from: where}
	switch len(events) {
	case 0:
		return f, nil
	case 1:
		f.event = events[0]
	default:
		return f, s.several(events, where)
	}
	for _, step := range s.steps {
		if step.EventID == f.event.ID {
			f.steps = append(f.steps, step)
			f.event.Bus = cmp.Or(f.event.Bus, step.Bus)
		}
	}
	return f, nil
}

// several returns the error for more than one event.
func (s *scan) several(events []envelope.Event, where string) error {
	text := fmt.Sprintf("%s has %d events: name one, as in throughline why ID --events %s", where, len(events), where)
	if len(s.ids) > 0 {
		text = fmt.Sprintf("%s has several events whose ID is %s or begins with it: name one", where, s.ids[0])
	}
	for _, e := range events[:min(shown, len(events))] {
		id := cmp.Or(e.DomainID, e.ID)
		if slices.Contains(s.ids, id) {
			id = cmp.Or(e.ID, id) // events that were published twice have the same ID of their own
		}
		text += fmt.Sprintf("\n  %s  %s", terminal.Line(id), terminal.Line(e.Type))
	}
	return terminal.Misuse("%s", text)
}
