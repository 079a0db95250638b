package hop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/metrics"
)

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

// The span of each call as docs/wire.md has it.
func TestSpans(t *testing.T) {
	const (
		queue   = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo"
		topic   = "arn:aws:sns:eu-west-1:123456789012:alerts"
		machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:rebalance"
	)
	for name, tt := range map[string]struct {
		call      Call
		span      string
		kind      trace.SpanKind
		dimension string
		attrs     []string
	}{
		"message": {Call{Service: SQS, Operation: "SendMessage", Target: queue, Size: 12, IDs: []string{"m-1"}}, "send orders.fifo", trace.SpanKindProducer, "sqs:orders.fifo",
			[]string{"throughline.message.ids=[m-1]", "throughline.hop=sqs", "messaging.system=aws_sqs", "messaging.operation.type=send", "messaging.operation.name=send",
				"messaging.destination.name=orders.fifo", "aws.sqs.queue.url=" + queue, "messaging.message.id=m-1", "messaging.message.body.size=12"}},
		"batch": {Call{Service: SQS, Operation: "SendMessageBatch", Target: queue, Batch: 3, IDs: []string{"m-1", "m-2"}, Failed: map[string]int{"InternalError": 1}, Carried: true}, "send orders.fifo", trace.SpanKindProducer, "sqs:orders.fifo",
			[]string{"throughline.message.ids=[m-1 m-2]", "throughline.hop=sqs", "messaging.system=aws_sqs", "messaging.operation.type=send", "messaging.operation.name=send",
				"messaging.destination.name=orders.fifo", "aws.sqs.queue.url=" + queue, "messaging.batch.message_count=3", "throughline.hop.carried=true", "throughline.failed.count=1", "error.type=InternalError"}},
		"topic": {Call{Service: SNS, Operation: "Publish", Target: topic, IDs: []string{"n-1"}}, "publish alerts", trace.SpanKindProducer, "sns:alerts",
			[]string{"throughline.message.ids=[n-1]", "throughline.hop=sns", "messaging.system=aws.sns", "messaging.operation.type=send", "messaging.operation.name=publish",
				"messaging.destination.name=alerts", "aws.sns.topic.arn=" + topic, "messaging.message.id=n-1"}},
		"telephone": {Call{Service: SNS, Operation: "Publish", Target: "+4912345"}, "publish sms", trace.SpanKindProducer, "sns:sms",
			[]string{"throughline.hop=sns", "messaging.system=aws.sns", "messaging.operation.type=send", "messaging.operation.name=publish", "messaging.destination.name=sms"}},
		"function": {Call{Service: Lambda, Operation: "Invoke", Target: "arn:aws:lambda:eu-west-1:123456789012:function:worker:live", InvocationType: "Event", Size: 7, IDs: []string{"r-1"}}, "invoke worker", trace.SpanKindClient, "lambda:worker",
			[]string{"throughline.message.ids=[r-1]", "throughline.hop=lambda", "faas.invoked_name=worker", "faas.invoked_provider=aws", "faas.invoked_region=eu-west-1",
				"throughline.invocation.type=Event", "throughline.callee.request_id=r-1", "throughline.request.size=7"}},
		"machine": {Call{Service: States, Operation: "StartExecution", Target: machine, IDs: []string{"arn:e"}}, "start rebalance", trace.SpanKindClient, "states:rebalance",
			[]string{"throughline.message.ids=[arn:e]", "throughline.hop=states", "aws.step_functions.state_machine.arn=" + machine, "throughline.execution.arn=arn:e"}},
		"task": {Call{Service: States, Operation: "SendTaskFailure", TaskHash: HashToken("token")}, "fail task", trace.SpanKindClient, "states:task",
			[]string{"throughline.hop=states", "throughline.task.token_hash=3c469e9d6c5875d37a43f353d4f88e61"}},
		"schedule": {Call{Service: Scheduler, Operation: "CreateSchedule", Target: "trading/open-1", ScheduleTarget: "arn:t", ScheduleAt: at, IDs: []string{"arn:s"}}, "schedule open-1", trace.SpanKindClient, "scheduler:trading",
			[]string{"throughline.message.ids=[arn:s]", "throughline.hop=scheduler", "throughline.schedule.arn=arn:s", "throughline.schedule.target=arn:t", "throughline.schedule.at=2026-11-23T20:45:00Z"}},
		"records": {Call{Service: Kinesis, Operation: "PutRecords", Target: "arn:aws:kinesis:eu-west-1:123456789012:stream/ticks", Batch: 1, IDs: []string{"shardId-0:1"}}, "send ticks", trace.SpanKindProducer, "kinesis:ticks",
			[]string{"throughline.message.ids=[shardId-0:1]", "throughline.hop=kinesis", "messaging.system=aws.kinesis", "messaging.operation.type=send", "messaging.operation.name=send",
				"messaging.destination.name=ticks", "messaging.batch.message_count=1"}},
		"failed": {Call{Service: SQS, Operation: "SendMessageBatch", Target: queue, Batch: 3, Error: "AccessDenied"}, "send orders.fifo", trace.SpanKindProducer, "sqs:orders.fifo",
			[]string{"throughline.hop=sqs", "messaging.system=aws_sqs", "messaging.operation.type=send", "messaging.operation.name=send",
				"messaging.destination.name=orders.fifo", "aws.sqs.queue.url=" + queue, "messaging.batch.message_count=3", "throughline.failed.count=3", "error.type=AccessDenied"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !Known(tt.call.Service, tt.call.Operation) {
				t.Error("it is not known")
			}
			if got := tt.call.SpanName(); got != tt.span || tt.call.Kind() != tt.kind || tt.call.Dimension() != tt.dimension {
				t.Errorf("%s %v %s", got, tt.call.Kind(), tt.call.Dimension())
			}
			var attrs []string
			for _, a := range tt.call.Attributes(nil) {
				attrs = append(attrs, fmt.Sprint(a.Key, "=", a.Value.AsInterface()))
			}
			if !slices.Equal(attrs, tt.attrs) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(attrs, "\n"), strings.Join(tt.attrs, "\n"))
			}
		})
	}
}

func TestFunctionNames(t *testing.T) {
	for given, want := range map[string]string{
		"worker": "worker", "worker:3": "worker", "123456789012:function:worker": "worker", "123456789012:function:worker:live": "worker",
		"arn:aws:lambda:us-east-1:123456789012:function:worker": "worker", "": "",
	} {
		if got := functionName(given); got != want {
			t.Errorf("%q: %q", given, got)
		}
	}
}

// Failures count once a message, of a call that failed as a whole too, as those of PutEvents do.
func TestRecord(t *testing.T) {
	batch := Call{Service: SQS, Target: "q", Batch: 10, Size: 100, Start: at, End: at.Add(20 * time.Millisecond)}
	for name, tt := range map[string]struct {
		change func(*Call)
		want   []string
	}{
		"all":     {func(*Call) {}, []string{`"MessagesSent":10`, `"MessagesFailed":0`, `"MessageSize":100`, `"SendDuration":20`}},
		"some":    {func(c *Call) { c.Failed = map[string]int{"Throttled": 3, "Other": 1} }, []string{`"MessagesSent":6`, `"MessagesFailed":4`, `"MessagesFailed_Throttled":3`}},
		"none":    {func(c *Call) { c.Error = "AccessDenied" }, []string{`"MessagesFailed":10`, `"MessagesFailed_AccessDenied":10`}},
		"unknown": {func(c *Call) { c.Error, c.Unknown = "cancelled", true }, []string{`"SendDuration":20`}},
	} {
		t.Run(name, func(t *testing.T) {
			set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
			c := batch
			tt.change(&c)
			c.Record(set, "w")
			var out strings.Builder
			if err := set.Flush(&out, at); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %s in %s", want, out.String())
				}
			}
			if name == "unknown" && (strings.Contains(out.String(), "MessagesFailed") || strings.Contains(out.String(), "MessagesSent")) {
				t.Errorf("counted: %s", out.String())
			}
			if !strings.Contains(out.String(), `"Target":"sqs:q"`) {
				t.Errorf("no target in %s", out.String())
			}
		})
	}
}

// In the basic profile a target costs nothing but its failures, on the service.
func TestBasicCostsFailuresAlone(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "f"})
	c := Call{Service: SQS, Target: "q", Batch: 2, Failed: map[string]int{"X": 1}, Size: 1, Start: at, End: at}
	c.Record(set, "")
	var out strings.Builder
	if err := set.Flush(&out, at); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		_, defined, _ := strings.Cut(line, `"CloudWatchMetrics":`)
		if !strings.HasPrefix(defined, "[]") && strings.Count(defined, `"Name"`) != 1 || strings.Contains(defined, "Target") {
			t.Errorf("metrics of %s", line)
		}
	}
	if !strings.Contains(out.String(), `"MessagesFailed":1`) {
		t.Error(out.String())
	}
}

func TestNamesAreOpenTelemetrys(t *testing.T) {
	for ours, theirs := range map[attribute.Key]attribute.Key{
		keySystem: semconv.MessagingSystemKey, keyType: semconv.MessagingOperationTypeKey, keyOperation: semconv.MessagingOperationNameKey,
		keyDestination: semconv.MessagingDestinationNameKey, keyMessageID: semconv.MessagingMessageIDKey, keyBatchCount: semconv.MessagingBatchMessageCountKey,
		keyBodySize: semconv.MessagingMessageBodySizeKey, keyQueue: semconv.AWSSQSQueueURLKey, keyTopic: semconv.AWSSNSTopicARNKey,
		keyStateMachine: semconv.AWSStepFunctionsStateMachineARNKey, keyFunction: semconv.FaaSInvokedNameKey, keyProvider: semconv.FaaSInvokedProviderKey,
		keyRegion: semconv.FaaSInvokedRegionKey, keyError: semconv.ErrorTypeKey,
		attribute.Key(system(SQS)): attribute.Key(semconv.MessagingSystemAWSSQS.Value.AsString()), attribute.Key(system(SNS)): attribute.Key(semconv.MessagingSystemAWSSNS.Value.AsString()),
	} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
}
