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

// Sent is the result of sending an event.
type Sent struct {
	ID  string `json:"id"`
	Bus string `json:"bus"`
	// Rules are the rules that match the event. If none does, Near says why the nearest
	// rule does not.
	Rules []string  `json:"rules"`
	Near  string    `json:"near,omitempty"`
	Time  time.Time `json:"-"` // the event's time
	// Envelope is the event as targets receive it.
	Envelope []byte `json:"-"`
}

// Rules returns the rules of the plan that have a pattern, and the subscribers with a
// filter on data, in the form that samples are made from.
func (s *Stage) Rules() []eventfile.Rule {
	var list []eventfile.Rule
	for _, r := range s.plan.Rules {
		if !r.Disabled {
			list = append(list, eventfile.Rule{Bus: r.Bus, Pattern: r.Pattern})
		}
	}
	return append(list, s.samples()...)
}

// Send puts an event on its bus. If it names none, the bus is that of a rule that
// matches, else the default bus. Send returns an error for an event that EventBridge
// would refuse, and for a bus that does not exist.
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
	of.Bus = sent.Bus
	if of.Time.IsZero() {
		of.Time = time.Now()
	}
	sent.Time = of.Time
	var accepted *buslocal.Event
	if bus := s.newBus(sent.Bus); bus != nil {
		accepted = &s.newBuses[bus.ARN].Emit(of).Event
	} else {
		accepted = s.bus.Emit(of)
	}
	sent.ID, sent.Envelope = accepted.ID, accepted.Envelope
	return sent, nil
}

// match finds the rules that match an event, on its bus or on any bus.
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

// nearest is the rule or subscriber that differs least from an event.
type nearest struct {
	distance int // negative if none was compared yet
	text     string
}

// judge records whether a rule or a subscriber matches the event.
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
		*near = nearest{distance, fmt.Sprintf("the nearest is %s %s: %s", kind, name, misses[0])}
	}
}

// Fire fires a schedule now. name is the schedule's name or its logical ID.
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
	return fmt.Errorf("there is no schedule %s: the schedules are %s", name, strings.Join(names, ", "))
}
