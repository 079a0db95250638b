package whycmd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
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

// known reports whether anything is known of the event.
func (f *found) known() bool {
	return f.event.JSON != nil || f.event.ID != "" || f.event.DomainID != ""
}

// find looks for the event that the argument names: in a file of that name, else by its ID
// in the files of --events and of --dev, in spans, and in the log of the bus. A file can have
// an event by an ID that only spans have, and by the beginning of an ID that spans do not
// have.
func (o *options) find(cmd *cobra.Command, argument string, configure func(context.Context) (aws.Config, error)) (found, error) {
	if argument == "-" || isFile(argument) {
		s := newScan()
		if err := s.readFile(cmd.InOrStdin(), argument); err != nil {
			return found{}, err
		}
		f, err := s.one(argument)
		if err == nil && !f.known() {
			err = terminal.Finding("no event was found in %s", argument)
		}
		if err == nil {
			err = o.follow(cmd, &f, cmp.Or(f.event.DomainID, f.event.ID))
		}
		if err == nil {
			err = o.readLog(cmd.Context(), &f, "", configure)
		}
		return f, err
	}
	if kept := o.source.Events(); kept != "" {
		o.events = append(slices.Clone(o.events), kept)
	}
	files, where := newScan(argument), strings.Join(o.events, ", ")
	if err := o.scan(cmd, files); err != nil {
		return found{}, err
	}
	f, err := files.one(where)
	if err != nil {
		return f, err
	}
	inFiles := f.known()
	if err := o.follow(cmd, &f, cmp.Or(f.event.DomainID, f.event.ID, argument)); err != nil {
		return f, err
	}
	switch {
	case inFiles:
	case f.known():
		err = o.again(cmd, &f, where)
	default:
		trail := f.trail
		if f, err = files.beginning(where); err == nil {
			f.trail = trail
			err = o.follow(cmd, &f, cmp.Or(f.event.DomainID, f.event.ID))
		}
	}
	if err != nil {
		return f, err
	}
	return f, o.readLog(cmd.Context(), &f, argument, configure)
}

func (o *options) scan(cmd *cobra.Command, s *scan) error {
	for _, name := range o.events {
		if err := s.readFile(cmd.InOrStdin(), name); err != nil {
			return err
		}
	}
	return nil
}

// again adds what files have of an event that was found in spans.
func (o *options) again(cmd *cobra.Command, f *found, where string) error {
	if len(o.events) == 0 {
		return nil
	}
	ids := slices.DeleteFunc([]string{f.event.DomainID, f.event.ID}, func(id string) bool { return id == "" })
	s := newScan(ids...)
	if err := o.scan(cmd, s); err != nil {
		return err
	}
	of, err := s.one(where)
	if err != nil || !of.known() {
		return err
	}
	of.trail = f.trail
	of.event.ID = cmp.Or(of.event.ID, f.event.ID)
	of.event.DomainID = cmp.Or(of.event.DomainID, f.event.DomainID)
	of.event.CorrelationID = cmp.Or(of.event.CorrelationID, f.event.CorrelationID)
	of.event.Source = cmp.Or(of.event.Source, f.event.Source)
	of.event.Type = cmp.Or(of.event.Type, f.event.Type)
	of.event.Bus = cmp.Or(of.event.Bus, f.event.Bus)
	if of.event.Time.IsZero() {
		of.event.Time = f.event.Time
	}
	*f = of
	return nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// follow adds what spans have of the event with an ID, if there are spans to read.
func (o *options) follow(cmd *cobra.Command, f *found, id string) error {
	if id == "" || !o.source.Given(cmd) {
		return nil
	}
	tell, end := spansource.Tell(cmd)
	defer end()
	source, err := o.source.Open(cmd.Context(), o.configure, o.now(), tell)
	if err != nil {
		return err
	}
	return f.follow(cmd.Context(), source, id)
}

// follow adds what the source has of the event.
func (f *found) follow(ctx context.Context, source spansource.Source, id string) error {
	workflowID, whole, err := f.named(ctx, source, id)
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
	trail := trailOf(w, whole, f.event.DomainID, f.event.ID)
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
		f.event.Source = cmp.Or(f.event.Source, p.Source)
		f.event.Bus = cmp.Or(f.event.Bus, p.Bus)
		if f.event.Time.IsZero() {
			f.event.Time = p.At
		}
	}
	for _, h := range trail.Handlings { // of an event whose publisher is not traced
		f.event.Type = cmp.Or(f.event.Type, h.eventType)
		f.event.Source = cmp.Or(f.event.Source, h.source)
		f.event.ID = cmp.Or(f.event.ID, h.envelope)
		if f.event.DomainID == f.event.ID {
			f.event.DomainID = cmp.Or(h.eventID, f.event.DomainID)
		}
	}
	return nil
}

// named returns the workflow of an ID, and the whole ID. The ID of an event that is known
// already is whole: another event's ID can begin with it.
func (f *found) named(ctx context.Context, source spansource.Source, id string) (workflowID, whole string, err error) {
	if !f.known() {
		workflowID, whole, err = source.OfEvent(ctx, id)
		if errors.Is(err, spansource.ErrNotFound) {
			workflowID, whole, err = source.OfID(ctx, id)
		}
		return workflowID, whole, err
	}
	return source.OfWhole(ctx, f.event.ID, id) // its own ID may be in several workflows, that of its envelope is in one
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
