package publisher

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

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
