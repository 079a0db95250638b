package publisher

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"
)

// Middleware decorates clients that other code makes:
//
//	cfg.APIOptions = append(cfg.APIOptions, publisher.Middleware())
//
// PutEvents of an EventBridge client from cfg then behaves as
// [Publisher.PutEvents], and PutEvents and PutRawEvents of a client of the new
// custom buses (EventBridgeV2) behave as with [Decorate]. Other operations do not
// change. A Publisher over such a client stamps and counts once. The returned
// function is safe for concurrent use.
//
// A call to a new bus returns an error if options refuse all of its entries.
func Middleware(options ...Option) func(*middleware.Stack) error {
	c := newCore(classic)
	c.configure(options)
	return func(stack *middleware.Stack) error {
		if id := stack.ID(); id != "PutEvents" && id != "PutRawEvents" {
			return nil
		}
		// Last of its step, so that other middleware of the call, such as one that
		// creates a span, wraps this one.
		if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ThroughlinePublisher", c.initialize), middleware.After); err != nil {
			return err
		}
		return addAttempt(stack)
	}
}

func (c *core) initialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	input, ok := in.Parameters.(*eventbridge.PutEventsInput)
	switch {
	case ctx.Value(attemptKey{}) != nil:
		return next.HandleInitialize(ctx, in)
	case !ok && middleware.GetServiceID(ctx) == newBusService:
		return c.onNewBuses().initializeNewBus(ctx, in, next)
	case !ok:
		return next.HandleInitialize(ctx, in)
	}
	output, err := c.putEvents(ctx, input, func(ctx context.Context, input *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
		in.Parameters = input
		out, metadata, err = next.HandleInitialize(ctx, in)
		shared, _ := out.Result.(*eventbridge.PutEventsOutput)
		if shared == nil {
			return nil, err
		}
		// A stack has one output, into which the next response is decoded.
		output := *shared
		*shared = eventbridge.PutEventsOutput{}
		return &output, err
	})
	if output != nil {
		out.Result = output
	}
	return out, metadata, err
}

// onNewBuses returns a copy of c for the new custom buses.
func (c *core) onNewBuses() *core {
	n := *c
	n.limits = newBus
	return &n
}

func (c *core) initializeNewBus(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	output, err := c.putNewBus(ctx, in.Parameters, nil, func(ctx context.Context, input any) (any, error) {
		in.Parameters = input
		out, metadata, err = next.HandleInitialize(ctx, in)
		return taken(out.Result), err
	})
	if output != nil {
		out.Result = output
	}
	return out, metadata, err
}
