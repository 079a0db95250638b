package eventsv2local

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/internal/recent"
)

// Bus is a new custom bus. Use [Service.CreateBus].
type Bus struct {
	Name, ARN     string
	RetentionDays int
	Created       time.Time

	service     *Service
	description string
	log         []*Event
	subscribers []*Subscriber
	seen        map[string]taken // for deduplication
	creating    time.Time        // end of a subscriber's creation
}

// taken is an accepted event, for deduplication.
type taken struct {
	event *Event
	at    time.Time
}

var busName = regexp.MustCompile(`^[A-Za-z0-9][.\-_A-Za-z0-9]{0,255}$`)

// CreateBus creates a bus that keeps events for retentionDays days; 0 means one.
func (s *Service) CreateBus(name string, retentionDays int) (*Bus, error) {
	if !busName.MatchString(name) {
		return nil, invalid("the name %q is not 1 to 256 letters, digits, dots, hyphens and underscores", name)
	}
	if retentionDays < 0 || retentionDays > 365 {
		return nil, invalid("events are kept for 1 to 365 days, not %d", retentionDays)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.order {
		if b.Name == name {
			return nil, &Error{409, "ResourceAlreadyExistsException", "there is a bus of the name " + name}
		}
	}
	id := generatedID()
	if s.options.ID != nil {
		id = s.options.ID(name)
	}
	b := &Bus{
		Name: name, ARN: fmt.Sprintf("arn:aws:events:%s:%s:event-busv2/%s/%s", s.options.Region, s.options.Account, name, id),
		RetentionDays: cmp.Or(retentionDays, 1), Created: s.now(), service: s, seen: map[string]taken{},
	}
	s.buses[b.ARN] = b
	s.order = append(s.order, b)
	return b, nil
}

// busLocked returns the bus with an ARN.
func (s *Service) busLocked(arn string) (*Bus, error) {
	if b := s.buses[arn]; b != nil {
		return b, nil
	}
	return nil, notFound("the bus", arn)
}

// state returns the bus's state as the API names it.
func (b *Bus) state() string {
	if b.service.now().Before(b.Created.Add(b.service.options.Provisioning)) {
		return "CREATING"
	}
	return "ACTIVE"
}

// active returns an error if the bus does not accept events yet.
func (b *Bus) active() error {
	if state := b.state(); state != "ACTIVE" {
		return &Error{409, "InvalidStateException", "the bus is " + state}
	}
	return nil
}

// deleteBus removes a bus without subscribers.
func (s *Service) deleteBus(arn string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.busLocked(arn)
	if err != nil {
		return err
	}
	if len(b.subscribers) > 0 {
		return &Error{409, "ResourceInUseException", "the bus has subscribers"}
	}
	delete(s.buses, arn)
	s.order = slices.DeleteFunc(s.order, func(other *Bus) bool { return other == b })
	return nil
}

// horizonLocked returns the index of the oldest event that is still kept.
func (b *Bus) horizonLocked() int {
	oldest := b.service.now().AddDate(0, 0, -b.RetentionDays)
	n, _ := slices.BinarySearchFunc(b.log, oldest, func(e *Event, at time.Time) int { return e.Taken.Compare(at) })
	return n
}

// addLocked stores an event and passes it to the running subscribers.
func (b *Bus) addLocked(e *Event) {
	if b.service.options.OnEvent != nil {
		b.service.options.OnEvent(b, e)
	}
	var dropped int
	b.log, dropped = recent.Append(b.log, b.service.options.Keep, e)
	for _, sub := range b.subscribers {
		sub.next = max(0, sub.next-dropped)
		sub.fillLocked()
	}
}

// publishedLocked adds an accepted event to the ledger.
func (s *Service) publishedLocked(e *Event) {
	s.ledger.Published, _ = recent.Append(s.ledger.Published, s.options.Keep, &e.Event)
	s.ledger.Total.Published++
}

// Emit puts an event on the bus with its ID, time and resources. If Replay is set, the event
// is delivered as a replay. Emit returns the event as the bus keeps it. It generates an ID if
// ID is empty; a given ID is also the ID of the envelope.
func (b *Bus) Emit(e buslocal.Event) *Event {
	s := b.service
	s.mu.Lock()
	defer s.mu.Unlock()
	event := s.eventLocked(b, &Entry{Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: e.Resources, Time: e.Time}, false, s.now())
	if e.ID != "" {
		event.ID, event.EnvelopeID = e.ID, e.ID
		event.Data = s.envelope(event)
		event.Envelope = event.Data
	}
	event.Replay = e.Replay
	b.addLocked(event)
	s.publishedLocked(event)
	s.wakeLocked()
	return event
}

// Events returns the events that the bus keeps.
func (b *Bus) Events() []*Event {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	return slices.Clone(b.log[b.horizonLocked():])
}
