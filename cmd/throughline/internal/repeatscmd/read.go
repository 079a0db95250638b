package repeatscmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Repeat is a delivery of an event that was seen before.
type Repeat struct {
	Kind           dedupe.Kind `json:"kind"`
	At             time.Time   `json:"at,omitzero"`
	AfterMS        *int64      `json:"after_ms,omitempty"` // since the event was first seen; nil if unknown
	RequestID      string      `json:"request_id,omitempty"`
	FirstRequestID string      `json:"first_request_id,omitempty"`
	Suppressed     bool        `json:"suppressed,omitempty"` // not handled again
}

// Event is an event that was seen more than once, by one consumer.
type Event struct {
	EventID       string    `json:"event_id"` // the event ID, or the business key that --dedupe-keys names
	EventType     string    `json:"event_type,omitempty"`
	Consumer      string    `json:"consumer,omitempty"` // for log lines: the service that wrote them
	CorrelationID string    `json:"correlation_id,omitempty"`
	First         time.Time `json:"first_seen,omitzero"`
	Repeats       []Repeat  `json:"repeats"`
}

// Report is what a file says of repeats. The zero value is empty.
type Report struct {
	Events []Event `json:"events"`
	// Set for a file of events.
	Delivered int `json:"delivered,omitempty"`
	// Set for a file of metrics or logs: the sums of its counters.
	Lines   int            `json:"lines,omitempty"`
	Counted map[string]int `json:"counted,omitempty"`

	emf int // the number of metric documents
}

// reader collects a report, document by document.
type reader struct {
	report  Report
	index   map[[2]string]int // indexes of events, by consumer and ID
	tracing *lineage.Reader
	checker *dedupe.Checker
}

// everything is the number of events of a file that are remembered to recognize repeats.
const everything = 1 << 20

// Read reads delivered events, or metrics and log lines, in every form that package
// records reads, and skips other lines. pointers are the JSON pointers of an event's own
// ID; nil means the usual names. keys are the pointers of business keys that identify
// events instead of the ID. It returns an error if nothing of these was found.
func Read(in io.Reader, pointers []string, keys dedupe.Keys) (Report, error) {
	r := reader{
		index: map[[2]string]int{}, tracing: lineage.NewReader(lineage.Config{EventID: pointers}),
		checker: dedupe.New(dedupe.Config{Window: everything, Age: 100 * 365 * 24 * time.Hour, Keys: keys}),
	}
	if _, err := records.Read(in, func(d records.Document) error {
		r.addDocument(d.JSON)
		return nil
	}); err != nil {
		return Report{}, err
	}
	if r.report.Delivered == 0 && r.report.Lines == 0 && r.report.emf == 0 {
		return Report{}, terminal.Finding("the file has neither events nor lines of Throughline: name a file of delivered events, or of a function's log, one JSON document a line")
	}
	return r.report, nil
}

// logLine is a log line of a repeat, or a metric line.
type logLine struct {
	Throughline    string          `json:"throughline"`
	Kind           dedupe.Kind     `json:"kind"`
	EventID        string          `json:"event_id"`
	EventType      string          `json:"event_type"`
	CorrelationID  string          `json:"correlation_id"`
	Service        string          `json:"service"`
	RequestID      string          `json:"request_id"`
	FirstRequestID string          `json:"first_request_id"`
	FirstTime      time.Time       `json:"first_time"`
	Suppressed     bool            `json:"suppressed"`
	Timestamp      time.Time       `json:"timestamp"`
	AWS            json.RawMessage `json:"_aws"`
}

func (r *reader) addDocument(line []byte) {
	if bytes.Contains(line, []byte(`"throughline"`)) {
		var l logLine
		if json.Unmarshal(line, &l) == nil && l.Throughline != "" {
			r.report.Lines++
			if l.Throughline == "repeat" && l.EventID != "" {
				r.addLogged(l)
			}
			return
		}
	}
	if bytes.Contains(line, []byte(`"_aws"`)) && r.addMetrics(line) {
		return
	}
	delivery := r.tracing.Read(line)
	for i := range delivery.Events {
		r.addDelivery(&delivery.Events[i])
	}
}

func (r *reader) event(consumer, id string) *Event {
	key := [2]string{consumer, id}
	i, ok := r.index[key]
	if !ok {
		i = len(r.report.Events)
		r.index[key] = i
		r.report.Events = append(r.report.Events, Event{EventID: id, Consumer: consumer})
	}
	return &r.report.Events[i]
}

func (r *reader) addLogged(l logLine) {
	e := r.event(l.Service, l.EventID)
	e.EventType, e.CorrelationID = l.EventType, l.CorrelationID
	if e.First.IsZero() {
		e.First = l.FirstTime
	}
	e.add(Repeat{Kind: l.Kind, At: l.Timestamp, RequestID: l.RequestID, FirstRequestID: l.FirstRequestID, Suppressed: l.Suppressed}, l.FirstTime)
}

// add adds a repeat in order of time, because the streams of a log are not in order.
func (e *Event) add(again Repeat, first time.Time) {
	if !first.IsZero() && !again.At.IsZero() {
		ms := again.At.Sub(first).Milliseconds()
		again.AfterMS = &ms
	}
	i, _ := slices.BinarySearchFunc(e.Repeats, again.At, func(o Repeat, t time.Time) int {
		if o.At.After(t) {
			return 1
		}
		return -1
	})
	e.Repeats = slices.Insert(e.Repeats, i, again)
}

// addMetrics adds the counters of an EMF document.
func (r *reader) addMetrics(line []byte) bool {
	var doc map[string]any
	if json.Unmarshal(line, &doc) != nil || doc["_aws"] == nil {
		return false
	}
	r.report.emf++
	if doc[metrics.DimensionEventType] != nil {
		return true // the set with the dimension Service counts it already
	}
	for _, name := range []metrics.Name{metrics.DuplicateEvents, metrics.RetriedEvents, metrics.ReplayedEvents} {
		if n, ok := doc[string(name)].(float64); ok && n > 0 {
			if r.report.Counted == nil {
				r.report.Counted = map[string]int{}
			}
			r.report.Counted[string(name)] += int(n)
		}
	}
	return true
}

// addDelivery adds an event as it was delivered, through any service.
func (r *reader) addDelivery(e *lineage.Event) {
	r.report.Delivered++
	envelope := cmp.Or(e.EnvelopeID, e.MessageID)
	key := r.checker.BusinessKey(e.Type, e.At)
	v := r.checker.Check(dedupe.Delivery{
		Source: e.Source, EventType: e.Type, EventID: e.ID, Digest: dedupe.Digest(e.Detail, lineage.DefaultDetailKey), EnvelopeID: envelope, ReplayName: e.ReplayName,
		BusinessKey: key, ReceiveCount: e.ReceiveCount, At: e.Time,
	})
	if v.Kind == "" {
		return
	}
	again := r.event("", cmp.Or(key, e.ID))
	again.EventType, again.CorrelationID = e.Type, e.Lineage.CorrelationID
	if again.First.IsZero() && v.FirstAt.Year() > 1 {
		again.First = v.FirstAt
	}
	first := again.First
	if v.Kind != dedupe.Republish {
		first = time.Time{} // the envelope's time is when it was published, the same at each delivery
	}
	again.add(Repeat{Kind: v.Kind, At: e.Time}, first)
}
