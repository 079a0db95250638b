package lineagetest

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// Span is what a test compares of the span of a handling, however it was made.
type Span struct {
	Name, Kind string              // the kind as OpenTelemetry's specification writes it: SERVER, CONSUMER
	Attributes map[string][]string // the elements of a list, else one text
	Links      []Link
	Events     []string // the IDs of the handled events, in order
}

// Link is one link: its kind, its target as a traceparent without flags, the ID of the
// event or of the workflow, and the ID of the message.
type Link struct{ Why, To, ID, Message string }

// text returns an attribute that is not a list.
func (s *Span) text(name string) string {
	if values := s.Attributes[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// Check compares a span with the one that the case expects.
func (c *Case) Check(t *testing.T, s *Span) {
	t.Helper()
	kind := "CONSUMER"
	if c.Server {
		kind = "SERVER"
	}
	if s.Name != c.Span || s.Kind != kind {
		t.Errorf("span %q of kind %s, want %q of kind %s", s.Name, s.Kind, c.Span, kind)
	}
	want := map[string]string{
		"faas.trigger": c.Trigger, "messaging.system": c.System, "throughline.correlation.id": c.Correlation, "messaging.message.conversation_id": c.Correlation,
		"faas.invocation_id": "request-1", "throughline.event.id": "", "messaging.batch.message_count": "", "throughline.links.dropped": "", "error.type": "",
	}
	switch len(c.IDs) {
	case 0:
	case 1:
		want["throughline.event.id"] = c.IDs[0]
	default:
		want["messaging.batch.message_count"] = string(rune('0' + len(c.IDs)))
	}
	for name, value := range want {
		if got := s.text(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if !slices.Equal(s.Events, c.IDs) {
		t.Errorf("events %q, want %q", s.Events, c.IDs)
	}
	var links []Link
	var linked []string
	for _, link := range s.Links {
		if link.Message != "" {
			linked = append(linked, link.Message)
			link.Message = ""
		}
		links = append(links, link)
	}
	due := c.links()
	if len(links) == len(due) && len(c.IDs) > c.Causations { // only WantedHop has the record that a link belongs to
		for n := range c.Causations {
			due[n].ID = links[n].ID
		}
	}
	if !slices.Equal(links, due) {
		t.Errorf("links %v, want %v", links, due)
	}
	if hop := Hop(func(name string) []string { return s.Attributes[name] }, linked); hop != c.WantedHop() {
		t.Errorf("hop %q, want %q", hop, c.WantedHop())
	}
}

// links returns the expected links of the case, in order. A link does not carry the flags.
func (c *Case) links() (list []Link) {
	bare := func(traceparent string) string { return strings.TrimSuffix(traceparent, "-01") }
	for n := range c.Causations {
		list = append(list, Link{Why: "causation", To: bare(Publisher), ID: c.IDs[n]})
	}
	for range c.Origins {
		list = append(list, Link{Why: "correlation", To: bare(cmp.Or(c.From, Origin)), ID: c.Correlation})
	}
	return list
}
