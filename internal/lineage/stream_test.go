package lineage

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

// inPieces is what a Stream says of payload, which comes in pieces of size bytes.
// Packed says to keep the events of a batch packed, however few they are.
func inPieces(r *Reader, payload []byte, size int, packed bool) (d Delivery, unread bool) {
	s := r.Stream("request-1", func(e *Event) { e.Digest = dedupe.Digest(e.Detail) }, nil, nil)
	for rest := payload; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		s.Write(append([]byte{}, rest[:min(size, len(rest))]...)) // a reader uses its buffer again
	}
	d, whole, unread := s.Close()
	if whole != nil {
		d = r.Read(whole)
		digest(&d)
	} else if packed && s.events.len() > 0 && d.Len() > 0 {
		d.Events, d.packed = nil, s.events
	}
	d.Identify("request-1")
	return d, unread
}

func digest(d *Delivery) {
	for i := range d.Events {
		d.Events[i].Digest = dedupe.Digest(d.Events[i].Detail)
	}
}

// told is what a delivery says, without details and resources, which a Stream
// does not keep.
func told(d *Delivery) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %d malformed, types %q, %+v\n", d.Shape, d.Queue, d.Malformed, d.EventType(), d.Context)
	d.Each(func(e *Event) {
		bare := *e
		bare.Detail, bare.Resources = nil, nil
		fmt.Fprintf(&b, "%+v\n", bare)
	})
	return b.String()
}

func compareStream(t *testing.T, r *Reader, payload []byte, size int) {
	t.Helper()
	want := r.Read(payload)
	want.Identify("request-1")
	digest(&want)
	for _, packed := range []bool{false, true} {
		got, unread := inPieces(r, payload, size, packed)
		if unread {
			t.Fatalf("%.200q in pieces of %d: unread", payload, size)
		}
		if one, other := told(&got), told(&want); one != other {
			t.Fatalf("%.200q in pieces of %d, packed: %v:\n got %.2000s\nwant %.2000s", payload, size, packed, one, other)
		}
		if packed && got.Len() > 1 {
			comparePicks(t, &got, &want)
		}
	}
}

// comparePicks finds events by what entries say of them.
func comparePicks(t *testing.T, got, want *Delivery) {
	t.Helper()
	for i := range want.Events {
		e := &want.Events[i]
		for _, l := range []Lineage{{CausationID: e.ID}, {CorrelationID: e.Lineage.CorrelationID}, {CausationID: e.ID, CorrelationID: e.Lineage.CorrelationID}, {CorrelationID: "none", CausationID: e.ID}} {
			traceparent := ""
			if i%2 == 0 {
				traceparent = FormatTraceparent(e.Lineage.Publisher)
			}
			a, b := got.pick("", traceparent, &l)
			c, d := want.pick("", traceparent, &l)
			for n, pair := range [][2]*Event{{a, c}, {b, d}} {
				if (pair[0] == nil) != (pair[1] == nil) || pair[0] != nil && (pair[0].ID != pair[1].ID || !reflect.DeepEqual(pair[0].Lineage, pair[1].Lineage)) {
					t.Fatalf("of %+v and %q pick %d is %+v, want %+v", l, traceparent, n, pair[0], pair[1])
				}
			}
		}
	}
}

// batches are payloads that a Stream has to tell from one another.
func batches() map[string]string {
	record := sqsRecord(envelopeOfTrade)
	return map[string]string{
		"members around":    `{"a":1, "Records" : [ ` + record + ` , ` + sqsRecord("text") + ` ] , "b":{"c":[]}}`,
		"two of that name":  `{"Records":[` + record + `],"Records":[` + sqsRecord("text") + `,` + record + `]}`,
		"then no list":      `{"Records":[` + record + `],"Records":1}`,
		"an escaped name":   `{"\u0052ecords":[` + record + `]}`,
		"empty":             `{"Records":[]}`,
		"unknown record":    records(record, `{"eventSource":"aws:new"}`, record),
		"a record's end":    `{"Records":[` + record + `,`,
		"no comma":          `{"Records":[` + record + record + `]}`,
		"malformed record":  `{"Records":[` + record + `,{"eventSource":tru}]}`,
		"more after it":     records(record) + `{}`,
		"space after it":    records(record) + " \n",
		"pipe":              `[` + record + `,` + record + `]`,
		"pipe cut off":      `[` + record + `,` + record[:50],
		"pipe of unknown":   `[` + record + `,1]`,
		"more after a pipe": `[` + record + `]x`,
		"Records below":     `{"detail":{"Records":[` + record + `]}}`,
		"nothing":           "",
		"space":             "  ",
		"scalar":            "12",
		"cloud events":      records(sqsRecord(`{"specversion":"1.0","id":"1","source":"/s","type":"T","traceparent":"` + sampledContext + `","tracestate":"a=b,c=d"}`)),
		"other origins":     records(sqsRecord(envelopeOfTrade), sqsRecord(strings.ReplaceAll(envelopeOfTrade, "workflow-1", "workflow-2")), sqsRecord(replayedTrade)),
	}
}

func TestStreamIsAsReader(t *testing.T) {
	r := NewReader(Config{})
	payloads := batches()
	for _, c := range lineagetest.Corpus() {
		payloads[c.Name] = c.Payload
	}
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			for size := 1; size < 40; size += 1 + size/4 {
				compareStream(t, r, []byte(payload), size)
			}
			compareStream(t, r, []byte(payload), len(payload)+1)
		})
	}
	t.Run("many", func(t *testing.T) {
		var list []string
		for i := range 500 {
			list = append(list, sqsRecord(strings.ReplaceAll(envelopeOfTrade, "trade-1", fmt.Sprint("trade-", i/2))))
		}
		compareStream(t, r, []byte(records(list...)), 4096)
	})
}

// What has no room is missing, what has is read, and what was asked for is told.
func TestStreamWithoutRoom(t *testing.T) {
	large := sqsRecord(strings.Repeat("x", 100_000))
	for _, c := range []struct {
		name, payload string
		most, events  int
		unread        bool
	}{
		{"enough", records(large, sqsRecord("a")), 200_000, 2, false},
		{"a record too large", records(sqsRecord("a"), large, sqsRecord("b")), 60_000, 2, true},
		{"a large member that says nothing", `{"event_id":"a","image":"` + strings.Repeat("x", 100_000) + `"}`, 60_000, 1, false},
		{"a large member that says something", `{"event_id":"a","detail":"` + strings.Repeat("x", 100_000) + `"}`, 60_000, 1, true},
		{"nothing", records(sqsRecord("a")), 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			used := 0
			r := NewReader(Config{})
			room := func(n int) bool {
				if used+n > c.most {
					return false
				}
				used += n
				return true
			}
			s := r.Stream("request-1", nil, room, room)
			s.Write([]byte(c.payload))
			d, whole, unread := s.Close()
			if whole != nil {
				d = r.Read(whole)
			}
			if d.Len() != c.events || unread != c.unread {
				t.Errorf("%d events, unread: %v", d.Len(), unread)
			}
			if held, kept := s.Used(); held+kept != used {
				t.Errorf("%d and %d bytes used of %d", held, kept, used)
			}
		})
	}
}

// FuzzStream holds what a Stream says to what a Reader says of the same bytes.
func FuzzStream(f *testing.F) {
	for _, payload := range batches() {
		f.Add([]byte(payload), uint16(7))
	}
	for _, c := range lineagetest.Corpus() {
		f.Add([]byte(c.Payload), uint16(100))
	}
	r := NewReader(Config{})
	f.Fuzz(func(t *testing.T, payload []byte, size uint16) {
		if len(payload) > maxOther || strings.Count(string(payload), "[")+strings.Count(string(payload), "{") > 500 {
			t.Skip("longer or deeper than is read whole")
		}
		compareStream(t, r, payload, max(1, int(size)))
	})
}
