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

// Rules are the rules of the plan that have a pattern, as samples are made of them.
func (s *Stage) Rules() []eventfile.Rule {
	var list []eventfile.Rule
	for _, r := range s.plan.Rules {
		if !r.Disabled {
			list = append(list, eventfile.Rule{Bus: r.Bus, Pattern: r.Pattern})
		}
	}
	return list
}

// Send puts an event on its bus. Where it names none, it is the one with a rule that it
// matches, and else the default one. The error is one of an event that EventBridge would
// refuse, or of a bus that is not there.
func (s *Stage) Send(e eventfile.Event) (Sent, error) {
	if err := e.Check(); err != nil {
		return Sent{}, err
	}
	buses := append([]string{"default"}, s.plan.Buses...)
	if e.Bus != "" && !slices.Contains(buses, e.Bus) {
		return Sent{}, fmt.Errorf("there is no bus %s: there are %s", e.Bus, strings.Join(buses, ", "))
	}
	of := buslocal.Event{ID: e.ID, Bus: e.Bus, Source: e.Source, DetailType: e.DetailType, Detail: string(e.Detail), Resources: e.Resources, Time: e.Time, Replay: e.Replay}
	of.Envelope = s.bus.Envelope(of)
	sent := s.match(of)
	of.Bus, sent.Envelope = sent.Bus, of.Envelope
	if of.Time.IsZero() {
		of.Time = time.Now()
	}
	sent.Time, sent.ID = of.Time, s.bus.Emit(of)
	return sent, nil
}

// match finds the rules that an event matches, on its bus or on any.
func (s *Stage) match(e buslocal.Event) Sent {
	sent := Sent{Bus: e.Bus, Rules: []string{}}
	read, err := eventpattern.Read(e.Envelope)
	if err != nil {
		return sent
	}
	nearest := -1
	for _, r := range s.plan.Rules {
		pattern, err := eventpattern.Compile([]byte(r.Pattern))
		if err != nil || r.Disabled || e.Bus != "" && e.Bus != r.Bus {
			continue
		}
		misses := pattern.Explain(read)
		switch distance := eventpattern.Distance(misses); {
		case len(misses) == 0:
			if sent.Bus == "" {
				sent.Bus = r.Bus
			}
			if sent.Bus == r.Bus {
				sent.Rules = append(sent.Rules, r.Name)
			}
		case nearest < 0 || distance < nearest:
			nearest, sent.Near = distance, fmt.Sprintf("the rule %s would take it but for this: %s", r.Name, misses[0])
		}
	}
	if len(sent.Rules) > 0 {
		sent.Near = ""
	}
	if sent.Bus == "" {
		sent.Bus = "default"
	}
	return sent
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
