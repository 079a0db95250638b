package lineage

import (
	"testing"

	"github.com/throughline/throughline/internal/jsonwalk"
)

func TestPointers(t *testing.T) {
	p := newPointers(Config{EventID: []string{"/data/id", "/a~1b/~0c/1", "id"}, CorrelationID: []string{}})
	for _, c := range []struct{ detail, want string }{
		{`{"data":{"id":"first"},"a/b":{"~c":[0,"second"]}}`, "first"},
		{`{"a/b":{"~c":[0,"second"]},"data":{"id":""}}`, "second"},
		{`{"a/b":{"~c":[0,77]}}`, "77"},
		{`{"data":{"id":{}},"a/b":{"~c":[0,true]},"id":"not pointed at"}`, ""},
		{`{"data":{"id":null},"a/b":{"~c":"text"}}`, ""},
	} {
		var d ids
		for m := jsonwalk.MembersOf([]byte(c.detail), 0); m.Next(); {
			p.offer(&d, m.Key, m.Value)
		}
		if got := d.text(idEvent); got != c.want {
			t.Errorf("%s: %q, want %q", c.detail, got, c.want)
		}
	}
}

func TestDefaultSpellings(t *testing.T) {
	r := NewReader(Config{})
	for _, detail := range []string{
		`{"event_id":"e","correlation_id":"c","causation_id":"x"}`,
		`{"eventId":"e","correlationId":"c","causationId":"x"}`,
		`{"eventID":"e","correlationID":"c","causationID":"x"}`,
		`{"EventId":"e","CorrelationId":"c","CausationId":"x"}`,
		`{"specversion":"1.0","id":"e","correlationid":"c","causationid":"x"}`,
		`{"metadata":{"event_id":"e","correlation_id":"c","causationId":"x"}}`,
		`{"metadata":{"event_id":"no","correlation_id":"no","causation_id":"no"},"event_id":"e","correlation_id":"c","causation_id":"x"}`,
	} {
		event := r.Read([]byte(`{"id":"env","detail-type":"T","source":"s","detail":` + detail + `}`)).Events[0]
		if event.ID != "e" || event.Lineage.CorrelationID != "c" || event.Lineage.CausationID != "x" {
			t.Errorf("%s: %q %q %q", detail, event.ID, event.Lineage.CorrelationID, event.Lineage.CausationID)
		}
	}
}
