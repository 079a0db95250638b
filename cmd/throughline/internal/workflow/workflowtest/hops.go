package workflowtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Ledger has the true causes in spans made by [Hops].
type Ledger struct {
	// Edges are the causes of invocations: "from → to via how", where from and to are
	// request IDs.
	Edges map[string]int
	// Trees are the invocations that causes connect, as request IDs; the largest tree
	// first.
	Trees [][]string
	Roots []string // the first correlation ID of each workflow
	// Unknown counts deliveries without any evidence of their cause: raw delivery of SNS,
	// redriven messages, two senders with one ID.
	Unknown int
}

// hopWorld simulates a system whose functions call each other through every service other
// than the bus.
type hopWorld struct {
	generator
	ledger  Ledger
	clock   time.Time
	queues  map[string][]message
	budget  int
	request int
	joined  map[string]string // the request above each request
}

// message is a message in a queue.
type message struct {
	id, notification string
	correlation      string // "" if the body has none
	from             string // the request that sent it; "" if there is no evidence of it
	through          workflow.ID
	via              workflow.Via
	linked           bool
	receives         int
}

// task is one invocation.
type task struct {
	request  string
	span     *workflow.Span
	depth    int
	workflow string // the correlation ID that it propagates
}

// Hops makes the spans of about n invocations that call each other through SQS, SNS,
// Invoke, Step Functions, Scheduler, Kinesis and the bus: batches with failed entries,
// FIFO queues, redelivery, dead-letter queues and redrive, raw delivery, fan-out, lost
// correlation IDs, and the same IDs in two queues. The same n and seed give the same
// spans.
func Hops(n int, seed uint64, start time.Time) ([]workflow.Span, Ledger) {
	w := &hopWorld{
		generator: generator{random: rand.New(rand.NewPCG(seed, uint64(n))), start: start},
		ledger:    Ledger{Edges: map[string]int{}}, clock: start.Truncate(time.Second).UTC(), queues: map[string][]message{}, budget: n, joined: map[string]string{},
	}
	for w.budget > 0 {
		id := fmt.Sprintf("workflow-%d-%d", seed, len(w.ledger.Roots))
		w.ledger.Roots = append(w.ledger.Roots, id)
		w.work(w.invoke("clock", id, 0, nil))
		for range 3 {
			w.drain()
		}
	}
	for len(w.queues) > 0 {
		w.drain()
	}
	byTree := map[string][]string{}
	for i := range w.request {
		request := fmt.Sprintf("request-%05d", i+1)
		byTree[w.tree(request)] = append(byTree[w.tree(request)], request)
	}
	w.ledger.Trees = slices.Collect(maps.Values(byTree))
	slices.SortFunc(w.ledger.Trees, func(a, b []string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return slices.Compare(a, b)
	})
	w.random.Shuffle(len(w.spans), func(i, j int) { w.spans[i], w.spans[j] = w.spans[j], w.spans[i] })
	return w.spans, w.ledger
}

func (w *hopWorld) tree(request string) string {
	for w.joined[request] != "" {
		request = w.joined[request]
	}
	return request
}

// edge records that a request caused another.
func (w *hopWorld) edge(from, to string, through workflow.ID, via workflow.Via, how workflow.How) {
	w.ledger.Edges[fmt.Sprintf("%s → %s %s %s", from, to, via, how)] = 1
	if a, b := w.tree(from), w.tree(to); a != b {
		w.joined[b] = a
	}
}

func (w *hopWorld) tick() time.Time {
	w.clock = w.clock.Add(time.Duration(1+w.random.IntN(40)) * time.Millisecond)
	return w.clock
}

func (w *hopWorld) chance(percent int) bool { return w.random.IntN(100) < percent }

// invoke starts an invocation. more are attributes of its span.
func (w *hopWorld) invoke(function, correlation string, depth int, more map[string]any) task {
	w.request++
	w.budget--
	request := fmt.Sprintf("request-%05d", w.request)
	return w.attempt(request, function, correlation, depth, more)
}

func (w *hopWorld) attempt(request, function, correlation string, depth int, more map[string]any) task {
	at := w.tick()
	s := workflow.Span{
		ID: workflow.ID{Trace: w.trace(), Span: w.span()}, Kind: "CONSUMER", Name: "process", Service: function, Start: at, End: at.Add(30 * time.Millisecond),
		Attributes: map[string]any{
			lineage.AttrInvocationID: request, "faas.trigger": "pubsub", "aws.lambda.invoked_arn": "arn:aws:lambda:us-east-1:111122223333:function:" + function,
			lineage.AttrCorrelationID: correlation, lineage.AttrEventID: request,
		},
	}
	if correlation == "" {
		s.Kind = "SERVER"
		delete(s.Attributes, lineage.AttrCorrelationID)
		delete(s.Attributes, lineage.AttrEventID)
	}
	for k, v := range more {
		s.Attributes[k] = v
	}
	if s.Kind == "CONSUMER" || more[lineage.AttrMessageIDs] != nil {
		s.Kind, s.Attributes["messaging.operation.type"] = "CONSUMER", "process"
	}
	w.add(s)
	if correlation == "" {
		correlation = request // an invocation without events uses its request ID
	}
	return task{request: request, span: &w.spans[len(w.spans)-1], depth: depth, workflow: correlation}
}

// hop adds the span of a call to a service other than the bus.
func (w *hopWorld) hop(t task, via workflow.Via, name string, more map[string]any) workflow.ID {
	at := w.tick()
	s := workflow.Span{
		ID: workflow.ID{Trace: t.span.ID.Trace, Span: w.span()}, Parent: t.span.ID.Span, Kind: "CLIENT", Name: name, Service: t.span.Service,
		Start: at, End: at.Add(4 * time.Millisecond), Attributes: map[string]any{"throughline.hop": string(via)},
	}
	if t.workflow != "" {
		s.Attributes[lineage.AttrCorrelationID] = t.workflow
	}
	for k, v := range more {
		s.Attributes[k] = v
	}
	w.add(s)
	return s.ID
}

// work makes one to four calls of an invocation.
func (w *hopWorld) work(t task) {
	if t.depth > 6 {
		return
	}
	for range 1 + w.random.IntN(4) {
		if w.budget <= 0 {
			return
		}
		switch w.random.IntN(8) {
		case 0, 1:
			w.send(t)
		case 2:
			w.notify(t)
		case 3:
			w.call(t)
		case 4:
			w.startExecution(t)
		case 5:
			w.schedule(t)
		case 6:
			w.stream(t)
		default:
			w.publish(t)
		}
	}
}

// carried returns the correlation ID in the body of what t sends, or "" if it is lost.
func (w *hopWorld) carried(t task) string {
	if w.chance(25) {
		return ""
	}
	return t.workflow
}

func (w *hopWorld) newID(kind string) string {
	w.ids++
	return fmt.Sprintf("%s-%06d", kind, w.ids)
}

// Check compares the causes in spans with the ledger, and returns the differences.
func (l *Ledger) Check(spans []workflow.Span) []string {
	var wrong []string
	told := map[string]bool{}
	for _, c := range workflow.Causes(spans) {
		from := ""
		if c.From != nil {
			from = c.From.Text(lineage.AttrInvocationID)
		}
		edge := fmt.Sprintf("%s → %s %s %s", from, c.To.Text(lineage.AttrInvocationID), c.Via, c.How)
		if told[edge] = true; l.Edges[edge] == 0 {
			wrong = append(wrong, "invented: "+edge)
		}
	}
	for edge := range l.Edges {
		if !told[edge] {
			wrong = append(wrong, "missing: "+edge)
		}
	}
	slices.Sort(wrong)
	trees := workflow.Trees(spans)
	if len(trees) != len(l.Trees) {
		wrong = append(wrong, fmt.Sprintf("%d trees, are %d", len(trees), len(l.Trees)))
	}
	return wrong
}
