package detail

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encoder writes one detail.
type encoder struct {
	numbers bool // decimals as numbers
	out     []byte
	depth   int // of objects and arrays
	level   int // of calls
}

var (
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	decimalType   = reflect.TypeFor[Decimal]()
	errorType     = reflect.TypeFor[error]()
)

// maxLevel bounds pointers to pointers, which no depth of JSON bounds.
const maxLevel = 4 * maxDepth

func (e *encoder) value(v reflect.Value) *fault {
	if e.level++; e.level > maxLevel {
		return &fault{reason: tooDeep}
	}
	defer func() { e.level-- }()
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		e.out = append(e.out, "null"...)
		return nil
	}
	if v.Kind() == reflect.Interface {
		return e.value(v.Elem())
	}
	t := v.Type()
	if write := special(t); write != nil {
		return write(e, v)
	}
	if t.Kind() == reflect.Pointer && special(t.Elem()) != nil {
		return e.value(v.Elem())
	}
	if d, ok := as[Decimal](v, t, decimalType); ok {
		return e.decimal(d)
	}
	if inner, ok := nullDecimal(v, t); ok {
		return e.value(inner)
	}
	if m, ok := as[json.Marshaler](v, t, marshalerType); ok {
		return e.marshaler(m)
	}
	if err, ok := as[error](v, t, errorType); ok {
		return e.failure(err)
	}
	if m, ok := as[encoding.TextMarshaler](v, t, textType); ok {
		return e.textMarshaler(m)
	}
	return e.plain(v)
}

// as returns v, or its pointer if v is addressable, as an interface.
func as[I any](v reflect.Value, t, wanted reflect.Type) (I, bool) {
	if v.CanAddr() && t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(wanted) {
		v = v.Addr()
	} else if !t.Implements(wanted) {
		var none I
		return none, false
	}
	i, ok := v.Interface().(I)
	return i, ok
}

// plain writes a value of a type without its own encoding.
func (e *encoder) plain(v reflect.Value) *fault {
	switch v.Kind() {
	case reflect.Bool:
		e.out = strconv.AppendBool(e.out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = strconv.AppendInt(e.out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if v.Uint() > math.MaxInt64 {
			return &fault{reason: beyondInt64}
		}
		e.out = strconv.AppendUint(e.out, v.Uint(), 10)
	case reflect.Float32:
		return e.float(v.Float(), 32)
	case reflect.Float64:
		return e.float(v.Float(), 64)
	case reflect.String:
		return e.text(v.String())
	case reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Struct:
		return e.nested(v, (*encoder).structure)
	case reflect.Map:
		if v.IsNil() {
			e.out = append(e.out, "null"...)
			return nil
		}
		return e.nested(v, (*encoder).mapping)
	case reflect.Slice:
		if v.IsNil() {
			e.out = append(e.out, "null"...)
			return nil
		}
		if t := v.Type().Elem(); t.Kind() == reflect.Uint8 && !reflect.PointerTo(t).Implements(marshalerType) && !reflect.PointerTo(t).Implements(textType) {
			e.out = append(base64.StdEncoding.AppendEncode(append(e.out, '"'), v.Bytes()), '"')
			return nil
		}
		return e.nested(v, (*encoder).list)
	case reflect.Array:
		return e.nested(v, (*encoder).list)
	default:
		return &fault{reason: "a " + v.Type().String() + " has no form in JSON"}
	}
	return nil
}

func (e *encoder) nested(v reflect.Value, write func(*encoder, reflect.Value) *fault) *fault {
	if e.depth == maxDepth {
		return &fault{reason: tooDeep}
	}
	e.depth++
	f := write(e, v)
	e.depth--
	return f
}

func (e *encoder) structure(v reflect.Value) *fault {
	e.out = append(e.out, '{')
	begin := len(e.out)
	fields := fieldsOf(v.Type())
	for i := range fields {
		field := &fields[i]
		value, ok := reach(v, field.index)
		if !ok || field.omitEmpty && isEmpty(value) || field.omitZero && isZero(value) {
			continue
		}
		if f := e.member(begin, field.name); f != nil {
			return f
		}
		if f := e.field(value, field); f != nil {
			return f.in(member(field.name))
		}
	}
	e.out = append(e.out, '}')
	return nil
}

// field writes a field's value, in a string if its tag says so.
func (e *encoder) field(v reflect.Value, field *field) *fault {
	if !field.asString || v.Kind() == reflect.Pointer && v.IsNil() {
		return e.value(v)
	}
	start := len(e.out)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if k := v.Kind(); k >= reflect.Uint && k <= reflect.Uintptr {
		e.out = strconv.AppendUint(e.out, v.Uint(), 10) // in a string it may be as large as it is
	} else if f := e.value(v); f != nil {
		return f
	}
	inner := string(e.out[start:])
	if inner[0] == '"' && (v.Kind() != reflect.String || v.Type() == numberType) {
		return nil // it is one already
	}
	e.out = e.out[:start]
	return e.text(inner)
}

// member writes the name of an object's next member; begin is where the object
// began.
func (e *encoder) member(begin int, name string) *fault {
	if len(e.out) > begin {
		e.out = append(e.out, ',')
	}
	if f := e.text(name); f != nil {
		f.reason = "a member's name: " + f.reason
		return f
	}
	e.out = append(e.out, ':')
	return nil
}

func (e *encoder) mapping(v reflect.Value) *fault {
	type item struct {
		name  string
		value reflect.Value
	}
	items := make([]item, 0, v.Len())
	for walk := v.MapRange(); walk.Next(); {
		name, err := mapKey(walk.Key())
		if err != nil {
			return &fault{reason: err.Error()}
		}
		items = append(items, item{name, walk.Value()})
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	e.out = append(e.out, '{')
	begin := len(e.out)
	for _, i := range items {
		if f := e.member(begin, i.name); f != nil {
			return f
		}
		if f := e.value(i.value); f != nil {
			return f.in(member(i.name))
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func mapKey(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if m, ok := k.Interface().(encoding.TextMarshaler); ok {
		if k.Kind() == reflect.Pointer && k.IsNil() {
			return "", nil
		}
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10), nil
	case k.CanUint():
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", errors.New("a map whose keys are " + k.Type().String() + " has no form in JSON")
}

func (e *encoder) list(v reflect.Value) *fault {
	e.out = append(e.out, '[')
	for i := range v.Len() {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if f := e.value(v.Index(i)); f != nil {
			return f.in(element(i))
		}
	}
	e.out = append(e.out, ']')
	return nil
}

// failure writes an error as an object.
func (e *encoder) failure(err error) *fault {
	if e.depth == maxDepth {
		return &fault{reason: tooDeep}
	}
	e.out = append(e.out, `{"error_type":`...)
	if f := e.text(typeOf(err)); f != nil {
		return f.in(".error_type")
	}
	e.out = append(e.out, `,"error_message":`...)
	if f := e.text(err.Error()); f != nil {
		return f.in(".error_message")
	}
	e.out = append(e.out, '}')
	return nil
}

// typeOf is the code of an error, as AWS's errors have one, or else the Go
// type of the first error in its chain that is more than a wrapper.
func typeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) && coded.ErrorCode() != "" {
		return coded.ErrorCode()
	}
	for {
		name := fmt.Sprintf("%T", err)
		inner := errors.Unwrap(err)
		if name != "*fmt.wrapError" || inner == nil {
			return name
		}
		err = inner
	}
}

// marshaler writes the output of m after it has been validated.
func (e *encoder) marshaler(m json.Marshaler) *fault {
	data, err := m.MarshalJSON()
	if err != nil {
		return &fault{reason: err.Error()}
	}
	s := scanner{data: data, valid: utf8.Valid(data)}
	end, f := s.value(s.space(0), e.depth)
	if f != nil {
		return f
	}
	if s.space(end) != len(data) {
		return &fault{reason: "MarshalJSON returned more than one value"}
	}
	out := bytes.NewBuffer(e.out)
	if err := json.Compact(out, data); err != nil {
		return &fault{reason: err.Error()}
	}
	e.out = out.Bytes()
	return nil
}

func (e *encoder) textMarshaler(m encoding.TextMarshaler) *fault {
	text, err := m.MarshalText()
	if err != nil {
		return &fault{reason: err.Error()}
	}
	return e.text(string(text))
}
