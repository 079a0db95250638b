package publisher

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"
)

// Middleware is the decorator for clients that are made elsewhere:
//
//	cfg.APIOptions = append(cfg.APIOptions, publisher.Middleware())
//
// Every PutEvents of an EventBridge client from cfg is then what
// [Publisher.PutEvents] makes of it, and every other operation is left alone. A
// Publisher over such a client stamps and counts once. What it returns is safe
// for concurrent use.
func Middleware(options ...Option) func(*middleware.Stack) error {
	c := newCore(classic)
	c.configure(options)
	return func(stack *middleware.Stack) error {
		if stack.ID() != "PutEvents" {
			return nil
		}
		// Last of its step: what others do once a call, such as a span, is around ours.
		if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ThroughlinePublisher", c.initialize), middleware.After); err != nil {
			return err //nolint:wrapcheck // the SDK's own
		}
		return addAttempt(stack)
	}
}

func (c *core) initialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	input, ok := in.Parameters.(*eventbridge.PutEventsInput)
	if !ok || ctx.Value(attemptKey{}) != nil {
		return next.HandleInitialize(ctx, in)
	}
	output, err := c.putEvents(ctx, input, func(ctx context.Context, input *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
		in.Parameters = input
		out, metadata, err = next.HandleInitialize(ctx, in)
		shared, _ := out.Result.(*eventbridge.PutEventsOutput)
		if shared == nil {
			return nil, err //nolint:wrapcheck // the client's own
		}
		// A stack has one output, which the next request is read into.
		output := *shared
		*shared = eventbridge.PutEventsOutput{}
		return &output, err //nolint:wrapcheck // the client's own
	})
	if output != nil {
		out.Result = output
	}
	return out, metadata, err
}
