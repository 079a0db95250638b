// Package eventfile reads events to send to an application, in every form that package
// envelope reads, and makes sample events from rules' patterns.
package eventfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
)

// Event is an event to send. A recorded event has its ID and Time.
type Event struct {
	ID         string          `json:"id,omitempty"`
	Bus        string          `json:"bus,omitempty"` // "" if the file does not name it
	Source     string          `json:"source"`
	DetailType string          `json:"detail_type"`
	Detail     json.RawMessage `json:"detail"` // an object
	Resources  []string        `json:"resources,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Replay     string          `json:"replay,omitempty"` // the replay's name
}

// Read returns every event of a file in order. It returns an error if an event is not
// valid, or if there is none.
func Read(in io.Reader) ([]Event, error) {
	var events []Event
	_, _, err := envelope.Read(in, func(e envelope.Event) error {
		var members struct {
			Detail    json.RawMessage `json:"detail"`
			Resources []string        `json:"resources"`
			Bus       string          `json:"EventBusName"` // of an event that dev kept
		}
		err := json.Unmarshal(e.JSON, &members)
		one := Event{ID: e.ID, Bus: e.Bus, Source: e.Source, DetailType: e.Type, Detail: members.Detail, Resources: members.Resources, Time: e.Time}
		if strings.Contains(members.Bus, ":event-busv2/") { // a new bus with the name of a classic one
			one.Bus = members.Bus
		}
		if err == nil {
			err = one.Check()
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		events = append(events, one)
		return nil
	})
	if err == nil && len(events) == 0 {
		err = errors.New("the file has no event: write an envelope, with source, detail-type and detail, or an entry of put-events, with Source, DetailType and Detail")
	}
	return events, err
}

// Check returns an error if EventBridge would refuse the event.
func (e Event) Check() error {
	var object map[string]json.RawMessage
	switch {
	case e.Source == "":
		return errors.New("the event has no source")
	case e.DetailType == "":
		return errors.New("the event has no detail-type")
	case json.Unmarshal(e.Detail, &object) != nil || object == nil:
		return errors.New("the event's detail is not a JSON object")
	}
	return nil
}
