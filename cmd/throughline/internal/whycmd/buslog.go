package whycmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
)

// Step is a record about an event in the log of a bus (EventBridge user guide, "Amazon
// EventBridge event bus log schema").
type Step struct {
	At      time.Time `json:"at,omitzero"`
	Type    string    `json:"step"` // message_type
	EventID string    `json:"-"`    // the envelope's ID
	Bus     string    `json:"bus,omitempty"`
	Rule    string    `json:"rule,omitempty"`   // the rule's name
	Target  string    `json:"target,omitempty"` // the target's ARN
	// Attempts is the number of attempts so far, and Status the result of the last.
	Attempts int    `json:"attempts,omitempty"`
	Status   string `json:"status,omitempty"`
	Error    string `json:"error,omitempty"`

	event []byte // the event's envelope, if the record has its detail
}

// record is one record of the log.
type record struct {
	Resource string          `json:"resource_arn"`
	Bus      string          `json:"event_bus_name"`
	EventID  string          `json:"event_id"`
	At       json.RawMessage `json:"message_timestamp_ms"`
	Type     string          `json:"message_type"`
	Details  struct {
		Account    string          `json:"caller_account_id"`
		Time       json.RawMessage `json:"source_time_ms"`
		Source     string          `json:"source"`
		DetailType string          `json:"detail_type"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"event_detail"`
		Rule       string          `json:"rule_arn"`
		Target     string          `json:"target_arn"`
		Targets    []string        `json:"target_arns"`
		Attempt    int             `json:"attempt_count"`
		Attempts   int             `json:"total_attempts"`
		Status     string          `json:"invocation_status"`
		Final      string          `json:"final_invocation_status"`
	} `json:"details"`
	Error struct {
		Message string `json:"error_message"`
		Service string `json:"aws_service"`
		Status  int    `json:"http_status_code"`
	} `json:"error"`
}

// readStep reads a record of a bus's log. It returns false for any other document.
func readStep(document []byte) (Step, bool) {
	var r record
	if !bytes.Contains(document, []byte(`"message_type"`)) || json.Unmarshal(document, &r) != nil || r.EventID == "" || r.Type == "" || r.Resource == "" {
		return Step{}, false
	}
	s := Step{
		At: milliseconds(r.At), Type: r.Type, EventID: r.EventID, Bus: arn.Name(r.Resource), Rule: arn.Name(r.Details.Rule), Target: r.Details.Target,
		Attempts: max(r.Details.Attempt, r.Details.Attempts), Status: r.Details.Status + r.Details.Final,
	}
	if s.Target == "" && len(r.Details.Targets) == 1 {
		s.Target = r.Details.Targets[0]
	}
	if e := r.Error; e.Message != "" {
		s.Error = strings.TrimSpace(e.Service + ": " + e.Message)
		if e.Status != 0 {
			s.Error = fmt.Sprintf("%s (%d)", s.Error, e.Status)
		}
	}
	s.event = r.envelope()
	return s, true
}

func milliseconds(raw json.RawMessage) time.Time {
	var ms int64
	if _, err := fmt.Sscan(strings.Trim(string(raw), `"`), &ms); err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// envelope returns the event, or nil if the record omits its detail.
func (r *record) envelope() []byte {
	detail := r.Details.Detail
	var text string
	if json.Unmarshal(detail, &text) == nil {
		detail = json.RawMessage(text)
	}
	if r.Details.Source == "" || !json.Valid(detail) || len(bytes.TrimSpace(detail)) == 0 || bytes.TrimSpace(detail)[0] != '{' {
		return nil
	}
	resources := r.Details.Resources
	if resources == nil {
		resources = []string{}
	}
	document, err := json.Marshal(map[string]any{
		"version": "0", "id": r.EventID, "source": r.Details.Source, "detail-type": strings.TrimSpace(r.Details.DetailType), "account": r.Details.Account,
		"region": arn.Region(r.Resource), "time": milliseconds(r.Details.Time).Format(time.RFC3339), "resources": resources, "detail": detail,
	})
	if err != nil {
		return nil
	}
	return document
}

// ofLog returns the event in the steps of a log. It returns false if they omit its
// detail.
func ofLog(steps []Step) (envelope.Event, bool) {
	i := slices.IndexFunc(steps, func(s Step) bool { return s.event != nil })
	if i < 0 {
		return envelope.Event{}, false
	}
	found := envelope.In(steps[i].event)
	if len(found) != 1 {
		return envelope.Event{}, false
	}
	e := found[0]
	e.Bus = steps[i].Bus
	return e, true
}
