package main

import (
	"encoding/json"
	"sync"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// invocation is one that happened, by its request ID.
type invocation struct {
	Function  string `json:"function"`
	RequestID string `json:"request_id"`
	Attempts  int    `json:"attempts"`
}

// edge is that one invocation caused another.
type edge struct {
	Via  string `json:"via"`
	From string `json:"from"` // request IDs
	To   string `json:"to"`
	ID   string `json:"id"`             // of what went between them: a message, an event, a schedule
	Kind string `json:"kind,omitempty"` // of an event: its detail-type
	// Lost is why nothing that the product may see tells of it, "" where something does.
	Lost string `json:"lost,omitempty"`
	// Unstamped says of an event that it went out as it came.
	Unstamped bool `json:"unstamped,omitempty"`
}

// ledger is what happened. The product never sees it: functions tell in their
// answers what they sent, and the stands what they delivered to whom.
type ledger struct {
	mu       sync.Mutex
	sent     map[[2]string]string // by mechanism and ID: the request ID of the sender
	received []edge               // From is not known yet
}

func newLedger() *ledger { return &ledger{sent: map[[2]string]string{}} }

// answered reads what an invocation says that it sent.
func (l *ledger) answered(requestID string, payload []byte) {
	var answer struct {
		Sent [][2]string `json:"sent"`
	}
	if json.Unmarshal(payload, &answer) != nil {
		return // an error: it sent nothing
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

// delivered notes that what has the ID was handed to an invocation.
func (l *ledger) delivered(via, id, kind, requestID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, edge{Via: via, ID: id, Kind: kind, To: requestID})
}

// edges are the causes of invocations that some invocation sent.
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

// day is a day that was played.
type day struct {
	plan        plan
	invocations []invocation
	edges       []edge
	orphans     []edge // deliveries without a sender: a fault of the player
	unstamped   int    // events that functions published and that went out as they came
	skipped     int    // stamps that the functions' metrics say were skipped because the extension answered too late
	clockRuns   int
	spans       []workflow.Span
	files       map[string][]byte
	others      string // lines of logs that are no metrics, for a person who looks for a fault
}

// function is the name of the function of a request ID.
func (d day) function(requestID string) string {
	for _, i := range d.invocations {
		if i.RequestID == requestID {
			return i.Function
		}
	}
	return "nobody"
}
