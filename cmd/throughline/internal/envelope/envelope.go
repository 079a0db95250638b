// Package envelope finds EventBridge's events (EventBridge user guide, "Event structure
// reference") in documents: an event, an entry of PutEvents, a message of a queue, a
// notification of a topic, the records that Lambda passes to a function, and what Lambda
// sends to a destination.
package envelope

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/internal/lineage"
)

// Event is an event in its envelope.
type Event struct {
	JSON   []byte // the envelope
	ID     string // the envelope's ID; "" for an entry
	Source string
	Type   string
	Time   time.Time // zero if unknown
	Replay string    // the name of the replay that delivered it, or ""
	// DomainID is the event's own ID in its detail, or that of the envelope.
	// CorrelationID is that of its workflow, or "".
	DomainID, CorrelationID string
	// Bus is the bus that an entry was published to, or "" if unknown. An envelope does
	// not contain it, except in the events that throughline dev keeps.
	Bus string
	// Entry reports that the envelope was made from an entry of PutEvents, which does not
	// have id, account, region and time yet.
	Entry bool
}

// Read calls visit with each event in r, until visit returns an error. Package records
// reads r. Read returns what was skipped, how many documents are not events, and an error
// of r or of visit.
func Read(r io.Reader, visit func(Event) error) (left records.Left, others int, err error) {
	left, err = records.Read(r, func(d records.Document) error {
		events := In(d.JSON)
		if len(events) == 0 {
			others++
		}
		for _, e := range events {
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	})
	return left, others, err
}

// In returns the events in a document, in order.
func In(document []byte) []Event { return in(document, 0) }

// carrier is a document that can contain events.
type carrier struct {
	ID         string          `json:"id"`
	Type       *string         `json:"detail-type"`
	Source     *string         `json:"source"`
	Detail     json.RawMessage `json:"detail"`
	Time       json.RawMessage `json:"time"` // in an entry it can be a number
	ReplayName string          `json:"replay-name"`

	// These are members of an entry of PutEvents, whose detail is a text. encoding/json
	// ignores case, so Source and Detail are read into the members above.
	EntryType *string `json:"DetailType"`
	Resources json.RawMessage
	Bus       string `json:"EventBusName"`

	TopicArn, Message string // a notification
	Body              string // a message of a queue
	Records           []struct {
		Body string
		SNS  struct{ Message string } `json:"Sns"`
	}
	Request json.RawMessage `json:"requestPayload"` // in the record of an invocation
}

func in(document []byte, depth int) []Event {
	const deepest = 6
	document = bytes.TrimSpace(document)
	if depth > deepest || len(document) == 0 || document[0] != '{' {
		return nil
	}
	var c carrier
	if json.Unmarshal(document, &c) != nil {
		return nil
	}
	var found []Event
	for _, inner := range append([]string{string(c.Request), c.Body}, c.messages()...) {
		found = append(found, in([]byte(inner), depth+1)...)
	}
	switch {
	case len(found) > 0:
	case c.Type != nil && c.Source != nil && c.Detail != nil:
		found = append(found, read(document, c))
	case c.EntryType != nil && c.Source != nil && len(c.Detail) > 0 && c.Detail[0] == '"':
		found = append(found, entry(c)...)
	}
	return found
}

// bus returns the name of the bus, of which a document has the name or the ARN.
func (c *carrier) bus() string {
	if _, name, found := strings.Cut(c.Bus, ":event-busv2/"); found {
		name, _, _ = strings.Cut(name, "/") // an ID follows
		return name
	}
	return c.Bus[strings.LastIndexByte(c.Bus, '/')+1:]
}

func (c *carrier) messages() []string {
	var list []string
	if c.TopicArn != "" {
		list = append(list, c.Message)
	}
	for _, r := range c.Records {
		list = append(list, r.Body, r.SNS.Message)
	}
	return list
}

func read(document []byte, c carrier) Event {
	e := Event{JSON: bytes.Clone(document), ID: c.ID, Source: *c.Source, Type: *c.Type, Replay: c.ReplayName, Bus: c.bus()}
	e.Time, _ = time.Parse(time.RFC3339, strings.Trim(string(c.Time), `"`))
	e.identify()
	return e
}

// entry returns the event that EventBridge makes of an entry, as far as the entry has its
// members.
func entry(c carrier) []Event {
	var detail string
	if json.Unmarshal(c.Detail, &detail) != nil || !json.Valid([]byte(detail)) {
		return nil
	}
	made := map[string]json.RawMessage{"version": json.RawMessage(`"0"`), "detail": json.RawMessage(detail), "resources": json.RawMessage(`[]`)}
	made["source"], _ = json.Marshal(*c.Source) // strings always marshal
	made["detail-type"], _ = json.Marshal(*c.EntryType)
	if len(c.Resources) > 0 && string(c.Resources) != "null" {
		made["resources"] = c.Resources
	}
	document, err := json.Marshal(made)
	if err != nil {
		return nil
	}
	e := Event{JSON: document, Source: *c.Source, Type: *c.EntryType, Entry: true, Bus: cmp.Or(c.bus(), "default")}
	e.identify()
	return []Event{e}
}

// reader finds the IDs of events as the library and the layer do by default.
var reader = lineage.NewReader(lineage.Config{})

func (e *Event) identify() {
	if d := reader.Read(e.JSON); len(d.Events) == 1 {
		e.DomainID, e.CorrelationID = d.Events[0].ID, d.Events[0].Lineage.CorrelationID
	}
}

// Is reports whether the event has the ID: its envelope's or its own.
func (e *Event) Is(id string) bool { return id != "" && (e.ID == id || e.DomainID == id) }
