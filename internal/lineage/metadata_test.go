package lineage

import (
	"slices"
	"strings"
	"testing"
)

func TestMetadataMembers(t *testing.T) {
	for key, want := range map[string]string{"correlationid": "correlation:v", "correlation_id": "correlation:v", "correlationId": "correlation:v", "causationid": "causation:v", "parentid": "parent:v",
		"traceparent": "traceparent:v", "originparent": "origin:v", "hops": "hops:v", "minted": "minted:v", "tenant": "", "correlation": "", "origin": ""} {
		line, ok := MetadataLine(key, "v")
		if line != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", key, line, ok)
		}
		if !ok {
			continue
		}
		back, value, ok := MetadataMember(line)
		if again, _ := MetadataLine(back, value); again != line || !ok || value != "v" {
			t.Errorf("%s: back to %s=%s", line, back, value)
		}
	}
	if _, _, ok := MetadataMember("arn:aws:s3:::b"); ok {
		t.Error("a resource is no member")
	}
}

// The stamp of an entry of a new bus: its lines are those of a classic one, and
// there is no trace header. Metadata weighs what its members weigh.
func TestStampOnANewBus(t *testing.T) {
	s := NewStamper(Config{TraceHeader: true})
	for _, tt := range []struct {
		operation Operation
		added     func(lines []string) int
	}{
		{PutEvents, func(lines []string) (n int) { return len(strings.Join(lines, "")) }},
		{PutRawEvents, func(lines []string) (n int) {
			for _, line := range lines {
				key, value, _ := MetadataMember(line)
				n += len(key) + len(value)
			}
			return n
		}},
	} {
		e := Entry{Operation: tt.operation, Detail: `{"event_type":"Planned","correlation_id":"w-1"}`}
		out := s.Resolve(t.Context(), e, nil)
		s.StartPublishing(t.Context(), []*Outgoing{&out})
		stamped, done := s.Apply(e, out.Lineage, 1000)
		if !slices.Contains(stamped.Resources, "correlation:w-1") || !slices.Contains(stamped.Resources, "hops:0") || done.Added != tt.added(stamped.Resources) || done.Skipped != "" || stamped.TraceHeader != "" {
			t.Errorf("%d: %q, %+v, trace header %q", tt.operation, stamped.Resources, done, stamped.TraceHeader)
		}
		if want := map[Operation]string{PutRawEvents: "Planned"}[tt.operation]; out.DetailType != want {
			t.Errorf("%d: type %q", tt.operation, out.DetailType)
		}
		if again, done := s.Apply(e, out.Lineage, 10); again.Resources != nil || done.Skipped != SkippedBudget {
			t.Errorf("over the budget: %q, %+v", again.Resources, done)
		}
	}
}

// A stamp is left out, whole and counted, where the bus would refuse the entry for it.
func TestStampIsLeftOutWhereANewBusTakesNoMore(t *testing.T) {
	s := NewStamper(Config{})
	resources := func(n int) []string { return slices.Repeat([]string{"arn:aws:s3:::b"}, n) }
	for _, tt := range []struct {
		name  string
		entry Entry
		why   string
	}{
		{"97 resources", Entry{Operation: PutEvents, Resources: resources(96)}, ""},
		{"98 resources", Entry{Operation: PutEvents, Resources: resources(97)}, SkippedCount},
		{"100 resources", Entry{Operation: PutEvents, Resources: resources(100)}, SkippedCount},
		{"a classic bus", Entry{Resources: resources(100)}, ""},
		{"96 keys", Entry{Operation: PutRawEvents, Metadata: Metadata{Keys: 96}}, ""},
		{"97 keys", Entry{Operation: PutRawEvents, Metadata: Metadata{Keys: 97}}, SkippedCount},
		{"by content", Entry{Operation: PutEvents, ContentBased: true}, SkippedContent},
		{"raw, by content", Entry{Operation: PutRawEvents, ContentBased: true}, SkippedContent},
	} {
		out := s.Resolve(t.Context(), tt.entry, nil)
		out.Lineage.CorrelationID = "w"
		s.StartPublishing(t.Context(), []*Outgoing{&out})
		stamped, done := s.Apply(tt.entry, out.Lineage, 1<<20)
		if done.Skipped != tt.why || (len(stamped.Resources) > len(tt.entry.Resources)) != (tt.why == "") {
			t.Errorf("%s: %d resources, %+v", tt.name, len(stamped.Resources), done)
		}
	}
	out := s.Resolve(t.Context(), Entry{ContentBased: true, Operation: PutEvents}, nil)
	s = NewStamper(Config{StampContentBased: true})
	s.StartPublishing(t.Context(), []*Outgoing{&out})
	if stamped, done := s.Apply(out.Entry, out.Lineage, 1000); len(stamped.Resources) == 0 || done.Skipped != "" {
		t.Errorf("asked for: %q, %+v", stamped.Resources, done)
	}
}

func TestBusName(t *testing.T) {
	for bus, want := range map[string]string{"": "default", "b": "b", "arn:aws:events:eu-west-1:1:event-bus/b": "b",
		"arn:aws:events:eu-west-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7": "orders", "arn:aws:events:eu-west-1:123456789012:event-busv2/": ""} {
		if got := busName(bus); got != want {
			t.Errorf("%s: %q", bus, got)
		}
	}
}
