package topology

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// TestTheOrderOfSpansIsNoMatter: a queue to which a function sends too may be heard of
// after what came through it from a rule.
func TestTheOrderOfSpansIsNoMatter(t *testing.T) {
	span := func(id, kind, service string, pairs ...string) workflow.Span {
		s := workflow.Span{ID: workflow.ID{Trace: "t", Span: id}, Kind: kind, Service: service, Attributes: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			s.Attributes[pairs[i]] = pairs[i+1]
		}
		return s
	}
	spans := []workflow.Span{
		span("1", "CONSUMER", "worker", "throughline.event.type", "Placed", "messaging.system", "aws_sqs", "messaging.destination.name", "work"),
		span("2", "CONSUMER", "audit", "throughline.event.type", "Placed", "messaging.system", "aws_sqs", "messaging.destination.name", "audit"),
		span("3", "PRODUCER", "shop", "throughline.hop", "sqs", "messaging.destination.name", "work"),
		span("4", "CONSUMER", "worker", "messaging.system", "aws_sqs", "messaging.destination.name", "work"),
		span("5", "PRODUCER", "shop", "throughline.event.type", "Placed"),
		span("6", "SERVER", "pricing", "faas.trigger", "other", "aws.lambda.invoked_arn", "arn:aws:lambda:us-east-1:1:function:price:live"),
		span("7", "CLIENT", "shop", "throughline.hop", "lambda", "faas.invoked_name", "price"),
		span("8", "SERVER", "clock", "faas.trigger", "other"), // nobody is known to invoke it
	}
	var want Document
	for n := range uint64(30) {
		var g Graph
		for range 2 { // exporters deliver at least once
			for i := range spans {
				_ = g.Add(&spans[i])
			}
		}
		got := g.Document(Differences{})
		if again := g.Document(Differences{}); !reflect.DeepEqual(again, got) {
			t.Fatalf("asked again: %+v, not %+v", again, got)
		}
		if n == 0 {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, not %+v", got, want)
		}
		rand.New(rand.NewPCG(n, 1)).Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	}
	if len(want.Channels) != 3 || want.Channels[2].Name != "price" || len(want.Channels[2].Receivers) != 1 || want.Channels[2].Receivers[0].Function != "pricing" || want.Channels[1].Kind != "queue" || want.Channels[1].Name != "work" || want.Channels[1].Receivers[0].Count != 2 {
		t.Errorf("%+v", want)
	}
}
