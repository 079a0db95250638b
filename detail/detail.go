// Package detail encodes Go values as the details of EventBridge events, and
// validates details that are ready.
//
// [Encode] writes what encoding/json writes, except where JSON, EventBridge or
// a reader in another language would lose something. [Validate] reports what
// EventBridge would refuse or change (API reference, PutEvents).
package detail

import (
	"math/big"
	"reflect"
)

// Option changes how Encode writes a detail.
type Option interface{ apply(*encoder) }

type optionFunc func(*encoder)

func (f optionFunc) apply(e *encoder) { f(e) }

// WithDecimalNumbers writes decimals as JSON numbers, digit for digit. The
// default is strings, which no reader rounds.
func WithDecimalNumbers() Option {
	return optionFunc(func(e *encoder) { e.numbers = true })
}

// Decimal is a decimal number of arbitrary precision: Coefficient × 10^Exponent.
// Encode writes String's digits. The Decimal of github.com/shopspring/decimal
// implements it.
type Decimal interface {
	Coefficient() *big.Int
	Exponent() int32
	String() string
}

// Encode returns v as the detail of an event, a JSON object.
//
// v is written as encoding/json writes it, tags and Marshalers included, with
// these differences:
//   - a [Decimal], a big.Float and a json.Number are strings, or numbers with
//     [WithDecimalNumbers]. A struct of the two fields Decimal and Valid, such
//     as shopspring's NullDecimal, is its decimal or null;
//   - times are RFC 3339 in UTC;
//   - errors that do not marshal themselves are {"error_type","error_message"};
//   - <, > and & are not escaped.
//
// A value that a reader would not get as it was meant is refused with an
// [*Error] that names its place: NaN and infinities, integers beyond int64,
// nesting over 1000, text that is not UTF-8, types that have no JSON, and a v
// that is not an object. Encode is safe for concurrent use.
func Encode(v any, options ...Option) ([]byte, error) {
	var e encoder
	for _, o := range options {
		o.apply(&e)
	}
	f := e.value(reflect.ValueOf(v))
	if f == nil && e.out[0] != '{' {
		f = &fault{reason: "a detail must be a JSON object"}
		if _, raw := v.([]byte); raw {
			f.reason += ": wrap ready JSON in json.RawMessage"
		}
	}
	if f != nil {
		return nil, f.error()
	}
	return e.out, nil
}
