package workflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// invocation is the process span of an invocation, whose trace has its name.
func invocation(name, function, correlationID string, at time.Duration, attrs map[string]any, links ...Link) Span {
	s := Span{
		ID: ID{name, name + "1"}, Name: "process", Kind: "CONSUMER", Service: function, Start: t0.Add(at), End: t0.Add(at + 40*time.Millisecond), Links: links,
		Attributes: map[string]any{
			"faas.trigger": "pubsub", "faas.invocation_id": "r-" + name, "aws.lambda.invoked_arn": "arn:aws:lambda:us-east-1:111122223333:function:" + function,
			"throughline.event.id": "r-" + name,
		},
	}
	if correlationID == "" {
		s.Kind = "SERVER"
	} else {
		s.Attributes["throughline.correlation.id"] = correlationID
	}
	for k, v := range attrs {
		s.Attributes[k] = v
	}
	return s
}

// sentBy is the span of a call that leaves the bus, made by the invocation called parent.
func sentBy(parent, name string, via Via, attrs map[string]any) Span {
	s := Span{
		ID: ID{parent, name}, Parent: parent + "1", Name: string(via) + " " + name, Kind: "CLIENT", Service: "f-" + parent, Start: t0.Add(5 * time.Millisecond), End: t0.Add(9 * time.Millisecond),
		Attributes: map[string]any{"throughline.hop": string(via), "throughline.correlation.id": correlation},
	}
	for k, v := range attrs {
		s.Attributes[k] = v
	}
	return s
}

func listOf(list ...string) []any {
	values := make([]any, len(list))
	for i, id := range list {
		values[i] = id
	}
	return values
}

func toSpan(why, trace, span, record string) Link {
	return Link{To: ID{trace, span}, Why: why, Sampled: true, Attributes: map[string]any{"messaging.message.id": record}}
}

// edges are those between invocations, as from→to via how by.
func edges(spans []Span) (list []string) {
	for _, c := range Causes(spans) {
		from := "?"
		if c.From != nil {
			from = c.From.ID.Trace
		}
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s→%s %s %s %s", from, c.To.ID.Trace, c.Via, c.How, c.By)))
	}
	slices.Sort(list)
	return list
}

type attrs = map[string]any

func TestHops(t *testing.T) {
	const late = time.Second
	queue := func(name string, list ...string) attrs {
		a := attrs{"messaging.destination.name": name, "throughline.message.ids": listOf(list...), "throughline.event.id": list[0]}
		if len(list) > 1 {
			a["messaging.batch.message_count"] = int64(len(list))
		}
		return a
	}
	root := invocation("a", "planner", correlation, 0, nil)
	execution := "arn:aws:states:us-east-1:1:execution:m:e"
	target := "arn:aws:lambda:us-east-1:111122223333:function:orchestrator"
	due := t0.Add(late).Format(time.RFC3339)
	for _, tt := range []struct {
		name  string
		spans []Span
		want  []string
	}{
		{"Queue", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-1"))}, []string{"a→b sqs joined message ID"}},
		{"PartOfABatch", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1", "m-2")), invocation("b", "x", "", late, queue("q", "m-2", "m-9"))}, []string{"a→b sqs joined message ID"}},
		{"BatchOfTwoSenders", []Span{root, invocation("c", "y", "other", 0, nil), sentBy("a", "s", ViaSQS, queue("q", "m-1")), sentBy("c", "s2", ViaSQS, queue("q", "m-2")),
			invocation("b", "x", "", late, queue("q", "m-1", "m-2"))}, []string{"a→b sqs joined message ID", "c→b sqs joined message ID"}},
		{"RedeliveredAndDeadLetter", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-1")),
			invocation("c", "x", correlation, 2*late, queue("q", "m-1")), invocation("d", "dead", correlation, 3*late, queue("q-dlq", "m-1"))},
			[]string{"a→b sqs joined message ID", "a→c sqs joined message ID", "a→d sqs joined message ID"}},
		{"Redriven", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-new"))}, nil},
		{"RedrivenWithAHeader", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-new"), toSpan("causation", "a", "s", "m-new"))},
			[]string{"a→b sqs linked"}},
		{"ALinkWinsOverAnID", []Span{root, invocation("c", "y", "other", 0, nil), sentBy("a", "s", ViaSQS, queue("q", "m-1")), sentBy("c", "s2", ViaSQS, queue("q", "m-2")),
			invocation("b", "x", correlation, late, queue("q", "m-1"), toSpan("causation", "c", "s2", "m-1"))}, []string{"c→b sqs linked"}},
		{"InXRay", []Span{root, sentBy("a", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-1"), toSpan("trace", "a", "s", "m-1"))}, []string{"a→b sqs linked"}},
		{"TwoCandidates", []Span{root, invocation("c", "y", "other", 0, nil), sentBy("a", "s", ViaSQS, queue("q", "m-1")), sentBy("c", "s2", ViaSQS, queue("q", "m-1")),
			invocation("b", "x", correlation, late, queue("q", "m-1"))}, nil},
		{"TwoQueuesOneID", []Span{root, invocation("c", "y", "other", 0, nil), sentBy("a", "s", ViaSQS, queue("q", "m-1")), sentBy("c", "s2", ViaSQS, queue("q2", "m-1")),
			invocation("b", "x", correlation, late, queue("q", "m-1"))}, []string{"a→b sqs joined message ID"}},
		{"IDsOfTwoServices", []Span{root, sentBy("a", "s", ViaSNS, queue("t", "m-1")), sentBy("a", "s2", ViaLambda, attrs{"throughline.callee.request_id": "m-1"}),
			invocation("b", "x", correlation, late, queue("q", "m-1"))}, nil},
		{"FIFOTakesTheFirst", []Span{root, sentBy("a", "s", ViaSQS, queue("q.fifo", "m-1")), func() Span {
			s := sentBy("a", "s2", ViaSQS, queue("q.fifo", "m-1"))
			s.Start = s.Start.Add(time.Millisecond)
			return s
		}(), invocation("b", "x", correlation, late, queue("q.fifo", "m-1"))}, []string{"a→b sqs joined message ID"}},
		{"ExecutionStartedAgain", []Span{root, sentBy("a", "s", ViaStates, attrs{"throughline.execution.arn": execution}), func() Span {
			s := sentBy("a2", "s2", ViaStates, attrs{"throughline.execution.arn": execution})
			s.Start = s.Start.Add(time.Millisecond)
			return s
		}(), invocation("a2", "planner", correlation, time.Millisecond, nil), invocation("b", "x", "", late, attrs{"throughline.execution.arn": execution})}, []string{"a→b states joined execution ARN"}},
		{"TopicToQueue", []Span{root, sentBy("a", "s", ViaSNS, queue("t", "n-1")), invocation("b", "x", "", late, attrs{"throughline.message.ids": listOf("m-7"), "throughline.notification.ids": listOf("n-1")})},
			[]string{"a→b sns joined notification ID"}},
		{"TopicToQueueRaw", []Span{root, sentBy("a", "s", ViaSNS, queue("t", "n-1")), invocation("b", "x", correlation, late, queue("q", "m-7"))}, nil},
		{"Invoke", []Span{root, sentBy("a", "s", ViaLambda, attrs{"throughline.callee.request_id": "r-b"}), invocation("b", "x", "sync-refresh", late, nil)}, []string{"a→b lambda joined request ID"}},
		{"Execution", []Span{root, sentBy("a", "s", ViaStates, attrs{"throughline.execution.arn": execution}), invocation("b", "x", "", late, attrs{"throughline.execution.arn": execution}),
			invocation("c", "y", "", late, attrs{"throughline.execution.arn": execution + "2"})}, []string{"a→b states joined execution ARN"}},
		{"NestedExecution", []Span{root, sentBy("a", "s", ViaStates, attrs{"throughline.execution.arn": execution}),
			invocation("b", "x", "", late, attrs{"throughline.execution.arn": execution + "-child", "throughline.execution.starter.arn": execution})}, []string{"a→b states joined ARN of the starting execution"}},
		{"TaskToken", []Span{root, invocation("b", "approve", correlation, late, attrs{"throughline.task.token_hash": "h"}), invocation("c", "answer", "", 2*late, nil),
			sentBy("c", "s", ViaStates, attrs{"throughline.task.token_hash": "h"})}, []string{"b→c states joined task token"}},
		{"Destination", []Span{root, sentBy("a", "s", ViaLambda, attrs{"throughline.callee.request_id": "r-b"}), invocation("b", "x", correlation, late, nil),
			func() Span {
				s := invocation("b2", "x", correlation, 2*late, attrs{"faas.invocation_id": "r-b"})
				return s
			}(),
			invocation("d", "notify", correlation, 3*late, attrs{"throughline.origin.request_id": "r-b"})},
			[]string{"a→b lambda joined request ID", "a→b2 lambda joined request ID", "b2→d destination joined request ID of the failed invocation"}},
		{"DestinationOfADeadWorker", []Span{root, sentBy("a", "s", ViaLambda, attrs{"throughline.callee.request_id": "r-b"}), invocation("d", "notify", correlation, 3*late, attrs{"throughline.origin.request_id": "r-b"})},
			[]string{"a→d destination joined request ID of the failed invocation"}},
		{"Object", []Span{root, func() Span {
			s := sentBy("a", "s", "", attrs{"rpc.service": "S3", "aws.request_id": "X1"})
			delete(s.Attributes, "throughline.hop")
			return s
		}(), invocation("b", "x", "", late, attrs{"throughline.s3.request_ids": listOf("X1")})}, []string{"a→b s3 joined S3 request ID"}},
		{"ObjectOfJavaScript", []Span{root, func() Span {
			s := sentBy("a", "s", "", attrs{"rpc.service": "S3", "aws.request.id": "X1"})
			delete(s.Attributes, "throughline.hop")
			return s
		}(), invocation("b", "x", "", late, attrs{"throughline.s3.request_ids": listOf("X1")})}, []string{"a→b s3 joined S3 request ID"}},
		{"Stream", []Span{root, sentBy("a", "s", ViaKinesis, queue("t", "shardId-0:1", "shardId-0:2")), invocation("b", "x", "", late, queue("t", "shardId-0:1", "shardId-0:2"))}, []string{"a→b kinesis joined message ID"}},
		{"Schedule", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": target, "throughline.schedule.at": due}), invocation("b", "orchestrator", correlation, late, nil)},
			[]string{"a→b scheduler inferred function, due time and correlation ID"}},
		{"ScheduleOfAnotherTime", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": target, "throughline.schedule.at": due}), invocation("b", "orchestrator", correlation, time.Hour, nil)}, nil},
		{"ScheduleOfAnotherFunction", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": target + "2", "throughline.schedule.at": due}), invocation("b", "orchestrator", correlation, late, nil)}, nil},
		{"ScheduleOfAnotherAccount", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": strings.Replace(target, "111122223333", "444455556666", 1), "throughline.schedule.at": due}),
			invocation("b", "orchestrator", correlation, late, nil)}, nil},
		{"ScheduleOfAnotherWorkflow", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": target, "throughline.schedule.at": due}), invocation("b", "orchestrator", "other", late, nil)}, nil},
		{"TwoSchedules", []Span{root, sentBy("a", "s", ViaScheduler, attrs{"throughline.schedule.target": target, "throughline.schedule.at": due}),
			sentBy("a", "s2", ViaScheduler, attrs{"throughline.schedule.target": target, "throughline.schedule.at": due}), invocation("b", "orchestrator", correlation, late, nil)}, nil},
		{"EventThatWasPassedOn", []Span{ // a function sends the event that it handles, stamp and all, into a queue
			publication("p", "p1", "", "shop", "Placed", "e-1", 0), process("f", "f1", "forward", "Placed", "e-1", time.Millisecond, causedBy("p", "p1", "e-1", true)),
			sentBy("f", "s", ViaSQS, queue("q", "m-1")), invocation("b", "x", correlation, late, queue("q", "m-1"), toSpan("causation", "p", "p1", "m-1")),
		}, []string{"?→f bus linked", "f→b sqs joined message ID"}},
		{"EventOfTheBusInAQueue", []Span{
			publication("p", "p1", "", "shop", "Placed", "e-1", 0), invocation("b", "x", correlation, late, queue("q", "m-1"), toSpan("causation", "p", "p1", "m-1")),
		}, []string{"?→b bus linked"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slices.Reverse(tt.spans)
			if got := edges(tt.spans); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			Build(tt.spans, correlation) // and does not fail
		})
	}
}

// A correlation ID that is lost on the way to another function is told, and the request
// ID that repairs it; from either ID the tree is one.
func TestARequestIDRepairsABrokenCorrelation(t *testing.T) {
	spans := []Span{
		invocation("a", "worker", correlation, 0, nil), sentBy("a", "s", ViaLambda, attrs{"throughline.callee.request_id": "r-b"}),
		invocation("b", "data", "sync-refresh-SPY", time.Second, nil),
	}
	publish := publication("b", "p", "b1", "data", "Refreshed", "e-2", time.Second)
	publish.Attributes["throughline.correlation.id"] = "sync-refresh-SPY"
	handle := process("c", "c1", "notify", "Refreshed", "e-2", 2*time.Second, causedBy("b", "p", "e-2", true))
	handle.Attributes["throughline.correlation.id"] = "sync-refresh-SPY"
	spans = append(spans, publish, handle)
	for _, id := range []string{correlation, "sync-refresh-SPY"} {
		w := Build(spans, id)
		if got, want := shape(w), "r-a(worker(lambda s(data(e-2(notify)))))"; got != want {
			t.Errorf("from %s: %s, want %s:\n%s", id, got, want, text(t, w))
		}
	}
	got := text(t, Build(spans, correlation))
	for _, want := range []string{"joined by hops: sync-refresh-SPY", "lambda joined by request ID  CORRELATION sync-refresh-SPY"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "CORRELATION"); n != 1 {
		t.Errorf("the break is told %d times:\n%s", n, got)
	}
}

// A hop is a slanted box, and an arrow that no link tells is dotted and says why.
func TestMermaidOfHops(t *testing.T) {
	spans := []Span{
		invocation("a", "worker", correlation, 0, nil), sentBy("a", "s", ViaLambda, attrs{"throughline.callee.request_id": "r-b"}), invocation("b", "data", correlation, time.Second, nil),
		invocation("c", "lonely", "", 0, nil), sentBy("c", "s2", ViaSQS, attrs{"throughline.message.ids": listOf("m-1")}),
		invocation("d", "x", correlation, time.Second, attrs{"throughline.message.ids": listOf("m-9")}, toSpan("causation", "c", "s2", "m-9")),
	}
	var out strings.Builder
	if err := WriteMermaid(&out, Build(spans, correlation)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`n2[/"lambda s"/]`, `n0 -->|"worker"| n2`, `n3(["data<br/>lambda joined by request ID<br/>40 ms"])`, `n2 -.-> n3`, // joined
		`(["lonely"])`, `[/"sqs s2"/]`, `(["x<br/>sqs linked<br/>40 ms"])`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "n-1") {
		t.Errorf("an arrow from nowhere:\n%s", out.String())
	}
}

// What a batch does is in the tree if all of its messages are of the tree's workflow.
func TestABatchOfOneWorkflowIsWhole(t *testing.T) {
	first, second := sentBy("a", "s", ViaSQS, attrs{"throughline.message.ids": listOf("m-1")}), sentBy("a", "s2", ViaSQS, attrs{"throughline.message.ids": listOf("m-2", "m-3")})
	batch := invocation("b", "x", "", time.Second, attrs{"throughline.message.ids": listOf("m-1", "m-2", "m-3"), "messaging.batch.message_count": int64(3)})
	made := sentBy("b", "s3", ViaLambda, attrs{"throughline.callee.request_id": "r-c"})
	event := publication("b", "p", "b1", "x", "Done", "e-2", time.Second)
	for _, s := range []*Span{&made, &event} {
		s.Attributes["throughline.correlation.id"] = "" // of a batch of several messages it is not known
	}
	event.Attributes["throughline.correlation.id"] = "minted"
	all := []Span{invocation("a", "planner", correlation, 0, nil), first, second, batch, made, event, invocation("c", "callee", "", 2*time.Second, nil)}
	if got, want := shape(Build(all, correlation)), "r-a(planner(sqs s(x(lambda s3(callee) e-2)) sqs s2(x)))"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	second.Attributes["throughline.message.ids"] = listOf("m-2") // nobody is known to have sent m-3
	if got, want := shape(Build(all, correlation)), "r-a(planner(sqs s(x) sqs s2(x)))"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A batch of strangers does not make one workflow of theirs.
func TestABatchOfStrangersJoinsNoWorkflows(t *testing.T) {
	other := invocation("c", "y", "workflow-2", 0, nil)
	sends := []Span{
		sentBy("a", "s", ViaSQS, attrs{"throughline.message.ids": listOf("m-1")}), sentBy("c", "s2", ViaSQS, attrs{"throughline.message.ids": listOf("m-2"), "throughline.correlation.id": "workflow-2"}),
	}
	batch := invocation("b", "x", "", time.Second, attrs{"throughline.message.ids": listOf("m-1", "m-2"), "messaging.batch.message_count": int64(2)})
	w := Build(append(sends, invocation("a", "planner", correlation, 0, nil), other, batch), correlation)
	if got, want := shape(w), "r-a(planner(sqs s(x)))"; got != want || len(w.Joined) != 0 {
		t.Errorf("%s, want %s, joined %v", got, want, w.Joined)
	}
	if trees := Trees(append(sends, invocation("a", "planner", correlation, 0, nil), other, batch)); len(trees) != 1 || len(trees[0]) != 3 {
		t.Errorf("%d trees", len(trees)) // by cause they are one
	}
}

// The last of the trades of a run is who goes on: it waited for the others.
func TestWaitedForTheOthersOfARun(t *testing.T) {
	var spans []Span
	trade := func(name, run string, at time.Duration) {
		e := "e-" + name
		h := process(name, name+"1", "aggregator", "TradeExecuted", e, at, causedBy("x", "x"+name, e, true))
		h.Attributes["faas.trigger"] = "pubsub"
		if run != "" {
			h.Attributes["throughline.run.id"] = run
		}
		spans = append(spans, publication("x", "x"+name, "", "execution", "TradeExecuted", e, at-time.Millisecond), h)
	}
	done := func(name string, at time.Duration) {
		spans = append(spans, publication(name, name+"2", name+"1", "aggregator", "AllTradesCompleted", "done-"+name, at))
	}
	waited := func(spans []Span) map[string]int {
		w, found := Build(spans, correlation), map[string]int{}
		for i := range w.Nodes {
			if n := len(w.Nodes[i].Waited); n > 0 {
				found[w.Nodes[i].EventID] = n
			}
		}
		return found
	}
	for n, name := range []string{"a", "b", "c"} {
		trade(name, "run-1", time.Duration(n)*time.Second)
	}
	for n, name := range []string{"d", "e"} {
		trade(name, "run-2", time.Duration(n)*time.Second+time.Millisecond*500)
	}
	done("c", 2*time.Second+10*time.Millisecond)
	done("e", time.Second+510*time.Millisecond)
	if got := waited(spans); fmt.Sprint(got) != "map[e-c:2 e-e:1]" {
		t.Errorf("%v:\n%s", got, text(t, Build(spans, correlation)))
	}
	if got := text(t, Build(spans, correlation)); !strings.Contains(got, "waited for 2 other TradeExecuted of run run-1") {
		t.Errorf("it is not said:\n%s", got)
	}
	for i := range spans { // without a run the correlation ID does not tell which waited for which
		delete(spans[i].Attributes, "throughline.run.id")
	}
	if got := waited(spans); len(got) != 0 {
		t.Errorf("%v without runs", got)
	}
	spans = nil
	for n, name := range []string{"a", "b", "c"} {
		trade(name, "", time.Duration(n)*time.Second)
	}
	done("c", 2*time.Second+10*time.Millisecond)
	if got := waited(spans); fmt.Sprint(got) != "map[e-c:2]" {
		t.Errorf("%v in a workflow of one run", got)
	}
}
