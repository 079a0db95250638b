package hops_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/throughline/throughline/hops"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
	"github.com/throughline/throughline/tracing/otlp"
)

func ExampleMiddleware() {
	var cfg aws.Config // from config.LoadDefaultConfig
	telemetry := export.Setup(cfg, func(string) string { return "" })
	cfg.APIOptions = append(cfg.APIOptions, hops.Middleware(hops.WithTelemetry(telemetry)))
	// sqs.NewFromConfig(cfg), lambda.NewFromConfig(cfg), …
	fmt.Println(len(cfg.APIOptions))
	// Output: 1
}

// Inputs and outputs of whatever shape harm no call.
func TestOddInputs(t *testing.T) {
	text := "x"
	for name, tt := range map[string]struct{ in, out any }{
		"nothing":      {nil, nil},
		"no struct":    {7, "out"},
		"a nil input":  {(*struct{ QueueUrl *string })(nil), (*struct{ MessageId *string })(nil)},
		"other fields": {&struct{ QueueUrl, MessageBody int }{1, 2}, &struct{ MessageId []int }{[]int{1}}},
		"nil fields":   {&struct{ QueueUrl, MessageBody *string }{}, &struct{ MessageId *string }{}},
		"a nil entry": {&struct {
			Entries []*struct{ MessageBody *string }
		}{make([]*struct{ MessageBody *string }, 2)}, &struct{ Failed []any }{[]any{nil, 1}}},
		"unexported": {&struct{ queueURL *string }{&text}, &struct{ Successful map[string]string }{map[string]string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			spans := 0
			provider := &otlp.Provider{Take: func(otlp.Resource, otlp.Span) { spans++ }}
			stack := middleware.NewStack("SendMessage", func() any { return nil })
			if err := stack.Initialize.Add(&awsmiddleware.RegisterServiceMetadata{ServiceID: "SQS", OperationName: "SendMessage"}, middleware.Before); err != nil {
				t.Fatal(err)
			}
			if err := hops.Middleware(hops.WithTracing(tracing.Config{TracerProvider: provider}), hops.WithCarrying())(stack); err != nil {
				t.Fatal(err)
			}
			answers := middleware.InitializeMiddlewareFunc("answers", func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (out middleware.InitializeOutput, _ middleware.Metadata, _ error) {
				out.Result = tt.out
				return out, middleware.Metadata{}, nil
			})
			if err := stack.Initialize.Add(answers, middleware.After); err != nil {
				t.Fatal(err)
			}
			handler := middleware.DecorateHandler(nil, stack)
			out, _, err := handler.Handle(t.Context(), tt.in)
			if err != nil || fmt.Sprint(out) != fmt.Sprint(tt.out) || spans != 1 {
				t.Errorf("%v %v, %d spans", out, err, spans)
			}
		})
	}
}

// Where hops are switched off, a stack stays as it was.
func TestOff(t *testing.T) {
	for mode, want := range map[string]bool{"off": false, "join": true, "carry": true} {
		telemetry := export.Setup(aws.Config{}, func(name string) string { return map[string]string{"THROUGHLINE_HOPS": mode}[name] })
		for operation, hop := range map[string]bool{"SendMessage": true, "PutObject": false} {
			stack := middleware.NewStack(operation, func() any { return nil })
			if err := hops.Middleware(hops.WithTelemetry(telemetry))(stack); err != nil {
				t.Fatal(err)
			}
			_, there := stack.Initialize.Get("ThroughlineHop")
			_, carries := stack.Build.Get("ThroughlineHop")
			if there != (want && hop) || carries != (mode == "carry" && hop) {
				t.Errorf("%s %s: %t %t", mode, operation, there, carries)
			}
		}
	}
}
