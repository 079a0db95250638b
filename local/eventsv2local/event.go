package eventsv2local

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/throughline/throughline/local/buslocal"
)

// Event is one event that a bus has accepted. Its ID is the event ID that the publisher
// received. An event of PutRawEvents has no envelope, and its Detail is the data.
type Event struct {
	buslocal.Event
	ContentType     string
	Metadata        map[string]string
	Sequence        string
	Group           string // empty for none
	DeduplicationID string
	// Data is the event as a subscriber without metadata receives it.
	Data []byte

	trail []string // the buses that forwarded it
}

// copyOf returns the event for the ledger, with Replay set if it is delivered as a replay.
func (e *Event) copyOf(delivery string) *buslocal.Event {
	if delivery != replayed {
		return &e.Event
	}
	c := e.Event
	if c.Replay == "" { // a replay from a point in time has no name
		c.Replay = delivery
	}
	return &c
}

// The values of aws:DeliveryType.
const (
	live     = "LIVE"
	replayed = "REPLAY"
)

// system returns the event's SystemMetadata without empty values.
func (e *Event) system(delivery string) map[string]string {
	m := map[string]string{
		"ContentType": e.ContentType, "aws:DeliveryType": delivery, "aws:EventId": e.ID, "aws:IngestionTime": e.Taken.UTC().Format("2006-01-02T15:04:05.000Z"),
		"aws:SequenceNumber": e.Sequence, "EventGroupId": e.Group, "DeduplicationId": e.DeduplicationID,
	}
	if e.EnvelopeID != "" {
		m["aws:Source"], m["aws:DetailType"] = e.Source, e.DetailType
	}
	for key, value := range m {
		if value == "" {
			delete(m, key)
		}
	}
	return m
}

// withMetadata returns the event in its three parts: data, metadata and system metadata.
func (e *Event) withMetadata(delivery string) []byte {
	metadata := e.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	// Data is valid JSON, and strings always marshal.
	out, _ := json.Marshal(struct {
		Data           json.RawMessage
		Metadata       map[string]string
		SystemMetadata map[string]string
	}{e.Data, metadata, e.system(delivery)})
	return out
}

// envelope returns the data of an event of PutEvents. The detail is the publisher's bytes.
func (s *Service) envelope(e *Event) []byte {
	quote := func(v any) []byte { data, _ := json.Marshal(v); return data } // strings always marshal
	detail := e.Detail
	if detail == "" {
		detail = "{}"
	}
	return fmt.Appendf(nil, `{"version":"0","id":%s,"detail-type":%s,"source":%s,"account":%s,"time":%s,"region":%s,"resources":%s,"detail":%s}`,
		quote(e.EnvelopeID), quote(e.DetailType), quote(e.Source), quote(s.options.Account), quote(e.Time.UTC().Format(time.RFC3339)), quote(s.options.Region), quote(e.Resources), detail)
}

// dataOf returns the data of an event of PutRawEvents: JSON unchanged, and other content
// in base64.
func dataOf(contentType string, data []byte) []byte {
	if contentType == typeJSON {
		return data
	}
	text, _ := json.Marshal(base64.StdEncoding.EncodeToString(data)) // a string
	return text
}
