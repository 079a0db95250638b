package publisher

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/detail"
)

// Entry returns the entry that publishes v as the detail of an event, which
// [detail.Encode] writes. The caller sets its bus, time and resources.
//
// An empty source or detailType is an error. A v that Encode refuses is a
// [*detail.Error] that names the place.
func Entry(source, detailType string, v any, options ...detail.Option) (types.PutEventsRequestEntry, error) {
	switch {
	case source == "":
		return types.PutEventsRequestEntry{}, errors.New("entry: no source: name what publishes, such as orders.checkout")
	case detailType == "":
		return types.PutEventsRequestEntry{}, errors.New("entry: no detail type: name what happened, such as OrderPlaced")
	}
	encoded, err := detail.Encode(v, options...)
	if err != nil {
		return types.PutEventsRequestEntry{}, fmt.Errorf("entry of %s: %w", detailType, err)
	}
	return types.PutEventsRequestEntry{Source: aws.String(source), DetailType: aws.String(detailType), Detail: aws.String(string(encoded))}, nil
}
