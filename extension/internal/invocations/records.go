package invocations

import (
	"bytes"
	"encoding/json"
	"time"
)

// record is one telemetry record. Its fields are those of all record types that the
// Tracker uses (Lambda developer guide, "Telemetry API Event schema reference").
// A number may be a JSON number or a string: the guide's samples and its schema differ.
type record struct {
	Time   time.Time
	Type   string
	Record struct {
		RequestID          string `json:"requestId"`
		InitializationType string `json:"initializationType"`
		Phase              string `json:"phase"`
		Status             string `json:"status"`
		ErrorType          string `json:"errorType"`
		Metrics            struct {
			Duration       json.Number `json:"durationMs"`
			BilledDuration json.Number `json:"billedDurationMs"`
			InitDuration   json.Number `json:"initDurationMs"`
			Restore        json.Number `json:"restoreDurationMs"`
			MemorySize     json.Number `json:"memorySizeMB"`
			MaxMemoryUsed  json.Number `json:"maxMemoryUsedMB"`
		} `json:"metrics"`
		Spans []struct {
			Name     string      `json:"name"`
			Duration json.Number `json:"durationMs"`
		} `json:"spans"`
		DroppedRecords json.Number `json:"droppedRecords"`
	}
}

// readRecords reads a batch. It skips and counts records that it cannot read. If
// the batch is truncated, it returns the records before that point.
func readRecords(batch []byte) (records []record, unread int) {
	d := json.NewDecoder(bytes.NewReader(batch))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, 1
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return records, unread + 1
		}
		var head struct{ Type string }
		if err := json.Unmarshal(raw, &head); err != nil {
			unread++
			continue
		}
		if len(head.Type) < len("platform.") || head.Type[:len("platform.")] != "platform." {
			continue // a log line, whose record may be of any shape
		}
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			unread++
			continue
		}
		if len(r.Type) > maxID || len(r.Record.RequestID) > maxID {
			unread++
			continue
		}
		records = append(records, r)
	}
	return records, unread
}

// number returns n as a number; ok is false if n is absent or is no number.
func number(n json.Number) (float64, bool) {
	f, err := n.Float64()
	return f, err == nil
}
