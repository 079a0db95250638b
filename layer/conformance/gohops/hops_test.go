// Package gohops makes calls with AWS's SDK for Go without and with the
// middleware of package hops, and compares what is sent.
package gohops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/hops"
	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

const (
	queue    = "https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo"
	topic    = "arn:aws:sns:us-east-1:123456789012:alerts"
	machine  = "arn:aws:states:us-east-1:123456789012:stateMachine:rebalance"
	odd      = "< ünï \U0001f600 "
	lambdas  = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300;Lineage=25:3c8f1a2b:0|ab:1"
	lambdas0 = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300;Lineage=25:3c8f1a2b:0%7Cab:1" // as the SDK sends it
)

func sqsAttributes(n int) map[string]sqstypes.MessageAttributeValue {
	all := map[string]sqstypes.MessageAttributeValue{}
	for i := range n {
		all[fmt.Sprint("a", i)] = sqstypes.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}
		if i%2 == 0 {
			all[fmt.Sprint("a", i)] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(odd)}
		}
	}
	return all
}

// calls are made in turn; each returns the output or the error.
var calls = []struct {
	name string
	make func(context.Context, aws.Config) (any, error)
	span string // name, IDs, size
	sent int    // messages that carry
}{
	{"send", func(ctx context.Context, c aws.Config) (any, error) {
		return sqs.NewFromConfig(c).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(queue), MessageBody: aws.String(odd), MessageAttributes: sqsAttributes(10), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d")})
	}, "send orders.fifo message-1 13", 1},
	{"batch", func(ctx context.Context, c aws.Config) (any, error) {
		var entries []sqstypes.SendMessageBatchRequestEntry
		for i := range 10 {
			entries = append(entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("e", i)), MessageBody: aws.String(strings.Repeat("x", i+1)), MessageAttributes: sqsAttributes(2)})
		}
		return sqs.NewFromConfig(c).SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(queue), Entries: entries})
	}, "send orders.fifo message-2-0,message-2-1,message-2-2,message-2-3,message-2-4,message-2-5,message-2-6,message-2-7,message-2-8,message-2-9 55", 1},
	{"publish", func(ctx context.Context, c aws.Config) (any, error) {
		return sns.NewFromConfig(c).Publish(ctx, &sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String(odd)})
	}, "publish alerts message-3 13", 1},
	{"sms", func(ctx context.Context, c aws.Config) (any, error) {
		return sns.NewFromConfig(c).Publish(ctx, &sns.PublishInput{PhoneNumber: aws.String("+4912345"), Message: aws.String("body")})
	}, "publish sms message-4 4", 1},
	{"publishes", func(ctx context.Context, c aws.Config) (any, error) {
		return sns.NewFromConfig(c).PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: aws.String(topic), PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{{Id: aws.String("a"), Message: aws.String("m")}, {Id: aws.String("b"), Message: aws.String("mm")}}})
	}, "publish alerts message-5-0,message-5-1 3", 1},
	{"sync", func(ctx context.Context, c aws.Config) (any, error) {
		return lambda.NewFromConfig(c).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("worker"), Payload: []byte(`{"a":1}`)})
	}, "invoke worker request-6 7", 0},
	{"async", func(ctx context.Context, c aws.Config) (any, error) {
		return lambda.NewFromConfig(c).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("arn:aws:lambda:us-east-1:123456789012:function:worker:live"), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(`{}`)})
	}, "invoke worker request-7 2", 0},
	{"start", func(ctx context.Context, c aws.Config) (any, error) {
		return sfn.NewFromConfig(c).StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(machine), Input: aws.String("{}")})
	}, "start rebalance arn:aws:states:us-east-1:123456789012:execution:m:e-8 2", 0},
	{"startsync", func(ctx context.Context, c aws.Config) (any, error) {
		return sfn.NewFromConfig(c).StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: aws.String(machine)})
	}, "start rebalance arn:aws:states:us-east-1:123456789012:execution:m:e-9 0", 0},
	{"success", func(ctx context.Context, c aws.Config) (any, error) {
		return sfn.NewFromConfig(c).SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String("token"), Output: aws.String("{}")})
	}, "complete task  2", 0},
	{"failure", func(ctx context.Context, c aws.Config) (any, error) {
		return sfn.NewFromConfig(c).SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: aws.String("token"), Cause: aws.String("why")})
	}, "fail task  3", 0},
	{"heartbeat", func(ctx context.Context, c aws.Config) (any, error) {
		return sfn.NewFromConfig(c).SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: aws.String("token")})
	}, "heartbeat task  0", 0},
	{"schedule", func(ctx context.Context, c aws.Config) (any, error) {
		return scheduler.NewFromConfig(c).CreateSchedule(ctx, &scheduler.CreateScheduleInput{
			Name: aws.String("open"), GroupName: aws.String("trading"), ScheduleExpression: aws.String("at(2026-11-30T09:35:00)"), ScheduleExpressionTimezone: aws.String("America/New_York"), ClientToken: aws.String("t"),
			FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeOff},
			Target:             &schedulertypes.Target{Arn: aws.String("arn:aws:lambda:us-east-1:123456789012:function:f"), RoleArn: aws.String("arn:aws:iam::123456789012:role/r"), Input: aws.String("{}")},
		})
	}, "schedule open arn:aws:scheduler:us-east-1:123456789012:schedule/default/open 2", 0},
	{"record", func(ctx context.Context, c aws.Config) (any, error) {
		return kinesis.NewFromConfig(c).PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("ticks"), Data: []byte{0, 255}, PartitionKey: aws.String("p")})
	}, "send ticks shardId-0:14 2", 0},
	{"records", func(ctx context.Context, c aws.Config) (any, error) {
		return kinesis.NewFromConfig(c).PutRecords(ctx, &kinesis.PutRecordsInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:123456789012:stream/ticks"), Records: []kinesistypes.PutRecordsRequestEntry{{Data: []byte("x"), PartitionKey: aws.String("p")}, {Data: []byte("xx"), PartitionKey: aws.String("p")}}})
	}, "send ticks shardId-0:150,shardId-0:151 3", 0},
	{"other", func(ctx context.Context, c aws.Config) (any, error) {
		return sqs.NewFromConfig(c).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("orders")})
	}, "", 0},
	{"invalid", func(ctx context.Context, c aws.Config) (any, error) {
		return sqs.NewFromConfig(c).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(queue)})
	}, "", 0},
}

// scene is a client's surroundings.
type scene struct {
	outside *stands.Outside
	spans   []otlp.Span
	metrics *metrics.Set
}

func newScene(t testing.TB, bus stands.Bus) *scene {
	s := &scene{outside: stands.NewOutside(t), metrics: metrics.New(metrics.Config{Service: "f"})}
	s.outside.Begin(bus)
	return s
}

// config is that of clients which reach the stand-in whatever host they call.
func (s *scene) config(t testing.TB, more ...hops.Option) aws.Config {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(s.outside.API, "http://"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	endpoint := "http://aws.example.test"
	c := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 3,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDOURS", "secret", "session")}
	if more != nil {
		provider := &otlp.Provider{Take: func(_ otlp.Resource, span otlp.Span) { s.spans = append(s.spans, span) }}
		c.APIOptions = append(c.APIOptions, hops.Middleware(append([]hops.Option{hops.WithTracing(tracing.Config{TracerProvider: provider}), hops.WithMetrics(s.metrics)}, more...)...))
	}
	return c
}

// sent are the requests that arrived, without what differs between any two runs.
func (s *scene) sent(t testing.TB) (requests []string, carried []string) {
	for _, r := range s.outside.Received() {
		if r.Signed != "yes" {
			t.Errorf("its signature: %+v", r)
		}
		for _, name := range []string{"Authorization", "X-Amz-Date", "Amz-Sdk-Invocation-Id"} {
			r.Header.Set(name, "…")
		}
		carried = append(carried, r.Header.Get("X-Amzn-Trace-Id"))
		r.Header.Del("X-Amzn-Trace-Id")
		requests = append(requests, fmt.Sprint(r.Method, r.Host, r.URI, r.Header, inOrder(r.Body)))
	}
	return requests, carried
}

// inOrder is a body whose members have one order: the SDK writes those of a map
// in any.
func inOrder(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	ordered, _ := json.Marshal(v)
	return string(ordered)
}

func attribute(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return fmt.Sprint(a.Value.AsInterface())
		}
	}
	return ""
}

// TestCalls: calls go out byte for byte as without the middleware, but for the
// header under carry, and each has its span.
func TestCalls(t *testing.T) {
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
	t.Setenv("_X_AMZN_TRACE_ID", lambdas)
	handled := tracing.ContextWithDelivery(invoked(t.Context(), lambdas), &tracing.Delivery{Events: []tracing.Event{{ID: "e-1", Lineage: tracing.Lineage{CorrelationID: "w"}}}})
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x4b}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	for mode, options := range map[string][]hops.Option{"join": {}, "carry": {hops.WithCarrying()}} {
		t.Run(mode, func(t *testing.T) {
			bare, with := newScene(t, stands.Bus{}), newScene(t, stands.Bus{})
			plain, watched := bare.config(t), with.config(t, options...)
			watched.APIOptions = append(watched.APIOptions, hops.Middleware()) // a second time
			for _, call := range calls {
				ctx := trace.ContextWithSpanContext(handled, parent)
				a, errA := call.make(ctx, plain)
				before := len(with.spans)
				b, errB := call.make(ctx, watched)
				if shown(a, errA) != shown(b, errB) {
					t.Errorf("%s: without\n%s\nwith\n%s", call.name, shown(a, errA), shown(b, errB))
				}
				requests, headers := with.sent(t)
				if plainRequests, _ := bare.sent(t); !slices.Equal(plainRequests, requests) {
					t.Fatalf("%s: without\n%q\nwith\n%q", call.name, plainRequests[len(plainRequests)-1], requests[len(requests)-1])
				}
				if call.span == "" {
					if len(with.spans) != before {
						t.Errorf("%s: a span %+v", call.name, with.spans[before])
					}
					continue
				}
				if len(with.spans) != before+1 {
					t.Fatalf("%s: %d spans", call.name, len(with.spans)-before)
				}
				span := &with.spans[before]
				ids := strings.NewReplacer("[", "", "]", "", " ", ",").Replace(attribute(span, "throughline.message.ids"))
				size := attribute(span, "messaging.message.body.size") + attribute(span, "throughline.request.size")
				if size == "" {
					size = "0"
				}
				if got := fmt.Sprint(span.Name, " ", ids, " ", size); got != call.span || attribute(span, "throughline.correlation.id") != "w" || span.Parent.SpanID() != parent.SpanID() {
					t.Errorf("%s: %s, want %s, of %s", call.name, got, call.span, attribute(span, "throughline.correlation.id"))
				}
				want, id := lambdas0, span.Context.TraceID().String()
				if mode == "carry" && call.sent > 0 {
					want = "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + span.Context.SpanID().String() + ";Lineage=25:3c8f1a2b:0%7Cab:1"
				}
				if got := headers[len(headers)-1]; got != want || (attribute(span, "throughline.hop.carried") == "true") != (want != lambdas0) {
					t.Errorf("%s: header %q, want %q", call.name, got, want)
				}
			}
			if len(with.spans) == 0 || attribute(&with.spans[9], "throughline.task.token_hash") != "3c469e9d6c5875d37a43f353d4f88e61" || attribute(&with.spans[12], "throughline.schedule.at") != "2026-11-30T14:35:00Z" {
				t.Errorf("%+v", with.spans)
			}
		})
	}
}

// invoked is the context of an invocation with a trace header, as aws-lambda-go makes it.
func invoked(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, "x-amzn-trace-id", header) //nolint:staticcheck // its key
}

// shown is an output without what differs between any two runs.
func shown(output any, err error) string {
	v := reflect.ValueOf(output)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Sprint(err)
	}
	var text []string
	for i := range v.Elem().NumField() {
		if name := v.Elem().Type().Field(i).Name; name != "ResultMetadata" && name != "noSmithyDocumentSerde" {
			f := v.Elem().Field(i)
			if f.Kind() == reflect.Pointer && !f.IsNil() {
				f = f.Elem()
			}
			if f.Kind() != reflect.Slice {
				text = append(text, fmt.Sprintf("%s=%v", name, f))
			} else {
				text = append(text, fmt.Sprintf("%s=%d", name, f.Len()))
			}
		}
	}
	return strings.Join(text, " ") + fmt.Sprint(err)
}

// What fails is the caller's error as it was, and counts once.
func TestFailures(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	send := calls[0].make
	for name, tt := range map[string]struct {
		ctx      context.Context
		bus      stands.Bus
		call     func(context.Context, aws.Config) (any, error)
		kind     string
		failed   string
		requests int
	}{
		"refused":         {t.Context(), stands.Bus{Fail: 9, Status: 400, Code: "AccessDeniedException"}, send, "AccessDeniedException", `"MessagesFailed":1`, 1},
		"retried":         {t.Context(), stands.Bus{Fail: 2, Status: 500, Code: "InternalError"}, send, "", `"MessagesFailed":0`, 3},
		"retried in vain": {t.Context(), stands.Bus{Fail: 9, Status: 500, Code: "InternalError"}, send, "InternalError", `"MessagesFailed":1`, 3},
		"partly":          {t.Context(), stands.Bus{Partly: true}, calls[1].make, "InternalError", `"MessagesFailed":5`, 1},
		"partly recorded": {t.Context(), stands.Bus{Partly: true}, calls[14].make, "ProvisionedThroughputExceededException", `"MessagesFailed":1`, 1},
		"cancelled":       {cancelled, stands.Bus{}, send, "Canceled", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bare, with := newScene(t, tt.bus), newScene(t, tt.bus)
			_, errA := tt.call(tt.ctx, bare.config(t))
			_, errB := tt.call(tt.ctx, with.config(t, hops.WithCarrying()))
			if (errA == nil) != (errB == nil) || errA != nil && (errA.Error() != errB.Error() || errors.Is(errA, context.Canceled) != errors.Is(errB, context.Canceled)) {
				t.Errorf("without %v, with %v", errA, errB)
			}
			if len(with.spans) != 1 || attribute(&with.spans[0], "error.type") != tt.kind {
				t.Errorf("%+v", with.spans)
			}
			if requests, carried := with.sent(t); len(requests) != tt.requests || len(carried) > 0 && carried[0] != carried[len(carried)-1] {
				t.Errorf("%d requests with %q", len(requests), carried)
			}
			var out strings.Builder
			if err := with.metrics.Flush(&out, time.Now()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tt.failed) || tt.failed == "" && strings.Contains(out.String(), "MessagesFailed") {
				t.Errorf("want %s in %s", tt.failed, out.String())
			}
		})
	}
}

// broken is a tracer whose every method panics.
type broken struct{ trace.TracerProvider }

type brokenTracer struct{ trace.Tracer }

func (broken) Tracer(string, ...trace.TracerOption) trace.Tracer { return brokenTracer{} }

func (brokenTracer) Start(context.Context, string, ...trace.SpanStartOption) (context.Context, trace.Span) {
	panic("a tracer's fault")
}

// spanless is a tracer that gives no span.
type spanless struct{ trace.TracerProvider }

type spanlessTracer struct{ trace.Tracer }

func (spanless) Tracer(string, ...trace.TracerOption) trace.Tracer { return spanlessTracer{} }

func (spanlessTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, nil
}

func TestATracersFaultReachesNoCall(t *testing.T) {
	for name, provider := range map[string]trace.TracerProvider{"panics": broken{}, "no span": spanless{}} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stands.Bus{})
			c := s.config(t)
			c.APIOptions = append(c.APIOptions, hops.Middleware(hops.WithTracing(tracing.Config{TracerProvider: provider}), hops.WithCarrying()))
			if _, err := calls[0].make(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

// A foreign header, and one that X-Ray samples, stay as they are.
func TestHeadersThatAreLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct{ env, ctx string }{
		"sampled": {lambdas + ";Sampled=1", lambdas + ";Sampled=1"}, "none known": {lambdas, ""}, "another invocation's": {lambdas, strings.Replace(lambdas, "9a91", "9a92", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
			t.Setenv("_X_AMZN_TRACE_ID", tt.env)
			s := newScene(t, stands.Bus{})
			ctx := t.Context()
			if tt.ctx != "" {
				ctx = invoked(ctx, tt.ctx)
			}
			if _, err := calls[0].make(ctx, s.config(t, hops.WithCarrying())); err != nil {
				t.Error(err)
			}
			if _, headers := s.sent(t); headers[0] != strings.ReplaceAll(tt.env, "|", "%7C") {
				t.Errorf("sent %q", headers)
			}
		})
	}
}
