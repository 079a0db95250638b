// Package detail encodes Go values as the details of EventBridge events, and
// validates encoded details.
//
// [Encode] writes what encoding/json writes, except where JSON, EventBridge or
// a reader in another language would lose information. [Validate] reports what
// EventBridge would reject or change (API reference, PutEvents).
package detail

import (
	"math/big"
	"reflect"
)

// Option changes how Encode writes a detail.
type Option interface{ apply(*encoder) }

type optionFunc func(*encoder)

func (f optionFunc) apply(e *encoder) { f(e) }

// WithDecimalNumbers writes decimals as JSON numbers, digit for digit. By
// default they are JSON strings, so that no reader rounds them.
func WithDecimalNumbers() Option {
	return optionFunc(func(e *encoder) { e.numbers = true })
}

// Decimal is a decimal number of arbitrary precision: Coefficient × 10^Exponent.
// Encode writes the digits of String. The Decimal of
// github.com/shopspring/decimal implements it.
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
// Encode returns an [*Error] with the path of each value that JSON cannot
// represent exactly: NaN and infinities, integers beyond int64, nesting over
// 1000, text that is not UTF-8, types without a JSON form, and a v that is not
// an object. Encode is safe for concurrent use.
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
