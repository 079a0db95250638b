// Package eventfile reads the events that are to be sent to an application, wherever package
// envelope finds them, and makes samples of what rules' patterns match.
package eventfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
)

// Event is an event to send. ID and Time are of one that was recorded.
type Event struct {
	ID         string          `json:"id,omitempty"`
	Bus        string          `json:"bus,omitempty"` // "" where the file does not say
	Source     string          `json:"source"`
	DetailType string          `json:"detail_type"`
	Detail     json.RawMessage `json:"detail"` // an object
	Resources  []string        `json:"resources,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Replay     string          `json:"replay,omitempty"` // the name of its replay
}

// Read reads every event of a file, in its order. The error says what is wrong with one of
// them, or that there is none.
func Read(in io.Reader) ([]Event, error) {
	var events []Event
	_, _, err := envelope.Read(in, func(e envelope.Event) error {
		var members struct {
			Detail    json.RawMessage `json:"detail"`
			Resources []string        `json:"resources"`
		}
		err := json.Unmarshal(e.JSON, &members)
		one := Event{ID: e.ID, Bus: e.Bus, Source: e.Source, DetailType: e.Type, Detail: members.Detail, Resources: members.Resources, Time: e.Time}
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
		err = errors.New("it holds no event: write an envelope, with source, detail-type and detail, or an entry of put-events, with Source, DetailType and Detail")
	}
	return events, err
}

// Check says what EventBridge would refuse of an event.
func (e Event) Check() error {
	var object map[string]json.RawMessage
	switch {
	case e.Source == "":
		return errors.New("it has no source")
	case e.DetailType == "":
		return errors.New("it has no detail-type")
	case json.Unmarshal(e.Detail, &object) != nil || object == nil:
		return errors.New("its detail is not a JSON object")
	}
	return nil
}
