package spanstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

// hopPlay plays invocations with the spans that the library and the extension make of
// them, through OTLP into a file and back.
type hopPlay struct {
	t     *testing.T
	lines bytes.Buffer
	at    time.Time
}

func (p *hopPlay) provider(function string) *otlp.Provider {
	return &otlp.Provider{
		Resource: func() otlp.Resource {
			return otlp.Resource{Attributes: []attribute.KeyValue{attribute.String("service.name", function)}}
		},
		Export: func(request []byte) {
			line, err := otlp.AppendJSON(nil, request)
			if err != nil {
				p.t.Error(err)
			}
			p.lines.Write(append(line, '\n'))
		},
	}
}

// invoke handles a payload, and makes the calls in it.
func (p *hopPlay) invoke(function, request, payload string, calls ...hop.Call) {
	provider := p.provider(function)
	cfg := lineage.Config{TracerProvider: provider}
	d := lineage.NewReader(cfg).Read([]byte(payload))
	p.at = p.at.Add(time.Second)
	ctx, span := lineage.StartProcess(context.Background(), cfg, d, lineage.Invocation{
		FunctionName: function, RequestID: request, ARN: "arn:aws:lambda:eu-west-1:111122223333:function:" + function, Start: p.at,
	})
	for _, c := range calls {
		c.Start, c.End = p.at.Add(time.Millisecond), p.at.Add(2*time.Millisecond)
		provider.Write(otlp.Span{
			Context: lineage.Mint(span.SpanContext()).WithTraceFlags(trace.FlagsSampled), Parent: span.SpanContext(), Name: c.SpanName(), Kind: c.Kind(), Start: c.Start, End: c.End,
			Attributes: lineage.WithCurrent(ctx, c.Attributes(nil)),
		})
	}
	lineage.FinishProcess(span, nil)
}

// What package hop writes of a call and package lineage of an invocation is joined: the
// two are made apart, and meet in a backend.
func TestHopsAsTheyAreWritten(t *testing.T) {
	const (
		queue     = "https://sqs.eu-west-1.amazonaws.com/111122223333/trades.fifo"
		topic     = "arn:aws:sns:eu-west-1:111122223333:alerts"
		execution = "arn:aws:states:eu-west-1:111122223333:execution:settle:e-1"
		schedule  = "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/once"
		function  = "arn:aws:lambda:eu-west-1:111122223333:function:"
	)
	p := &hopPlay{t: t, at: time.Now().Add(-time.Hour).Truncate(time.Second)}
	due := p.at.Add(9 * time.Second)
	record := func(id, body string) string {
		return fmt.Sprintf(`{"messageId":%q,"body":%q,"attributes":{"SentTimestamp":"%d"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:trades.fifo"}`, id, body, p.at.UnixMilli())
	}
	p.invoke("worker", "r-worker", `{"correlation_id":"w-1"}`,
		hop.Call{Service: hop.SQS, Operation: "SendMessageBatch", Target: queue, Batch: 3, IDs: []string{"m-1", "m-2"}, Failed: map[string]int{"InternalError": 1}},
		hop.Call{Service: hop.SNS, Operation: "Publish", Target: topic, IDs: []string{"n-1"}},
		hop.Call{Service: hop.Lambda, Operation: "Invoke", Target: "data", IDs: []string{"r-data"}, InvocationType: "RequestResponse"},
		hop.Call{Service: hop.States, Operation: "StartExecution", Target: "arn:aws:states:eu-west-1:111122223333:stateMachine:settle", IDs: []string{execution}},
		hop.Call{Service: hop.Scheduler, Operation: "CreateSchedule", Target: "default/once", IDs: []string{schedule}, ScheduleTarget: function + "later", ScheduleAt: due},
		hop.Call{Service: hop.Kinesis, Operation: "PutRecords", Target: "arn:aws:kinesis:eu-west-1:111122223333:stream/ticks", Batch: 1, IDs: []string{"shardId-000000000006:4959"}},
	)
	p.invoke("execution", "r-execution", `{"Records":[`+record("m-1", "one")+`,`+record("m-2", "two")+`]}`)
	p.invoke("alerting", "r-alerting", `{"Records":[`+record("m-9", `{"Type":"Notification","MessageId":"n-1","TopicArn":"`+topic+`","Message":"x"}`)+`]}`)
	p.invoke("data", "r-data", `{"symbol":"SPY","correlation_id":"sync-refresh-SPY"}`)
	p.invoke("step", "r-step", `{"Execution":{"Id":"`+execution+`"},"Task":{"Token":"token"}}`)
	p.invoke("answer", "r-answer", `{"approved":true}`, hop.Call{Service: hop.States, Operation: "SendTaskSuccess", TaskHash: lineage.TokenHash("token")})
	p.invoke("reader", "r-reader", `{"Records":[{"kinesis":{"data":"SGVsbG8="},"eventSource":"aws:kinesis","eventID":"shardId-000000000006:4959","eventSourceARN":"arn:aws:kinesis:eu-west-1:111122223333:stream/ticks"}]}`)
	p.invoke("notify", "r-notify", `{"version":"1.0","requestContext":{"requestId":"r-data","functionArn":"`+function+`data","condition":"RetriesExhausted"},"requestPayload":{"symbol":"SPY"}}`)
	p.at = due
	p.invoke("later", "r-later", `{"correlation_id":"w-1","strategy":"x"}`)
	spans, left, err := ReadSpans(&p.lines)
	if err != nil || left.String() != "" {
		t.Fatalf("%v, left out %s", err, left)
	}
	var got []string
	for _, c := range workflow.Causes(spans) {
		got = append(got, fmt.Sprintf("%s → %s %s %s", c.From.Service, c.To.Service, c.Via, c.How))
	}
	slices.Sort(got)
	want := []string{
		"data → notify destination joined", "step → answer states joined", "worker → alerting sns joined", "worker → data lambda joined", "worker → execution sqs joined",
		"worker → later scheduler inferred", "worker → reader kinesis joined", "worker → step states joined",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	var out strings.Builder
	w := workflow.Build(spans, "w-1")
	if err := workflow.WriteText(&out, w); err != nil || w.Counts.Handlings != 9 || w.Counts.Gaps != 1 { // nobody is known to have invoked the worker
		t.Errorf("%+v, %v:\n%s", w.Counts, err, out.String())
	}
	t.Log("\n" + out.String())
}
