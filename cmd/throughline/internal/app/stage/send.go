package stage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventpattern"
)

// Sent is what became of an event that was sent.
type Sent struct {
	ID  string `json:"id"`
	Bus string `json:"bus"`
	// Rules are those that it matches; Near says why the nearest other rule does not match,
	// where none does.
	Rules []string  `json:"rules"`
	Near  string    `json:"near,omitempty"`
	Time  time.Time `json:"-"` // of the event
	// Envelope is the event as targets get it, but for its ID.
	Envelope []byte `json:"-"`
}

// Rules are the rules of the plan that have a pattern, and the subscribers with a filter of
// data, as samples are made of them.
func (s *Stage) Rules() []eventfile.Rule {
	var list []eventfile.Rule
	for _, r := range s.plan.Rules {
		if !r.Disabled {
			list = append(list, eventfile.Rule{Bus: r.Bus, Pattern: r.Pattern})
		}
	}
	return append(list, s.samples()...)
}

// Send puts an event on its bus. Where it names none, it is the one with a rule that it
// matches, and else the default one. The error is one of an event that EventBridge would
// refuse, or of a bus that is not there.
func (s *Stage) Send(e eventfile.Event) (Sent, error) {
	if err := e.Check(); err != nil {
		return Sent{}, err
	}
	if e.Bus != "" && e.Bus != "default" && !slices.Contains(s.plan.Buses, e.Bus) && s.newBus(e.Bus) == nil {
		return Sent{}, s.missing(e.Bus)
	}
	of := buslocal.Event{ID: e.ID, Bus: e.Bus, Source: e.Source, DetailType: e.DetailType, Detail: string(e.Detail), Resources: e.Resources, Time: e.Time, Replay: e.Replay}
	of.Envelope = s.bus.Envelope(of)
	sent := s.match(of)
	of.Bus, sent.Envelope = sent.Bus, of.Envelope
	if of.Time.IsZero() {
		of.Time = time.Now()
	}
	sent.Time = of.Time
	if bus := s.newBus(sent.Bus); bus != nil {
		sent.ID = s.newBuses[bus.ARN].Emit(of)
	} else {
		sent.ID = s.bus.Emit(of)
	}
	return sent, nil
}

// match finds the rules that an event matches, on its bus or on any.
func (s *Stage) match(e buslocal.Event) Sent {
	sent := Sent{Bus: e.Bus, Rules: []string{}}
	read, err := eventpattern.Read(e.Envelope)
	if err != nil {
		return sent
	}
	near := nearest{distance: -1}
	for _, r := range s.plan.Rules {
		pattern, err := eventpattern.Compile([]byte(r.Pattern))
		if err != nil || r.Disabled || e.Bus != "" && e.Bus != r.Bus {
			continue
		}
		sent.judge(r.Bus, r.Name, "rule", pattern.Explain(read), &near)
	}
	for _, sub := range s.plan.Subscribers {
		if bus := s.newBus(e.Bus); sub.Stopped || e.Bus != "" && (bus == nil || bus.ARN != sub.Bus) {
			continue
		}
		if wrong, ok := misses(sub, e); ok {
			sent.judge(s.called(sub.Bus), sub.Name, "subscriber", wrong, &near)
		}
	}
	sent.Near = near.text
	if len(sent.Rules) > 0 {
		sent.Near = ""
	}
	if sent.Bus == "" {
		sent.Bus = "default"
	}
	return sent
}

// nearest is what would take an event but for the least.
type nearest struct {
	distance int // negative: nothing is known yet
	text     string
}

// judge notes whether a rule or a subscriber takes the event.
func (sent *Sent) judge(bus, name, kind string, misses []eventpattern.Miss, near *nearest) {
	switch distance := eventpattern.Distance(misses); {
	case len(misses) == 0:
		if sent.Bus == "" {
			sent.Bus = bus
		}
		if sent.Bus == bus {
			sent.Rules = append(sent.Rules, name)
		}
	case near.distance < 0 || distance < near.distance:
		*near = nearest{distance, fmt.Sprintf("the %s %s would take it but for this: %s", kind, name, misses[0])}
	}
}

// Fire has a schedule fire now. name is that of the schedule, or its logical ID.
func (s *Stage) Fire(ctx context.Context, name string) error {
	var names []string
	for _, one := range s.plan.Schedules {
		names = append(names, one.Name)
		if one.Name != name && one.ID != name {
			continue
		}
		if one.Scheduler {
			_, err := s.times.Fire(ctx, one.Group, one.Name)
			return err
		}
		return s.fire(one, s.options.Clock.Now())
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no schedule %s: the template has none", name)
	}
	return fmt.Errorf("there is no schedule %s: there are %s", name, strings.Join(names, ", "))
}
