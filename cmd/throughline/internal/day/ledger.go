package main

import (
	"encoding/json"
	"sync"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// invocation is an invocation that happened, by its request ID.
type invocation struct {
	Function  string `json:"function"`
	RequestID string `json:"request_id"`
	Attempts  int    `json:"attempts"`
}

// edge is a cause: one invocation caused another.
type edge struct {
	Via  string `json:"via"`
	From string `json:"from"` // request IDs
	To   string `json:"to"`
	ID   string `json:"id"`             // the ID of the message, event or schedule between them
	Kind string `json:"kind,omitempty"` // the detail-type of an event
	// Lost is the reason why no telemetry can show the edge, or "".
	Lost string `json:"lost,omitempty"`
	// Unstamped reports that the event was published without a stamp.
	Unstamped bool `json:"unstamped,omitempty"`
}

// ledger records what happened. Throughline never sees it: functions return what they
// sent, and the local services report their deliveries.
type ledger struct {
	mu       sync.Mutex
	sent     map[[2]string]string // the request ID of the sender, by mechanism and ID
	received []edge               // edges whose From is not known yet
}

func newLedger() *ledger { return &ledger{sent: map[[2]string]string{}} }

// answered records what an invocation sent, from its response.
func (l *ledger) answered(requestID string, payload []byte) {
	var answer struct {
		Sent [][2]string `json:"sent"`
	}
	if json.Unmarshal(payload, &answer) != nil {
		return // the function failed and sent nothing
	}
	for _, item := range answer.Sent {
		l.sender(item[0], item[1], requestID)
	}
}

func (l *ledger) sender(via, id, requestID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[[2]string{via, id}] = requestID
}

// delivered records that a message, event or schedule was delivered to an invocation.
func (l *ledger) delivered(via, id, kind, requestID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, edge{Via: via, ID: id, Kind: kind, To: requestID})
}

// edges returns the causes of invocations, and the deliveries without a known sender.
func (l *ledger) edges() (edges []edge, orphans []edge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.received {
		if e.From = l.sent[[2]string{e.Via, e.ID}]; e.From == "" {
			orphans = append(orphans, e)
			continue
		}
		edges = append(edges, e)
	}
	return edges, orphans
}

// day is the result of a day.
type day struct {
	plan        plan
	invocations []invocation
	edges       []edge
	orphans     []edge // deliveries without a sender, an error of this program
	unstamped   int    // events that were published without a stamp
	skipped     int    // the count of StampSkipped in the functions' metrics, because the extension answered too late
	clockRuns   int
	spans       []workflow.Span
	files       map[string][]byte
	others      string // log lines that are not metrics, for debugging
}

// function returns the function's name for a request ID.
func (d day) function(requestID string) string {
	for _, i := range d.invocations {
		if i.RequestID == requestID {
			return i.Function
		}
	}
	return "nobody"
}
