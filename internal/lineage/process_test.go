package lineage

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

var invocation = Invocation{
	FunctionName: "trade-aggregator", RequestID: "request-1", ARN: "arn:aws:lambda:us-east-1:111122223333:function:trade-aggregator:live",
	ColdStart: true, InitKind: "on-demand", Start: time.Date(2026, 11, 23, 10, 0, 1, 500e6, time.UTC),
}

// process runs the process span of payload.
func process(t *testing.T, r *recorder, cfg Config, payload string, inv Invocation) tracetest.SpanStub {
	t.Helper()
	r.spans.Reset()
	cfg.TracerProvider = r.provider
	d := NewReader(cfg).Read([]byte(payload))
	ctx, span := StartProcess(t.Context(), cfg, d, inv)
	if got := DeliveryFromContext(ctx); got == nil || len(got.Events) != len(d.Events) {
		t.Fatalf("the context handles %v", got)
	}
	if !trace.SpanContextFromContext(ctx).Equal(span.SpanContext()) || SamplingDecisionFromContext(ctx, trace.TraceID{}) != (SamplingDecision{}) {
		t.Fatal("the span is not current, or the decision is still there")
	}
	FinishProcess(span, nil)
	return r.only(t)
}

func TestProcessOne(t *testing.T) {
	span := process(t, newRecorder(t), Config{}, replayedTrade, invocation)
	if span.Name != "process TradeExecuted" || span.SpanKind != trace.SpanKindConsumer || span.Parent.IsValid() || span.Status.Code != codes.Unset || !span.StartTime.Equal(invocation.Start) {
		t.Errorf("%s %v %v under %v", span.Name, span.SpanKind, span.Status, span.Parent)
	}
	wantAttributes(t, span, map[string]any{
		"messaging.system": "aws.eventbridge", "messaging.operation.name": "process", "messaging.operation.type": "process", "messaging.destination.name": nil,
		"messaging.message.id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "messaging.message.conversation_id": "workflow-1", "messaging.batch.message_count": nil,
		"faas.trigger": "pubsub", "faas.invocation_id": "request-1", "faas.coldstart": true, "throughline.init.kind": "on-demand",
		"cloud.resource_id":      "arn:aws:lambda:us-east-1:111122223333:function:trade-aggregator",
		"aws.lambda.invoked_arn": "arn:aws:lambda:us-east-1:111122223333:function:trade-aggregator:live", "cloud.account.id": "111122223333",
		AttrEventID: "trade-1", AttrEventType: "TradeExecuted", AttrCorrelationID: "workflow-1", AttrCausationID: "plan-1", AttrParentEventID: "signal-1",
		AttrHops: int64(3), AttrLag: int64(1500), AttrLagFrom: LagFromEvent, AttrReplayName: "after-the-outage", AttrLinksDropped: nil, AttrInvokeParent: nil,
		AttrXRayAnnotations: []string{AttrCorrelationID, AttrEventID, AttrEventType},
	})
	wantLinks(t, span, LinkCausation, linkTo(mustParse(t, sampledContext), "trade-1"))
	wantLinks(t, span, LinkCorrelation, linkTo(mustParse(t, unsampledContext), "workflow-1"))
	wantLinks(t, span, LinkTrace)
}

func TestProcessNames(t *testing.T) {
	r := newRecorder(t)
	for _, c := range []struct {
		name, payload, want string
		kind                trace.SpanKind
		attributes          map[string]any
	}{
		{"BatchOfOneType", records(sqsRecord(envelopeOfTrade), sqsRecord(replayedTrade)), "process TradeExecuted", trace.SpanKindConsumer, map[string]any{
			"messaging.batch.message_count": int64(2), "messaging.destination.name": "trades-dlq", AttrEventType: "TradeExecuted", AttrCorrelationID: "workflow-1", AttrEventID: nil, "messaging.message.id": nil}},
		{"BatchOfSeveral", records(sqsRecord(envelopeOfTrade), sqsRecord(bareEnvelope)), "process trades-dlq", trace.SpanKindConsumer, map[string]any{
			AttrEventType: nil, AttrCorrelationID: nil, "messaging.system": "aws.eventbridge"}},
		{"DomainMessages", records(sqsRecord(`{"correlation_id":"w"}`)), "process trades-dlq", trace.SpanKindConsumer, map[string]any{
			"messaging.system": "aws_sqs", "messaging.message.id": "059f36b4-87a3-44ab-83d2-661975830a7d"}},
		{"DomainTopic", records(snsRecord(`{"correlation_id":"w"}`)), "process trades", trace.SpanKindConsumer, map[string]any{"messaging.system": "aws.sns"}},
		{"Schedule", scheduledRule, "process Scheduled Event", trace.SpanKindConsumer, map[string]any{"faas.trigger": "timer", "faas.time": "2015-10-08T16:53:06Z"}},
		{"Direct", workerInput, "process", trace.SpanKindConsumer, map[string]any{"faas.trigger": "other", AttrEventID: "request-1", AttrCorrelationID: "workflow-1"}},
		{"NoEvent", gatewayRequest, "trade-aggregator", trace.SpanKindServer, map[string]any{"faas.trigger": "other", "messaging.system": nil, AttrXRayAnnotations: nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			span := process(t, r, Config{}, c.payload, invocation)
			if span.Name != c.want || span.SpanKind != c.kind {
				t.Errorf("%s %v", span.Name, span.SpanKind)
			}
			for key, value := range c.attributes {
				if key == AttrXRayAnnotations && value == nil {
					if got := attributesOf(span.Attributes)[key]; got != nil {
						t.Errorf("%s is %v", key, got)
					}
					continue
				}
				wantAttributes(t, span, map[string]any{key: value})
			}
		})
	}
}

func TestProcessParent(t *testing.T) {
	const (
		lambda   = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled="
		segment  = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
		producer = sampledContext
	)
	invoke := Mint(trace.SpanContext{})
	root := sdk.NeverSample()
	for _, c := range []struct {
		name, payload string
		cfg           Config
		header        string
		invoke        trace.SpanContext
		base          sdk.Sampler
		parent        string // empty for a root
		sampled       bool
		traceLink     bool
		invokeParent  string
	}{
		{"Root", envelopeOfTrade, Config{}, lambda + "0", trace.SpanContext{}, root, "", true, false, ""},
		{"RootUnsampledWorkflow", strings.ReplaceAll(envelopeOfTrade, sampledContext, unsampledContext), Config{}, lambda + "1", trace.SpanContext{}, sdk.AlwaysSample(), "", false, false, ""},
		{"Unstamped", bareEnvelope, Config{}, lambda + "0", trace.SpanContext{}, sdk.AlwaysSample(), "", true, false, ""},
		{"UnstampedInXRay", bareEnvelope, Config{XRay: true}, strings.TrimSuffix(lambda, "Sampled="), trace.SpanContext{}, sdk.AlwaysSample(), "", true, true, ""},
		{"OwnSampling", envelopeOfTrade, Config{OwnSampling: true}, "", trace.SpanContext{}, root, "", false, false, ""},
		{"OwnSamplingOfAnUnsampledWorkflow", strings.ReplaceAll(envelopeOfTrade, sampledContext, unsampledContext), Config{OwnSampling: true}, "", trace.SpanContext{}, sdk.AlwaysSample(), "", true, false, ""},
		{"UnstampedAsks", bareEnvelope, Config{}, lambda + "1", trace.SpanContext{}, root, "", false, false, ""},
		{"UnstampedConfigSample", bareEnvelope, Config{Sample: func(trace.TraceID) bool { return true }}, "", trace.SpanContext{}, root, "", true, false, ""},
		{"XRay", envelopeOfTrade, Config{XRay: true}, lambda + "1", trace.SpanContext{}, root, segment, true, false, ""},
		{"XRayUnsampledStamped", envelopeOfTrade, Config{XRay: true}, lambda + "0", trace.SpanContext{}, root, "", true, false, ""},
		{"XRayUnsampledUnstamped", bareEnvelope, Config{XRay: true}, lambda + "0", trace.SpanContext{}, sdk.AlwaysSample(), "", false, false, ""},
		{"XRayRootOnly", envelopeOfTrade, Config{XRay: true}, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", trace.SpanContext{}, root, "", true, false, ""},
		{"ParentMode", envelopeOfTrade, Config{ParentMode: true}, lambda + "1", trace.SpanContext{}, root, producer, true, false, ""},
		{"ParentModeBatch", records(sqsRecord(envelopeOfTrade), sqsRecord(bareEnvelope)), Config{ParentMode: true}, "", trace.SpanContext{}, root, "", true, false, ""},
		{"Invoke", envelopeOfTrade, Config{}, lambda + "0", invoke, root, FormatTraceparent(invoke), true, false, ""},
		{"InvokeUnstampedAsksAsRoot", bareEnvelope, Config{}, "", invoke, sdk.ParentBased(sdk.AlwaysSample()), FormatTraceparent(invoke), true, false, ""},
		{"InvokeInXRay", envelopeOfTrade, Config{XRay: true}, lambda + "1", invoke, root, FormatTraceparent(invoke), true, false, segment},
		{"BatchAnySampled", records(sqsRecord(strings.ReplaceAll(envelopeOfTrade, sampledContext, unsampledContext)), sqsRecord(envelopeOfTrade)), Config{}, "", trace.SpanContext{}, root, "", true, false, ""},
		{"BatchNoneSampled", records(sqsRecord(strings.ReplaceAll(envelopeOfTrade, sampledContext, unsampledContext)), sqsRecord(strings.ReplaceAll(envelopeOfTrade, sampledContext, unsampledContext))), Config{}, "", trace.SpanContext{}, sdk.AlwaysSample(), "", false, false, ""},
		{"HeaderOfTheQueueDoesNotDecide", records(sqsRecord(detailOfTrade, `"AWSTraceHeader":"`+lambda+`0"`)), Config{}, "", trace.SpanContext{}, sdk.AlwaysSample(), "", true, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newSampledRecorder(t, c.base)
			c.cfg.TracerProvider = r.provider
			d := NewReader(c.cfg).Read([]byte(c.payload))
			_, span := StartProcess(t.Context(), c.cfg, d, Invocation{RequestID: "r", TraceHeader: c.header, Invoke: c.invoke})
			if span.SpanContext().IsSampled() != c.sampled {
				t.Errorf("sampled %v", span.SpanContext().IsSampled())
			}
			span.End()
			if !c.sampled {
				return
			}
			stub := r.only(t)
			parent, _ := ParseTraceparent(c.parent)
			if !sameSpan(stub.Parent, parent) {
				t.Errorf("parent %v, want %v", stub.Parent, parent)
			}
			if c.traceLink {
				wantLinks(t, stub, LinkTrace, linkTo(mustParse(t, segment), ""))
			} else {
				wantLinks(t, stub, LinkTrace)
			}
			got, _ := attributesOf(stub.Attributes)[AttrInvokeParent].(string)
			if got != c.invokeParent {
				t.Errorf("invoke's parent %q, want %q", got, c.invokeParent)
			}
		})
	}
}

func TestProcessTakesTheInvocationsHeaderFromTheContext(t *testing.T) {
	r := newRecorder(t)
	cfg := Config{TracerProvider: r.provider}
	ctx := contextOfLambda(t.Context(), xraySample)
	_, span := StartProcess(ctx, cfg, NewReader(cfg).Read([]byte(bareEnvelope)), Invocation{})
	span.End()
	stub := r.only(t)
	wantLinks(t, stub, LinkTrace) // spans do not go to X-Ray: it would lead nowhere
	wantAttributes(t, stub, map[string]any{AttrXRayTrace: "1-4bf92f35-77b34da6a3ce929d0e0e4736"})
}

func TestMintInvoke(t *testing.T) {
	d := *handledEvent()
	if a, b := MintInvoke(Config{}, d, ""), MintInvoke(Config{}, d, ""); !a.IsValid() || a.TraceID() == b.TraceID() {
		t.Errorf("%v, %v", a, b)
	}
	if sc := MintInvoke(Config{ParentMode: true}, d, ""); sc.TraceID() != d.Events[0].Lineage.Publisher.TraceID() {
		t.Errorf("%v", sc)
	}
	if sc := MintInvoke(Config{XRay: true}, d, xraySample); sc.TraceID() != mustParse(t, sampledContext).TraceID() {
		t.Errorf("%v", sc)
	}
}

func TestProcessWithoutProvider(t *testing.T) {
	ctx, span := StartProcess(t.Context(), Config{}, *handledEvent(), Invocation{Invoke: mustParse(t, sampledContext)})
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() || sc.IsSampled() || sc.TraceID() != mustParse(t, sampledContext).TraceID() || span.IsRecording() {
		t.Errorf("%v", sc)
	}
	RecordRepeat(ctx, Repeat{Kind: "retry"})
	FinishProcess(span, errors.New("x"))
}

func TestFinishProcess(t *testing.T) {
	r := newRecorder(t)
	_, span := StartProcess(t.Context(), Config{TracerProvider: r.provider}, *handledEvent(), invocation)
	failure := fmt.Errorf("place order: %w", &url.Error{Op: "Get", URL: "https://api.alpaca.markets/v2/orders?token=hush", Err: errors.New("EOF")})
	FinishProcess(span, failure)
	stub := r.only(t)
	const want = `place order: Get "https://api.alpaca.markets/v2/orders": EOF`
	if stub.Status.Code != codes.Error || stub.Status.Description != want || len(stub.Events) != 1 || stub.Events[0].Name != "exception" {
		t.Errorf("%v, events %v", stub.Status, stub.Events)
	}
	wantAttributes(t, stub, map[string]any{"error.type": "*errors.errorString"})
	if got := attributesOf(stub.Events[0].Attributes)["exception.message"]; got != want {
		t.Errorf("exception %v", got)
	}
}

func TestRecordRepeat(t *testing.T) {
	r := newRecorder(t)
	ctx, span := StartProcess(t.Context(), Config{TracerProvider: r.provider}, *handledEvent(), invocation)
	RecordRepeat(ctx, Repeat{})
	RecordRepeat(ctx, Repeat{Kind: "replay", Count: 1, EventID: "trade-1", FirstAt: invocation.Start, FirstRequestID: "request-0", FirstTraceparent: unsampledContext})
	span.End()
	stub := r.only(t)
	wantAttributes(t, stub, map[string]any{AttrRepeatKind: "replay", AttrRepeatCount: int64(1), AttrRepeatFirstRequest: "request-0", AttrRepeatFirstTime: "2026-11-23T10:00:01.5Z"})
	wantLinks(t, stub, LinkRepeat, linkTo(mustParse(t, unsampledContext), "trade-1"))
}

// A batch keeps a causation link a record; beyond the limit the rest is counted.
func TestProcessLinksOfBatches(t *testing.T) {
	for _, c := range []struct{ records, causation, correlation, dropped int }{
		{1, 1, 1, 0}, {200, 200, 20, 0}, {990, 990, 10, 10}, {1000, 1000, 0, 20}, {1500, 1000, 0, 520},
	} {
		events := make([]Event, c.records)
		origins := make([]trace.SpanContext, min(20, c.records))
		for i := range origins {
			origins[i] = Mint(trace.SpanContext{})
		}
		for i := range events {
			events[i] = Event{ID: fmt.Sprint(i), Lineage: Lineage{Publisher: Mint(trace.SpanContext{}), Origin: origins[i%len(origins)]}}
		}
		r := newRecorder(t)
		_, span := StartProcess(t.Context(), Config{TracerProvider: r.provider}, Delivery{Shape: ShapeSQS, Queue: "q", Events: events}, Invocation{})
		span.End()
		stub := r.only(t)
		causation := linksOf(stub.Links, LinkCausation)
		if len(causation) != c.causation || len(linksOf(stub.Links, LinkCorrelation)) != c.correlation || stub.DroppedLinks != 0 {
			t.Errorf("%d records: %d causation and %d correlation links, %d dropped by the SDK", c.records, len(causation), len(stub.Links)-len(causation), stub.DroppedLinks)
		}
		for i, link := range causation {
			if link != linkTo(events[i].Lineage.Publisher, events[i].ID) {
				t.Fatalf("link %d is %v", i, link)
			}
		}
		if dropped, _ := attributesOf(stub.Attributes)[AttrLinksDropped].(int64); int(dropped) != c.dropped {
			t.Errorf("%d records: %d dropped, want %d", c.records, dropped, c.dropped)
		}
	}
}
