package invocations

import (
	"bytes"
	"encoding/json"
	"time"
)

// record is one telemetry record; the fields are those of every type that is
// read (Lambda developer guide, "Telemetry API Event schema reference").
// Numbers are read leniently: the samples and the schema disagree about them.
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

// readRecords reads a batch. What cannot be read is left out and counted; a
// batch that breaks off in the middle gives what stands before the break.
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

// number is n as a number; ok is false where it is absent.
func number(n json.Number) (float64, bool) {
	f, err := n.Float64()
	return f, err == nil
}
