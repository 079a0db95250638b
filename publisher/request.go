package publisher

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/tracing"
)

// room is memory for a call's entries while it lasts: what the collector does
// for them would be most of what a call costs.
type room struct {
	entries []tracing.Entry
	out     []tracing.Outgoing
	at      []int
	results []Result
	got     []Result         // of one request
	told    []tracing.Result // of one request
}

var rooms = sync.Pool{New: func() any { return &room{} }}

// mostRoom is how many entries a room may have and be kept.
const mostRoom = 100

func newRoom() *room {
	r, _ := rooms.Get().(*room)
	return r
}

// done gives the room back, without what stood in it.
func (r *room) done() {
	if cap(r.entries) > mostRoom || cap(r.out) > mostRoom {
		return
	}
	clear(r.entries)
	clear(r.out)
	clear(r.results)
	clear(r.got)
	clear(r.told)
	*r = room{r.entries[:0], r.out[:0], r.at[:0], r.results[:0], r.got[:0], r.told[:0]}
	rooms.Put(r)
}

func appendPlain(plain []tracing.Entry, entries []types.PutEventsRequestEntry) []tracing.Entry {
	plain = slices.Grow(plain, len(entries))
	for i := range entries {
		e := &entries[i]
		plain = append(plain, tracing.Entry{
			Source: aws.ToString(e.Source), DetailType: aws.ToString(e.DetailType), Detail: aws.ToString(e.Detail),
			Resources: e.Resources, TraceHeader: aws.ToString(e.TraceHeader), HasTime: e.Time != nil, Bus: aws.ToString(e.EventBusName),
		})
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
