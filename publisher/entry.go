package publisher

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// EntryOption changes how Entry writes a detail.
type EntryOption interface{ apply(*encoder) }

type entryOption func(*encoder)

func (f entryOption) apply(e *encoder) { f(e) }

// DecimalsAsNumbers writes decimals as JSON numbers, digit for digit. Without it
// they are strings, which no reader rounds.
func DecimalsAsNumbers() EntryOption {
	return entryOption(func(e *encoder) { e.numbers = true })
}

// Entry returns the entry that publishes v as the detail of an event. Its bus,
// time and resources are for the caller to set.
//
// v is written as encoding/json writes it, tags and Marshalers included, but
// for what JSON, EventBridge or a reader in another language would lose:
//   - decimals (shopspring's Decimal and NullDecimal, big.Float, json.Number)
//     are strings, or numbers with DecimalsAsNumbers;
//   - times are RFC 3339 in UTC;
//   - errors, unless they marshal themselves, are {"error_type","error_message"};
//   - <, > and & stand as they are.
//
// What could not be read as it was meant is refused with a [*DetailError] that
// names the place: NaN and infinities, integers beyond int64, nesting over 1000,
// text that is not UTF-8, types that have no JSON. So are a v that is not an
// object, and an empty source or detailType.
func Entry(source, detailType string, v any, options ...EntryOption) (types.PutEventsRequestEntry, error) {
	switch {
	case source == "":
		return types.PutEventsRequestEntry{}, errors.New("entry: no source: name what publishes, such as orders.checkout")
	case detailType == "":
		return types.PutEventsRequestEntry{}, errors.New("entry: no detail type: name what happened, such as OrderPlaced")
	}
	var e encoder
	for _, o := range options {
		o.apply(&e)
	}
	if err := e.detail(v); err != nil {
		return types.PutEventsRequestEntry{}, fmt.Errorf("entry of %s: %w", detailType, err)
	}
	return types.PutEventsRequestEntry{Source: aws.String(source), DetailType: aws.String(detailType), Detail: aws.String(string(e.out))}, nil
}
