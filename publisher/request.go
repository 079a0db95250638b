package publisher

import (
	"context"
	"errors"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/throughline/throughline/tracing"
)

func plainEntries(entries []types.PutEventsRequestEntry) []tracing.Entry {
	plain := make([]tracing.Entry, len(entries))
	for i := range entries {
		e := &entries[i]
		plain[i] = tracing.Entry{
			Source: aws.ToString(e.Source), DetailType: aws.ToString(e.DetailType), Detail: aws.ToString(e.Detail),
			Resources: e.Resources, TraceHeader: aws.ToString(e.TraceHeader), HasTime: e.Time != nil, Bus: aws.ToString(e.EventBusName),
		}
	}
	return plain
}

// withStamp is a copy of an entry as it is to be sent. What the stamp leaves
// alone stays as it is, absent where it was absent.
func withStamp(e *types.PutEventsRequestEntry, stamped *tracing.Entry) types.PutEventsRequestEntry {
	sent := *e
	sent.Resources = stamped.Resources
	if stamped.Detail != aws.ToString(e.Detail) {
		sent.Detail = aws.String(stamped.Detail)
	}
	if stamped.TraceHeader != aws.ToString(e.TraceHeader) {
		sent.TraceHeader = aws.String(stamped.TraceHeader)
	}
	return sent
}

// announce tells the extension's endpoint, on loopback, that requests are
// stamped and counted.
func announce(o *eventbridge.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], addAnnouncement)
}

const stampedHeader = "Throughline-Stamped"

// addAnnouncement adds the header where the request goes to loopback, after it
// is signed: the endpoint takes it off, and a signature over it would break.
func addAnnouncement(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("ThroughlineStamped", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok && loopback(r.URL.Hostname()) {
			r.Header.Set(stampedHeader, "1")
		}
		return next.HandleDeserialize(ctx, in)
	}), middleware.Before)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// codeOf is the code of an error, as AWS or the transport names it.
func codeOf(err error) string {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	case errors.Is(err, context.Canceled):
		return "Canceled"
	default:
		return "RequestFailed"
	}
}
