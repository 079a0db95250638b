package newbus

import (
	"context"
	"fmt"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Entry is an event to publish. Source, DetailType and Detail are required.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
}

// Result is what became of an entry.
type Result struct {
	EventID string `json:"EventId"`
	Success string `json:"SuccessCode"` // PUBLISHED, DEDUPLICATED
	Code    string `json:"ErrorCode"`
	Message string `json:"ErrorMessage"`
}

// Put publishes one event. With byContent the bus is asked to deduplicate by content.
func (c *Client) Put(ctx context.Context, bus string, e Entry, byContent bool) (Result, error) {
	entry := cbor.Map{"Source": cbor.String(e.Source), "DetailType": cbor.String(e.DetailType), "Detail": cbor.String(e.Detail)}
	if len(e.Resources) > 0 {
		var list cbor.List
		for _, r := range e.Resources {
			list = append(list, cbor.String(r))
		}
		entry["Resources"] = list
	}
	in := cbor.Map{"EventBusArn": cbor.String(bus), "Entries": cbor.List{entry}}
	if byContent {
		in["DeduplicationConfiguration"] = cbor.Map{"DeduplicationType": cbor.String("CONTENT_BASED")}
	}
	var out struct{ Entries []Result }
	if err := c.callWith(ctx, "PutEvents", in, &out); err != nil {
		return Result{}, err
	}
	if len(out.Entries) != 1 {
		return Result{}, fmt.Errorf("EventBridgeV2 PutEvents: %d answers to one entry", len(out.Entries))
	}
	return out.Entries[0], nil
}
