// Package eventsv2test is a client of EventBridgeV2 for tests: for PutEvents and
// PutRawEvents it has the types of AWS's client for Go, and the same protocol,
// retryer and signer.
package eventsv2test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
)

// ServiceID is the service ID of AWS's client.
const ServiceID = "EventBridgeV2"

// Options of a [Client]. Region, BaseEndpoint and Credentials are required.
type Options struct {
	Region       string
	BaseEndpoint string
	Credentials  aws.CredentialsProvider
	HTTPClient   *http.Client                    // nil: http.DefaultClient
	Retryer      aws.Retryer                     // nil: the SDK's standard retryer
	APIOptions   []func(*middleware.Stack) error // as in the SDK's clients
}

// Client is a client of EventBridgeV2. It is safe for concurrent use. Make one with [New].
type Client struct {
	options  Options
	protocol *rpcv2.Protocol
}

// New returns a Client.
func New(o Options) *Client {
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if o.Retryer == nil {
		o.Retryer = retry.NewStandard()
	}
	service := smithy.NewServiceSchema(smithy.NewSchema(shapeID("AWSEventsV2"), smithy.ShapeTypeService, 0), "2025-05-15")
	return &Client{options: o, protocol: rpcv2.NewCBOR(service)}
}

// PutEvents publishes events.
func (c *Client) PutEvents(ctx context.Context, in *PutEventsInput, options ...func(*Options)) (*PutEventsOutput, error) {
	if in == nil {
		in = &PutEventsInput{}
	}
	result, metadata, err := c.invoke(ctx, "PutEvents", in, &PutEventsOutput{}, options)
	if err != nil {
		return nil, err
	}
	out, _ := result.(*PutEventsOutput)
	out.ResultMetadata = metadata
	return out, nil
}

// PutRawEvents publishes events of any content.
func (c *Client) PutRawEvents(ctx context.Context, in *PutRawEventsInput, options ...func(*Options)) (*PutRawEventsOutput, error) {
	if in == nil {
		in = &PutRawEventsInput{}
	}
	result, metadata, err := c.invoke(ctx, "PutRawEvents", in, &PutRawEventsOutput{}, options)
	if err != nil {
		return nil, err
	}
	out, _ := result.(*PutRawEventsOutput)
	out.ResultMetadata = metadata
	return out, nil
}

// invoke makes one call through a stack of middleware, as generated clients do.
func (c *Client) invoke(ctx context.Context, operation string, in, out any, functions []func(*Options)) (any, middleware.Metadata, error) {
	o := c.options
	for _, f := range functions {
		f(&o)
	}
	ctx = middleware.WithOperationName(middleware.WithServiceID(middleware.ClearStackValues(ctx), ServiceID), operation)
	stack := middleware.NewStack(operation, smithyhttp.NewStackRequest)
	schema := smithy.NewOperationSchema(smithy.NewSchema(shapeID(operation), smithy.ShapeTypeOperation, 0), schemaOf(in), schemaOf(out))
	err := errors.Join(
		stack.Serialize.Add(c.serializer(schema), middleware.After),
		stack.Build.Add(&awsmiddleware.ClientRequestID{}, middleware.After),
		stack.Build.Add(&smithyhttp.ComputeContentLength{}, middleware.After),
		stack.Finalize.Add(retry.NewAttemptMiddleware(o.Retryer, smithyhttp.RequestCloner), middleware.After),
		stack.Finalize.Add(sends(o), middleware.After),
		stack.Deserialize.Add(c.deserializer(schema, out), middleware.After),
	)
	for _, f := range o.APIOptions {
		err = errors.Join(err, f(stack))
	}
	if err != nil {
		return nil, middleware.Metadata{}, err
	}
	result, metadata, err := middleware.DecorateHandler(smithyhttp.NewClientHandlerWithOptions(o.HTTPClient), stack).Handle(ctx, in)
	if err != nil {
		err = &smithy.OperationError{ServiceID: ServiceID, OperationName: operation, Err: err}
	}
	return result, metadata, err
}

func (c *Client) serializer(schema *smithy.OperationSchema) middleware.SerializeMiddleware {
	return middleware.SerializeMiddlewareFunc("OperationSerializer", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		request, _ := in.Request.(*smithyhttp.Request)
		if err := c.protocol.SerializeRequest(ctx, schema, shape{in.Parameters}, request); err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, err
		}
		return next.HandleSerialize(ctx, in)
	})
}

func (c *Client) deserializer(schema *smithy.OperationSchema, into any) middleware.DeserializeMiddleware {
	return middleware.DeserializeMiddlewareFunc("OperationDeserializer", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if err != nil {
			return out, metadata, err
		}
		response, _ := out.RawResponse.(*smithyhttp.Response)
		defer response.Body.Close()
		err = c.protocol.DeserializeResponse(ctx, schema, &smithy.TypeRegistry{}, response, shape{into})
		out.Result = into // one for all requests of a stack, as in AWS's client
		return out, metadata, err
	})
}

// sends resolves the endpoint of an attempt and signs it.
func sends(o Options) middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc("Signing", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
		request, _ := in.Request.(*smithyhttp.Request)
		endpoint, err := url.Parse(o.BaseEndpoint)
		if err != nil {
			return out, metadata, err
		}
		request.URL.Scheme, request.URL.Host = endpoint.Scheme, endpoint.Host
		credentials, err := o.Credentials.Retrieve(ctx)
		if err != nil {
			return out, metadata, err
		}
		body, err := io.ReadAll(request.GetStream())
		if err == nil {
			err = request.RewindStream()
		}
		if err != nil {
			return out, metadata, fmt.Errorf("read the body to sign: %w", err)
		}
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(ctx, credentials, request.Request, hex.EncodeToString(sum[:]), "events", o.Region, time.Now()); err != nil {
			return out, metadata, err
		}
		return next.HandleFinalize(ctx, in)
	})
}
