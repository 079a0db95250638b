package detail

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// special returns the function that writes a type with its own encoding; nil
// for other types.
func special(t reflect.Type) func(*encoder, reflect.Value) *fault {
	switch t {
	case timeType:
		return (*encoder).time
	case bigFloatType:
		return (*encoder).bigFloat
	case numberType:
		return (*encoder).number
	}
	return nil
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	bigFloatType = reflect.TypeFor[big.Float]()
	numberType   = reflect.TypeFor[json.Number]()
)

func (e *encoder) time(v reflect.Value) *fault {
	t, _ := v.Interface().(time.Time)
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return &fault{reason: "RFC 3339 has no form for the year " + strconv.Itoa(t.Year())}
	}
	e.out = append(t.AppendFormat(append(e.out, '"'), time.RFC3339Nano), '"')
	return nil
}

// maxDigits bounds what a decimal's exponent can ask for: no event is longer.
const maxDigits = 1 << 20

func (e *encoder) decimal(d Decimal) *fault {
	if d.Exponent() > maxDigits || d.Exponent() < -maxDigits {
		return &fault{reason: "a decimal with the exponent " + strconv.Itoa(int(d.Exponent())) + " is longer than any event"}
	}
	return e.digits(d.String())
}

// nullDecimal is the decimal of a struct{ Decimal D; Valid bool }, or no value
// if it is not valid. Such a struct is a nullable decimal of a database.
func nullDecimal(v reflect.Value, t reflect.Type) (reflect.Value, bool) {
	if t.Kind() == reflect.Pointer {
		v, t = v.Elem(), t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() != 2 || t.Field(0).Name != "Decimal" || !t.Field(0).Type.Implements(decimalType) ||
		t.Field(1).Name != "Valid" || t.Field(1).Type.Kind() != reflect.Bool {
		return v, false
	}
	if !v.Field(1).Bool() {
		return reflect.Value{}, true
	}
	return v.Field(0), true
}

func (e *encoder) bigFloat(v reflect.Value) *fault {
	f, _ := v.Interface().(big.Float)
	if f.IsInf() {
		return &fault{reason: notFinite}
	}
	return e.digits(f.Text('g', -1))
}

func (e *encoder) number(v reflect.Value) *fault {
	text := v.String()
	if text == "" {
		text = "0" // as encoding/json takes the zero value
	}
	s := scanner{data: []byte(text), valid: true}
	if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return &fault{reason: "not a number: " + strconv.Quote(text)}
	}
	end, f := s.number(0)
	if f != nil && f.reason == beyondInt64 && !e.numbers {
		end, f = len(text), nil
	}
	if f != nil {
		return f
	}
	if end != len(text) {
		return &fault{reason: "not a number: " + strconv.Quote(text)}
	}
	return e.digits(text)
}

// digits writes a decimal; text is in JSON's grammar.
func (e *encoder) digits(text string) *fault {
	if !e.numbers {
		e.out = append(append(append(e.out, '"'), text...), '"')
		return nil
	}
	s := scanner{data: []byte(text), valid: true}
	if _, f := s.number(0); f != nil {
		return f
	}
	e.out = append(e.out, text...)
	return nil
}

const notFinite = "JSON has no NaN and no infinity"

// float writes as encoding/json does, except that no integer beyond int64
// appears.
func (e *encoder) float(v float64, size int) *fault {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return &fault{reason: notFinite}
	}
	const (
		smallest = 1e-6
		largest  = 1 << 63
	)
	format, abs := byte('f'), math.Abs(v)
	if abs != 0 && (size == 64 && abs < smallest || size == 32 && float32(abs) < float32(smallest) || abs >= largest) {
		format = 'e'
	}
	e.out = strconv.AppendFloat(e.out, v, format, -1, size)
	if n := len(e.out); format == 'e' && n >= 4 && e.out[n-4] == 'e' && (e.out[n-3] == '-' || e.out[n-3] == '+') && e.out[n-2] == '0' {
		e.out[n-2] = e.out[n-1] // 1e-09 is 1e-9
		e.out = e.out[:n-1]
	}
	return nil
}

// text writes a string, as encoding/json does without EscapeHTML.
func (e *encoder) text(s string) *fault {
	if !utf8.ValidString(s) {
		return &fault{reason: notUTF8}
	}
	e.out = append(e.out, '"')
	start := 0
	for i, r := range s {
		if r >= ' ' && r != '"' && r != '\\' && r != '\u2028' && r != '\u2029' {
			continue
		}
		e.out = append(e.out, s[start:i]...)
		start = i + utf8.RuneLen(r)
		switch r {
		case '"', '\\':
			e.out = append(e.out, '\\', byte(r))
		case '\b', '\f', '\n', '\r', '\t':
			e.out = append(e.out, '\\', "btn_fr"[r-'\b'])
		default:
			const hex = "0123456789abcdef"
			e.out = append(e.out, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
	}
	e.out = append(append(e.out, s[start:]...), '"')
	return nil
}

// reach follows an index path; ok is false if an embedded pointer is nil.
func reach(v reflect.Value, index []int) (reflect.Value, bool) {
	for _, i := range index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func isZero(v reflect.Value) bool {
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return true
	}
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	if v.CanAddr() {
		if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
	}
	return v.IsZero()
}
