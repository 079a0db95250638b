package read

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/internal/lineage"
)

// Demo reads the files that `throughline demo` writes into a folder.
func Demo(dir string) (*system.System, error) {
	s, err := readDescription(dir)
	if err != nil {
		return nil, err
	}
	o := &s.Observed
	events := lineage.NewReader(lineage.Config{})
	for _, f := range []struct {
		name     string
		required bool
		take     func(number int, line []byte)
	}{
		{"metrics.jsonl", true, func(_ int, line []byte) { Take(o, line) }},
		{"events.jsonl", false, func(number int, line []byte) { takeDelivered(o, events, number, line) }},
		{"dead.jsonl", false, func(_ int, line []byte) { takeLetter(o, events, line) }},
	} {
		file, err := os.Open(filepath.Join(dir, f.name))
		if errors.Is(err, os.ErrNotExist) {
			if f.required {
				return nil, fmt.Errorf("there is no %s in %s: run `make demo`, or name another folder with --demo", f.name, dir)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		err = eachLine(file, f.take)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
	}
	if err := readSpans(s, filepath.Join(dir, "spans.jsonl")); err != nil {
		return nil, err
	}
	describeServices(s)
	return s, nil
}

// readDescription reads the description of the system. Without one, the functions are
// those that reported telemetry.
func readDescription(dir string) (*system.System, error) {
	path := filepath.Join(dir, "system.json")
	data, err := os.ReadFile(path)
	s := &system.System{}
	switch {
	case errors.Is(err, os.ErrNotExist):
		why := "there is no system.json in " + dir + "; `make demo` writes it"
		for _, p := range []system.Part{system.Buses, system.Rules} {
			s.Cannot(p, why)
		}
	case err != nil:
		return nil, err
	default:
		read, err := system.Read(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		s = &read
	}
	s.Source, s.Local = dir, true
	return s, nil
}

func describeServices(s *system.System) {
	for _, service := range s.Observed.Services() {
		if !slices.ContainsFunc(s.Functions, func(f system.Function) bool { return f.Service == service }) {
			s.Functions = append(s.Functions, system.Function{Name: service, Service: service})
		}
	}
}

func readSpans(s *system.System, path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	spans, left, err := spanstore.ReadSpans(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.Observed.Spans = spans
	if text := left.String(); text != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("not read from %s: %s", path, text))
	}
	return nil
}

// takeDelivered reads an event as a consumer received it.
func takeDelivered(o *system.Observed, reader *lineage.Reader, number int, line []byte) {
	var envelope struct {
		ID         string                     `json:"id"`
		DetailType string                     `json:"detail-type"`
		Detail     map[string]json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(line, &envelope); err != nil || envelope.Detail == nil {
		why := "its detail is not an object"
		if err != nil {
			why = err.Error()
		}
		o.Broken = append(o.Broken, fmt.Sprintf("events.jsonl line %d, %s %s: %s", number, envelope.DetailType, envelope.ID, why))
		return
	}
	for _, e := range reader.Read(line).Events {
		o.Delivered = append(o.Delivered, system.Delivered{ID: e.ID, Type: e.Type, CorrelationID: e.Lineage.CorrelationID})
	}
}

// takeLetter reads a message of a dead-letter queue, in the form of SQS's ReceiveMessage.
func takeLetter(o *system.Observed, reader *lineage.Reader, line []byte) {
	var m struct {
		Body              string
		MessageAttributes map[string]struct{ StringValue string }
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	of := func(name string) string { return m.MessageAttributes[name].StringValue }
	o.Letters = append(o.Letters, Letter(reader, m.Body, of))
}

// Letter reads a message of a dead-letter queue: which event was not delivered, to whom,
// and why. attribute returns a message attribute by name.
func Letter(reader *lineage.Reader, body string, attribute func(string) string) system.Letter {
	l := system.Letter{Rule: attribute("RULE_ARN"), Target: attribute("TARGET_ARN"), Code: attribute("ERROR_CODE"), Message: attribute("ERROR_MESSAGE")}
	if subscriber := attribute("SUBSCRIBER_ARN"); subscriber != "" { // it names events and does not carry them
		l.Subscriber, l.EventType = arn.Named(subscriber), "an event"
		var record struct {
			Failed []struct{ EventID string } `json:"failedMessages"`
		}
		if json.Unmarshal([]byte(body), &record) == nil && len(record.Failed) > 0 {
			l.EventID = record.Failed[0].EventID
		}
		return l
	}
	if events := reader.Read([]byte(body)).Events; len(events) > 0 {
		l.EventID, l.EventType = events[0].ID, events[0].Type
	}
	return l
}
