package lineage_test

import (
	"os"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

// paths are the ways from a publisher to a handler in docs/wire.md, by the case
// of the corpus that shows what of the lineage arrives.
var paths = [][2]string{
	{"EventBridge", "EventBridge → Lambda"},
	{"EventBridgeReplay", "EventBridge archive, replayed → Lambda"},
	{"SQS", "EventBridge → SQS → Lambda"},
	{"SQSFIFO", "EventBridge → SQS FIFO → Lambda"},
	{"SQSDetailAlone", "EventBridge, the detail alone (`InputPath`) → SQS → Lambda"},
	{"SNS", "EventBridge → SNS → Lambda"},
	{"SNSToSQS", "EventBridge → SNS → SQS → Lambda"},
	{"PipesSQS", "EventBridge → SQS → Pipes → Lambda"},
	{"Kinesis", "EventBridge → Kinesis → Lambda"},
	{"PipesKinesis", "EventBridge → Kinesis → Pipes → Lambda"},
	{"APIDestinationHTTP", "EventBridge → API destination → API Gateway HTTP API → Lambda"},
	{"APIDestinationREST", "EventBridge → API destination → API Gateway REST API → Lambda"},
	{"SNSToHTTP", "EventBridge → SNS → a subscribed URL: API Gateway, function URL → Lambda"},
	{"VPCLattice", "EventBridge → a connection to a private API: VPC Lattice → Lambda"},
	{"DurableExecution", "EventBridge → Lambda durable execution"},
	{"DestinationOnFailure", "EventBridge → Lambda → destination: Lambda"},
	{"DestinationQueue", "EventBridge → Lambda → destination: SQS → Lambda"},
	{"DestinationBus", "EventBridge → Lambda → destination: EventBridge → Lambda"},
	{"NewBusBatch", "a new custom bus, a batch (an array) → Lambda"},
	{"NewBusWithMetadata", "a new custom bus, `WITH_METADATA`, alone or in a batch → Lambda"},
	{"NewBusReplay", "a new custom bus, from a point in time, `WITH_METADATA` → Lambda"},
	{"NewBusToSQS", "a new custom bus → SQS → Lambda"},
	{"NewBusToSNSToSQS", "a new custom bus → SNS → SQS → Lambda"},
	{"NewBusToClassic", "a new custom bus → a classic one → Lambda"},
	{"ClassicToNewBus", "a classic bus → a new custom one → Lambda"},
	{"RawEvent", "PutRawEvents → a new custom bus, `WITH_METADATA` → Lambda"},
	{"RawEventAvro", "PutRawEvents of another content type, `WITH_METADATA` → Lambda"},
	{"RawEventAlone", "PutRawEvents, the transformer `RAW` → Lambda"},
	{"RawEventAttributes", "PutRawEvents, `RAW`, with `traceparent` among a subscriber's message attributes → SQS → Lambda"},
	{"CloudEventTraced", "a publisher of CloudEvents with `traceparent` → EventBridge → Lambda"},
	{"Datadog", "a publisher traced by Datadog → EventBridge → Lambda"},
	{"Direct", "a direct invocation whose payload has IDs"},
	{"DeadLettersOfLambda", "EventBridge → Lambda → the function's dead-letter queue → Lambda"},
	{"SQSTraced", "a sender that writes `traceparent` or `_datadog` into message attributes → SQS → Lambda"},
	{"SNSTraced", "a publisher that writes them → SNS → Lambda"},
	{"SQSFromATracer", "a sender with `THROUGHLINE_HOPS=carry`, or another tracer that writes the X-Ray header → SQS → Lambda"},
	{"SNSText", "any publisher → SNS → Lambda"},
	{"SNSToSQSJSON", "any publisher → SNS → SQS → Lambda"},
	{rawDelivery, "any publisher → SNS → SQS with raw delivery → Lambda"},
	{"SQSText", "any sender → SQS → Lambda"},
	{"KinesisText", "any producer → Kinesis → Lambda"},
	{"CloudEvent", "a publisher without Throughline → EventBridge → Lambda"},
	{"aws.rds RDS DB Instance Event", "a service of AWS → EventBridge → Lambda"},
	{"ScheduledRule", "EventBridge rule on a schedule, EventBridge Scheduler → Lambda"},
	{"SchedulerInput", "EventBridge Scheduler with `<aws.scheduler.schedule-arn>` in its input → Lambda"},
	{"StepFunctionsExecution", "Step Functions with `$$.Execution.Id` in the payload → Lambda"},
	{"DynamoDB", "DynamoDB stream → Lambda"},
	{"S3", "S3 event notification → Lambda"},
	{"S3OnBus", "S3 → EventBridge → Lambda"},
	{"HTTPAPI", "API Gateway, ALB, function URL, WebSocket → Lambda"},
	{"MSK", "MSK, Amazon MQ, IoT, Cognito and other payloads"},
}

// rawDelivery is the case whose payload is that of SQS alone: SNS's ID is lost.
const rawDelivery = "PipesSQSText"

// joins says by which ID throughline trace joins what arrived to its sender.
func joins(c lineagetest.Case) string {
	hop := " " + c.WantedHop()
	var by []string
	for _, id := range []struct{ name, text string }{
		{"origin", "request ID that failed"}, {"notifications", "notification ID"}, {"messages", "message ID"}, {"s3", "S3 request ID"},
		{"execution", "execution ARN"}, {"token", "task token"}, {"schedule", "schedule ARN"},
	} {
		if strings.Contains(hop, " "+id.name+"=") {
			by = append(by, id.text)
		}
	}
	switch {
	case c.Name == "Direct":
		return "request ID"
	case c.Name == "RawEventAlone":
		return ""
	case c.Name == rawDelivery || c.Name == "SQSDetailAlone" || c.Name == "DynamoDB": // the sender was told another ID, or none
		return ""
	case len(by) == 0 || c.Causations > 0 && !strings.Contains(hop, " origin="):
		return "" // nothing, or what is linked
	}
	return by[0]
}

// arrives says what of the publisher's lineage a case shows.
func arrives(c lineagetest.Case) string {
	switch {
	case c.Causations > 0:
		return "linked"
	case len(c.IDs) == 0:
		return "nothing"
	case c.Correlation == "workflow-1" || c.Correlation == "run-3":
		return "correlation only"
	}
	return "nothing; the event's own ID is its workflow"
}

// docs/wire.md shows what arrives by each path. THROUGHLINE_UPDATE=1 rewrites it.
func TestWireShowsThePaths(t *testing.T) {
	cases := map[string]lineagetest.Case{}
	for _, c := range lineagetest.Corpus() {
		cases[c.Name] = c
	}
	var b strings.Builder
	b.WriteString("<!-- paths: written by THROUGHLINE_UPDATE=1 go test ./internal/lineage -->\n| path | lineage at the handler | `throughline trace` joins by | `faas.trigger` | `messaging.system` |\n|---|---|---|---|---|\n")
	for _, path := range paths {
		c, ok := cases[path[0]]
		if !ok {
			t.Fatalf("the corpus has no %s", path[0])
		}
		b.WriteString("| " + path[1] + " | " + arrives(c) + " | " + joins(c) + " | " + c.Trigger + " | " + c.System + " |\n")
	}
	b.WriteString("<!-- /paths -->\n")
	const file = "../../docs/wire.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- paths:")
	_, after, closed := strings.Cut(rest, "<!-- /paths -->\n")
	if !ok || !closed {
		t.Fatal("docs/wire.md has no place for the paths")
	}
	want := before + b.String() + after
	if want == string(text) {
		return
	}
	if os.Getenv("THROUGHLINE_UPDATE") == "" {
		t.Fatal("docs/wire.md does not show the paths as they are: run THROUGHLINE_UPDATE=1 go test ./internal/lineage")
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
