package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const region = "arn:aws:%s:eu-west-1:123456789012:"

func arnOf(service, rest string) string { return strings.Replace(region, "%s", service, 1) + rest }

func policyFor(action, resource, rule string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"` + action +
		`","Resource":"` + resource + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + rule + `"}}}]}`
}

// sound is a system that passes every item but those of the trials.
func sound() *system.System {
	rule, fn, dead := arnOf("events", "rule/trading/signals"), arnOf("lambda", "function:portfolio"), arnOf("sqs", "dead")
	s := &system.System{
		Source: "test",
		Buses: []system.Bus{{Name: "trading", ARN: arnOf("events", "event-bus/trading"), Exists: true, Rules: []system.Rule{{
			Name: "signals", ARN: rule, Pattern: `{"detail-type":["SignalGenerated"],"resources":[{"prefix":"arn:aws:s3"}]}`,
			Targets: []system.Target{{ID: "a", ARN: fn, DeadLetter: dead}},
		}}}},
		Functions: []system.Function{{
			Name: "portfolio", ARN: fn, Service: "portfolio", Namespace: "Throughline", Timeout: 10 * time.Second, LogFormat: "JSON", LogLevel: "INFO", LogGroup: "/aws/lambda/portfolio", LogClass: "STANDARD",
			Environment: map[string]string{"EVENT_BUS_NAME": "trading", "THROUGHLINE_ALPACA_FAULTS": "error=503:10%,delay=2s"}, Policy: policyFor("lambda:InvokeFunction", fn, rule),
		}},
		Queues:           []system.Queue{{ARN: dead, Exists: true, Policy: policyFor("sqs:SendMessage", dead, rule)}},
		Alarms:           []system.Alarm{{Name: "late", Namespace: "AWS/Events", Metric: "IngestionToInvocationStartLatency"}, {Name: "cold", Namespace: "Throughline", Metric: "ColdStart"}},
		PublishedMetrics: map[string][]string{"AWS/Events": {"IngestionToInvocationStartLatency"}},
	}
	o := &s.Observed
	o.Over = time.Hour
	o.Matched = map[string]float64{"trading": 3}
	t := o.Of("portfolio")
	t.Sum = map[string]float64{"EventsPublished": 3, "EventsFailed": 0, "LoopSuspected": 0, "UncorrelatedPublished": 0, "UncorrelatedReceived": 0, "Timeouts": 0}
	t.Metrics = map[string]bool{"EventsPublished": true, "Duration": true}
	t.Sizes["RebalancePlanned"] = system.Size{Max: 28_256, Count: 3, EventID: "plan-1"}
	t.Duration, t.SlowestID, t.Invocations, t.Hops = 4*time.Second, "req-1", 3, 2
	t.Hosts["paper-api.alpaca.markets"] = 2_100
	t.Correlations["workflow-1"] = true
	o.Of("strategy").Correlations["workflow-1"] = true
	o.Lines = []system.Line{{Kind: "repeat", Repeat: "replay", Service: "portfolio", EventID: "signal-1", CorrelationID: "workflow-1"}}
	o.DLQ = []system.DLQTrial{{Queue: dead, Rule: "throughline-check-1", EventID: "e-1", After: 2 * time.Second, Letter: &system.Letter{EventID: "e-1", Code: "NO_RESOURCE"}}}
	return s
}

var usual = Limits{Size: 200_000, Duration: time.Minute, Hops: 16}

func result(t *testing.T, s *system.System, id string) Result {
	t.Helper()
	results := Judge(s, usual, []string{id})
	if len(results) != 1 {
		t.Fatalf("%d results for %s", len(results), id)
	}
	return results[0]
}

// TestSound: each item passes, with evidence that names something.
func TestSound(t *testing.T) {
	evidence := map[string]string{
		"serialise": "3 events published, none refused", "size": "RebalancePlanned from portfolio: 28256 bytes (plan-1), 14 % of 200000",
		"replay": "1 replayed delivery flagged, and no event was published for it: signal-1 at portfolio", "dlq": "e-1 reached dead after 2s: NO_RESOURCE",
		"durations": "slowest of 3 invocations is portfolio, 4s (request req-1) of 1m", "correlation": "workflow-1 runs through 2 functions: portfolio, strategy",
		"delay": "with 2s added portfolio's longest call to paper-api.alpaca.markets took 2100 ms and its longest invocation 4s of 10s",
		"loops": "no loop suspected; the deepest event is at hop 2 of 16", "bus": "trading, named by the variable EVENT_BUS_NAME of portfolio, with 1 rule",
		"resources": "1 rule, 1 of them on resources: none matches differently", "targets": "1 target, each with a queue: dead", "policies": "2 policies, each allows its rule to send",
		"timeouts": "portfolio, 4s of 10s, 40 %", "logs": "1 function: 1 JSON at INFO", "metrics": "metrics of 1 of 1 function, 2 names", "names": "2 names in the catalogue, 2 alarms on names that are emitted",
	}
	results := Judge(sound(), usual, nil)
	if len(results) != len(evidence) || len(results) != len(items)-1 { // but for that of new custom buses
		t.Fatalf("%d results, %d expected", len(results), len(evidence))
	}
	for _, r := range results {
		if r.Status != Pass || !strings.Contains(r.Evidence, evidence[r.ID]) || r.Title == "" {
			t.Errorf("%s: %s: %s %s", r.ID, r.Status, r.Evidence, r.Details)
		}
	}
}

// TestFaults breaks one thing at a time: the item that is about it says so, with
// evidence and what to do.
func TestFaults(t *testing.T) {
	traffic := func(s *system.System) *system.Traffic { return s.Observed.Functions["portfolio"] }
	rule := func(s *system.System) *system.Rule { return &s.Buses[0].Rules[0] }
	for name, tt := range map[string]struct {
		id     string
		status Status
		want   string
		spoil  func(*system.System)
	}{
		"Malformed": {"serialise", Fail, "portfolio: 2 of 5 events were not published: MalformedDetail 2", func(s *system.System) {
			traffic(s).Sum["EventsFailed"], traffic(s).Codes["EventsFailed_MalformedDetail"] = 2, 2
		}},
		"Throttled": {"serialise", Warn, "ThrottlingException 2", func(s *system.System) {
			traffic(s).Sum["EventsFailed"], traffic(s).Codes["EventsFailed_ThrottlingException"] = 2, 2
		}},
		"NotSerializable": {"serialise", Fail, "Object of type Decimal is not JSON serializable", func(s *system.System) {
			s.Observed.Errors = []system.LogError{{Function: "portfolio", Message: "TypeError: Object of type Decimal is not JSON serializable", At: noon}}
		}},
		"BrokenEvent": {"serialise", Fail, "line 3", func(s *system.System) {
			s.Observed.Broken = []string{"events.jsonl line 3, T x: its detail is not an object"}
		}},
		"NothingPublished": {"serialise", Skip, "nothing was published in the last 1h", func(s *system.System) {
			s.Observed.Functions = nil
		}},
		"SomebodysFailed": {"serialise", Warn, "3 of 9 entries of the whole account failed", func(s *system.System) {
			s.Observed.Functions, s.Observed.Account = nil, system.AccountWide{Entries: 9, Failed: 3}
		}},
		"NobodysFailed": {"serialise", Pass, "none of the 9 entries of the whole account failed", func(s *system.System) {
			s.Observed.Functions, s.Observed.Account = nil, system.AccountWide{Entries: 9}
		}},
		"LargeRequest": {"size", Warn, "largest request is 300000 bytes", func(s *system.System) {
			clear(traffic(s).Sizes)
			s.Observed.Account.LargestRequest = 300_000
		}},
		"SmallRequests": {"size", Pass, "so no event is larger; 10 % of 200000", func(s *system.System) {
			clear(traffic(s).Sizes)
			s.Observed.Account.LargestRequest = 20_000
		}},
		"LogsUnread": {"correlation", Skip, "the logs could not be read: denied", func(s *system.System) {
			s.Observed.Functions = nil
			s.Cannot(system.Logs, "denied")
		}},
		"TooLarge": {"size", Fail, "SignalGenerated from portfolio: 200000 bytes (big-1), the limit is 200000", func(s *system.System) {
			traffic(s).Sizes["SignalGenerated"] = system.Size{Max: 200_000, Count: 1, EventID: "big-1"}
		}},
		"NoSizes": {"size", Skip, "no sizes of events", func(s *system.System) { clear(traffic(s).Sizes) }},
		"CameOutAgain": {"replay", Fail, "HedgeEvaluated hedge-1 was published again and reached notifications", func(s *system.System) {
			s.Observed.Lines = append(s.Observed.Lines, system.Line{Kind: "repeat", Repeat: "republish", Service: "notifications", EventID: "hedge-1", EventType: "HedgeEvaluated", CorrelationID: "workflow-1"})
		}},
		"RepublishedBefore": {"replay", Pass, "signal-1", func(s *system.System) { // another workflow's
			s.Observed.Lines = append(s.Observed.Lines, system.Line{Kind: "repeat", Repeat: "republish", Service: "notifications", EventID: "hedge-1", CorrelationID: "workflow-2"})
		}},
		"ReplayPublished": {"replay", Fail, "replay throughline-check-1: hedge published 2 events while it handled replayed events", func(s *system.System) {
			s.Observed.Replay = &system.ReplayTrial{Name: "throughline-check-1", Replayed: s.Observed.Lines, Published: map[string]float64{"hedge": 2}}
		}},
		"ReplayFailed": {"replay", Fail, "FAILED for a reason", func(s *system.System) {
			s.Observed.Replay = &system.ReplayTrial{Name: "throughline-check-1", Archive: "all", Reason: "FAILED for a reason"}
		}},
		"ReplayTold": {"replay", Pass, "replay throughline-check-1: 1 replayed delivery flagged", func(s *system.System) {
			s.Observed.Replay = &system.ReplayTrial{Name: "throughline-check-1", Replayed: s.Observed.Lines}
		}},
		"ReplayOfNothing": {"replay", Skip, "no function reported a replayed event", func(s *system.System) {
			s.Observed.Replay = &system.ReplayTrial{Name: "throughline-check-1", State: "COMPLETED"}
		}},
		"NoReplay": {"replay", Skip, "no replay was seen", func(s *system.System) { s.Observed.Lines = nil }},
		"DidNotArrive": {"dlq", Fail, "dead: e-1 failed at rule r, and was not received from the queue within 1s", func(s *system.System) {
			s.Observed.DLQ[0].Letter, s.Observed.DLQ[0].Why = nil, "e-1 failed at rule r, and was not received from the queue within 1s"
		}},
		"Lost": {"dlq", Fail, "2 events of rule signals failed and could not be sent to its dead-letter queue", func(s *system.System) {
			s.Observed.Dead.Lost = map[string]float64{"signals": 2}
		}},
		"LeftBehind": {"dlq", Warn, "not cleaned up: the rule x", func(s *system.System) { s.Observed.DLQ[0].Left = []string{"the rule x"} }},
		"NoQueue": {"dlq", Skip, "no rule has a dead-letter queue", func(s *system.System) {
			s.Observed.DLQ, rule(s).Targets[0].DeadLetter = nil, ""
		}},
		"Slow":     {"durations", Fail, "portfolio took 1m1s (request req-1), the limit is 1m", func(s *system.System) { traffic(s).Duration = 61 * time.Second }},
		"NeverRan": {"durations", Skip, "no invocation", func(s *system.System) { traffic(s).Duration = 0 }},
		"Uncorrelated": {"correlation", Fail, "portfolio received 2 events without a correlation ID", func(s *system.System) {
			traffic(s).Sum["UncorrelatedReceived"] = 2
		}},
		"MintedOnly":        {"correlation", Warn, "portfolio published 1 of 3 events without", func(s *system.System) { traffic(s).Sum["UncorrelatedPublished"] = 1 }},
		"DeliveredWithout":  {"correlation", Fail, "T e-9 was delivered without", func(s *system.System) { s.Observed.Delivered = []system.Delivered{{ID: "e-9", Type: "T"}} }},
		"PublisherNotSeen":  {"correlation", Fail, "the span that published it is missing", func(s *system.System) { s.Observed.Spans = handled("wf", "wf", false, "") }},
		"OtherID":           {"correlation", Fail, "portfolio handled e-1 under other, and strategy published it under wf", func(s *system.System) { s.Observed.Spans = handled("wf", "other", true, "") }},
		"SpansAgree":        {"correlation", Pass, "workflow-1", func(s *system.System) { s.Observed.Spans = handled("wf", "wf", true, "") }},
		"NothingCorrelated": {"correlation", Skip, "no correlation ID", func(s *system.System) { s.Observed.Functions = nil }},
		"TimedOutByDelay": {"delay", Fail, "the function timed out 2 times", func(s *system.System) {
			traffic(s).Sum["Timeouts"], traffic(s).Duration = 2, 10*time.Second
		}},
		"ErrorsByDelay":    {"delay", Warn, "1 invocation ended in an error", func(s *system.System) { traffic(s).Sum["SoftErrors"] = 1 }},
		"DelayWithoutCall": {"delay", Skip, "adds 2s to each call, and no call took that long", func(s *system.System) { clear(traffic(s).Hosts) }},
		"NoDelay":          {"delay", Skip, "no delay was tried", func(s *system.System) { s.Functions[0].Environment = nil }},
		"NothingToDelay": {"delay", Skip, "no function made a call over HTTP in", func(s *system.System) {
			s.Functions[0].Environment, s.Local = nil, true
			s.Observed.Spans = handled("wf", "wf", true, "")
		}},
		"WouldNotFit": {"delay", Warn, "3 calls an invocation: 2s more each would come to 10s of its 10s", func(s *system.System) {
			s.Functions[0].Environment = nil
			for i := range 3 {
				s.Observed.Spans = append(s.Observed.Spans, workflow.Span{ID: workflow.ID{Trace: "t", Span: string(rune('a' + i))}, Parent: "p", Kind: "CLIENT", Service: "portfolio", Attributes: map[string]any{"http.request.method": "POST"}})
			}
		}},
		"Loop": {"loops", Fail, "OrderFailed at portfolio under workflow-1: hop 17 (e-1)", func(s *system.System) {
			s.Observed.Lines = append(s.Observed.Lines, system.Line{Kind: "loop", Service: "portfolio", EventType: "OrderFailed", CorrelationID: "workflow-1", EventID: "e-1", Hops: 17})
		}},
		"LoopCounted":  {"loops", Fail, "portfolio suspected a loop 3 times", func(s *system.System) { traffic(s).Sum["LoopSuspected"] = 3 }},
		"ComesBack":    {"loops", Warn, "A comes back under wf: A → A", func(s *system.System) { s.Observed.Spans = recursion() }},
		"LoopsUnknown": {"loops", Skip, "no function reported", func(s *system.System) { delete(traffic(s).Sum, "LoopSuspected") }},
		"MisspeltBus":  {"bus", Fail, "there is no bus tradnig, named by the variable EVENT_BUS_NAME of portfolio: EventBridge accepts its events and drops them; there is trading, default", misspell},
		"BusWithout":   {"bus", Warn, "has no rules", func(s *system.System) { s.Buses[0].Rules = nil }},
		"NothingMatch": {"bus", Warn, "published 3 events, and none matched a rule of bus trading", func(s *system.System) { s.Observed.Matched = map[string]float64{} }},
		"NoBus":        {"bus", Skip, "no bus is known", func(s *system.System) { s.Buses = nil }},
		"ExistsFalse":  {"resources", Fail, `rule signals: resources [{"exists":false}]`, func(s *system.System) { rule(s).Pattern = `{"resources":[{"exists":false}]}` }},
		"StampIsOff": {"resources", Warn, "THROUGHLINE_STAMP=off", func(s *system.System) {
			rule(s).Pattern = `{"resources":[{"exists":false}]}`
			s.Functions[0].Environment["THROUGHLINE_STAMP"] = "off"
		}},
		"Suffix":       {"resources", Warn, `a correlation ID can match it by chance`, func(s *system.System) { rule(s).Pattern = `{"resources":[{"suffix":"/prod"}]}` }},
		"BadPattern":   {"resources", Warn, "read its pattern", func(s *system.System) { rule(s).Pattern = `{"resources":"x"}` }},
		"NoRules":      {"resources", Skip, "no rules are known", func(s *system.System) { s.Buses[0].Rules = nil }},
		"NoDeadLetter": {"targets", Fail, "rule signals, target portfolio: no dead-letter queue", func(s *system.System) { rule(s).Targets[0].DeadLetter = "" }},
		"FIFO":         {"targets", Fail, "is a FIFO queue", func(s *system.System) { rule(s).Targets[0].DeadLetter = arnOf("sqs", "dead.fifo") }},
		"QueueIsGone":  {"targets", Fail, "its dead-letter queue dead does not exist", func(s *system.System) { s.Queues[0].Exists = false }},
		"QueueHolds":   {"targets", Warn, "dead has 2 messages", func(s *system.System) { s.Queues[0].Messages = 2 }},
		"NoTarget":     {"targets", Warn, "has no target", func(s *system.System) { rule(s).Targets = nil }},
		"Disabled":     {"targets", Skip, "no rule with a target", func(s *system.System) { rule(s).Disabled = true }},
		"NotPermitted": {"policies", Fail, "rule signals cannot send to function portfolio: it has no resource policy", func(s *system.System) { s.Functions[0].Policy = "" }},
		"QueueRefuses": {"policies", Fail, "rule signals cannot send to queue dead: it allows other, not signals", func(s *system.System) {
			s.Queues[0].Policy = strings.ReplaceAll(s.Queues[0].Policy, "/signals", "/other")
		}},
		"FunctionGone":  {"policies", Fail, "sends to the function portfolio, which does not exist", func(s *system.System) { s.Missing = []string{s.Functions[0].ARN}; s.Functions = nil }},
		"StepFunctions": {"policies", Warn, "whether rules can send to machine was not checked", func(s *system.System) { rule(s).Targets[0].ARN = arnOf("states", "stateMachine:machine") }},
		"ByRole": {"policies", Pass, "1 policy", func(s *system.System) {
			rule(s).Targets[0] = system.Target{ARN: arnOf("states", "stateMachine:m"), Role: "r", DeadLetter: rule(s).Targets[0].DeadLetter}
		}},
		"TimedOut":    {"timeouts", Fail, "portfolio timed out after 10s once (request req-1)", func(s *system.System) { traffic(s).Sum["Timeouts"] = 1 }},
		"AtTimeout":   {"timeouts", Fail, "portfolio took 10s, its time-out is 10s", func(s *system.System) { traffic(s).Duration = 10 * time.Second }},
		"NearTimeout": {"timeouts", Warn, "portfolio took 8.5s, 85 % of its time-out of 10s", func(s *system.System) { traffic(s).Duration = 8500 * time.Millisecond }},
		"NoTimeout":   {"timeouts", Skip, "for no function both the durations", func(s *system.System) { s.Functions[0].Timeout = 0 }},
		"LevelIsHigh": {"logs", Fail, "portfolio: ApplicationLogLevel is ERROR, and metric lines count as INFO: set THROUGHLINE_EMF_LEVEL=ERROR", func(s *system.System) {
			s.Functions[0].LogLevel = "ERROR"
		}},
		"LevelIsLow": {"logs", Fail, "THROUGHLINE_EMF_LEVEL=WARN is below it: set it to ERROR", func(s *system.System) {
			s.Functions[0].LogLevel, s.Functions[0].Environment["THROUGHLINE_EMF_LEVEL"] = "ERROR", "WARN"
		}},
		"LevelFits": {"logs", Pass, "1 JSON at WARN with THROUGHLINE_EMF_LEVEL=WARN", func(s *system.System) {
			s.Functions[0].LogLevel, s.Functions[0].Environment["THROUGHLINE_EMF_LEVEL"] = "WARN", "WARN"
		}},
		"TextHasNoLevel":   {"logs", Pass, "1 Text", func(s *system.System) { s.Functions[0].LogFormat, s.Functions[0].LogLevel = "Text", "ERROR" }},
		"InfrequentAccess": {"logs", Fail, "of class INFREQUENT_ACCESS, from which CloudWatch extracts no metrics", func(s *system.System) { s.Functions[0].LogClass = "INFREQUENT_ACCESS" }},
		"NoGroup":          {"logs", Warn, "the log group /aws/lambda/portfolio does not exist", func(s *system.System) { s.Functions[0].LogClass = "" }},
		"NoFunctions":      {"logs", Skip, "no function is known", func(s *system.System) { s.Functions = nil }},
		"NoMetrics":        {"metrics", Fail, "portfolio was invoked 3 times in the last 1h, and has no metrics with Service=portfolio in Throughline", func(s *system.System) { clear(traffic(s).Metrics) }},
		"Idle":             {"metrics", Warn, "neither invocations nor metrics", func(s *system.System) { s.Observed.Functions = nil }},
		"Off": {"metrics", Warn, "THROUGHLINE_METRICS=off", func(s *system.System) {
			clear(traffic(s).Metrics)
			s.Functions[0].Environment["THROUGHLINE_METRICS"] = "off"
		}},
		"EMFRejected": {"metrics", Fail, "/aws/lambda/portfolio: CloudWatch could not read 4 metric lines", func(s *system.System) { s.Observed.EMFRejected = map[string]float64{"/aws/lambda/portfolio": 4} }},
		"GaveUp":      {"metrics", Warn, "portfolio dropped 5 observations", func(s *system.System) { traffic(s).Sum["TelemetryDropped"] = 5 }},
		"SpellingTrap": {"names", Fail, "the alarm late watches AWS/Events IngestiontoInvocationStartLatency, which nothing emits; did you mean IngestionToInvocationStartLatency", func(s *system.System) {
			s.Alarms[0].Metric = "IngestiontoInvocationStartLatency"
		}},
		"TheOtherSpelling": {"names", Fail, "the alarm late watches AWS/Events IngestionToInvocationStartLatency, which nothing emits; did you mean IngestiontoInvocationStartLatency", func(s *system.System) {
			s.PublishedMetrics["AWS/Events"] = []string{"IngestiontoInvocationStartLatency"} // should AWS ever emit what its table says
		}},
		"NoDataYet":   {"names", Pass, "2 alarms", func(s *system.System) { s.PublishedMetrics = nil }},
		"OwnMisspelt": {"names", Fail, "the alarm cold watches Throughline Coldstart, which nothing emits; did you mean ColdStart", func(s *system.System) { s.Alarms[1].Metric = "Coldstart" }},
		"NotOurs":     {"names", Warn, "portfolio has a metric coldStart, which this version does not emit; did you mean ColdStart", func(s *system.System) { traffic(s).Metrics["coldStart"] = true }},
		"NoNames":     {"names", Skip, "no metrics and no alarms", func(s *system.System) { s.Alarms = nil; clear(traffic(s).Metrics) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := sound()
			tt.spoil(s)
			r := result(t, s, tt.id)
			all := strings.Join(append([]string{r.Evidence}, r.Details...), "\n")
			if r.Status != tt.status || !strings.Contains(all, tt.want) {
				t.Errorf("%s: %s\nwant %s: %s", r.Status, all, tt.status, tt.want)
			}
			if r.Status == Fail && r.Next == "" {
				t.Error("it failed, and does not say what to do")
			}
		})
	}
}

func misspell(s *system.System) {
	s.Functions[0].Environment["EVENT_BUS_NAME"] = arnOf("events", "event-bus/tradnig")
	s.Buses = append(s.Buses, system.Bus{Name: "tradnig", Others: []string{"trading", "default"}})
}

// TestUnread: what could not be read is skipped, with the reason and where the
// permissions stand.
func TestUnread(t *testing.T) {
	for part, ids := range map[system.Part][]string{
		system.Metrics: {"serialise", "size", "durations", "correlation", "loops", "timeouts", "metrics", "names", "delay"}, system.Rules: {"resources", "targets", "policies", "dlq"},
		system.Buses: {"bus", "resources"}, system.Functions: {"logs", "timeouts", "metrics"}, system.Policies: {"policies"},
	} {
		for _, id := range ids {
			s := sound()
			s.Cannot(part, "AccessDenied")
			s.Cannot(part, "a later reason")
			if r := result(t, s, id); r.Status != Skip || !strings.Contains(r.Evidence, "AccessDenied") || !strings.Contains(r.Next, "check policy") {
				t.Errorf("%s without %s: %+v", id, part, r)
			}
		}
	}
}

// handled is one event that strategy published under one ID and portfolio
// handled under another.
func handled(published, consumed string, seen bool, repeat string) []workflow.Span {
	at := workflow.ID{Trace: "t1", Span: "s1"}
	spans := []workflow.Span{{
		ID: workflow.ID{Trace: "t2", Span: "s2"}, Kind: "CONSUMER", Service: "portfolio", Start: noon, End: noon.Add(time.Second),
		Attributes: map[string]any{"throughline.correlation.id": consumed, "throughline.event.id": "e-1", "throughline.repeat.kind": repeat},
		Links:      []workflow.Link{{To: at, Why: "causation", Sampled: true, Attributes: map[string]any{"throughline.event.id": "e-1"}}},
	}}
	if seen {
		spans = append(spans, workflow.Span{ID: at, Kind: "PRODUCER", Service: "strategy", Start: noon, End: noon, Attributes: map[string]any{"throughline.correlation.id": published, "throughline.event.id": "e-1", "throughline.event.type": "A"}})
	}
	return spans
}

// recursion is an A whose handling publishes an A.
func recursion() []workflow.Span {
	spans := handled("wf", "wf", true, "")
	return append(spans, workflow.Span{ID: workflow.ID{Trace: "t2", Span: "s3"}, Parent: "s2", Kind: "PRODUCER", Service: "portfolio", Start: noon, End: noon, Attributes: map[string]any{"throughline.correlation.id": "wf", "throughline.event.id": "e-2", "throughline.event.type": "A"}})
}

// TestReplayInSpans: what a handling of a replayed event published or sent is
// an effect; what it read is none.
func TestReplayInSpans(t *testing.T) {
	call := func(method string) workflow.Span {
		return workflow.Span{ID: workflow.ID{Trace: "t2", Span: method}, Parent: "s2", Kind: "CLIENT", Service: "portfolio", Name: method + " /v2/orders", Attributes: map[string]any{"http.request.method": method, "http.response.status_code": int64(200)}}
	}
	for name, tt := range map[string]struct {
		below  []workflow.Span
		status Status
		want   string
	}{
		"Nothing": {nil, Pass, "1 replayed delivery, and nothing was published or sent again: e-1 at portfolio"},
		"Read":    {[]workflow.Span{call("GET")}, Pass, "e-1 at portfolio"},
		"Order":   {[]workflow.Span{call("POST")}, Fail, "portfolio handled the replay of e-1 and sent POST /v2/orders, answered 200"},
		"Event":   {recursion()[2:], Fail, "portfolio handled the replay of e-1 and published A e-2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sound()
			s.Observed.Spans = append(handled("wf", "wf", true, "replay"), tt.below...)
			if r := result(t, s, "replay"); r.Status != tt.status || !strings.Contains(r.Evidence, tt.want) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestNewBus: subscribers of a new custom bus are judged by their own defaults.
func TestNewBus(t *testing.T) {
	five, twenty := int32(5), int32(20)
	s := &system.System{Buses: []system.Bus{{Name: "orders", Exists: true, New: &system.NewBus{RetentionDays: 1}, Rules: []system.Rule{
		{Name: "own", Targets: []system.Target{{ARN: "arn:aws:lambda:r:1:function:f", DeadLetter: "arn:aws:sqs:r:1:dead", Attempts: &twenty, MaxAge: time.Hour, Batch: 1}}},
		{Name: "default", Targets: []system.Target{{ARN: "arn:aws:events:r:1:event-busv2/next/a", DeadLetter: "arn:aws:sqs:r:1:dead", Attempts: &five, MaxAge: 300 * time.Second, Batch: 10}}},
	}}, {Name: "empty", Exists: true, New: &system.NewBus{Found: []system.Found{{Question: "q", Answer: "a"}}, Why: "not all"}}}}
	if r := result(t, s, "targets"); r.Status != Warn || !strings.Contains(r.Evidence, "subscriber default: its retries are the default, 5 in 5m: an outage of bus next") || len(r.Details) != 0 {
		t.Errorf("%+v", r)
	}
	if r := result(t, s, "bus"); r.Status != Warn || !strings.Contains(r.Evidence, "bus empty has no subscribers") {
		t.Errorf("%+v", r)
	}
	if r := result(t, s, "newbus"); r.Status != Warn || r.Evidence != "bus empty: not all" || len(r.Details) != 1 || r.Details[0] != "bus empty: q: a" {
		t.Errorf("%+v", r)
	}
	if results := Judge(s, usual, nil); len(results) != len(items) {
		t.Errorf("%d results", len(results))
	}
}
