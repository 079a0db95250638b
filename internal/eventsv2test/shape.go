package eventsv2test

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/prelude"
)

func shapeID(name string) smithy.ShapeID {
	return smithy.ShapeID{Namespace: "com.amazonaws.eventbridgev2", Name: name}
}

// shape is a pointer to one of the package's types, which the protocol writes and reads.
type shape struct{ v any }

// schemaOf returns the schema of the type that v points to.
func schemaOf(v any) *smithy.Schema { return schemaFor(reflect.TypeOf(v).Elem()) }

func schemaFor(t reflect.Type) *smithy.Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaFor(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return prelude.Blob
		}
		list := smithy.NewSchema(shapeID(t.String()), smithy.ShapeTypeList, 1)
		list.AddMember("member", schemaFor(t.Elem()))
		return list
	case reflect.Map:
		m := smithy.NewSchema(shapeID(t.String()), smithy.ShapeTypeMap, 2)
		m.AddMember("key", prelude.String)
		m.AddMember("value", prelude.String)
		return m
	case reflect.Int32:
		return prelude.Integer
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return prelude.Timestamp
		}
		s := smithy.NewSchema(shapeID(t.Name()), smithy.ShapeTypeStructure, t.NumField())
		for _, name := range members(t) {
			f, _ := t.FieldByName(name)
			s.AddMember(name, schemaFor(f.Type))
		}
		return s
	default:
		return prelude.String
	}
}

// members returns the names of a structure's members, in the order in which AWS's
// clients write them.
func members(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Name != "ResultMetadata" {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Serialize implements smithy.Serializable.
func (s shape) Serialize(out smithy.ShapeSerializer) {
	v := reflect.ValueOf(s.v).Elem()
	write(out, schemaFor(v.Type()), v)
}

func write(out smithy.ShapeSerializer, schema *smithy.Schema, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		write(out, schema, v.Elem())
	case reflect.String:
		out.WriteString(schema, v.String())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			out.WriteBlob(schema, v.Bytes())
			return
		}
		out.WriteList(schema)
		for i := range v.Len() {
			write(out, schema.ListMember(), v.Index(i))
		}
		out.CloseList()
	case reflect.Map:
		out.WriteMap(schema)
		m, _ := v.Interface().(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			out.WriteKey(schema.MapKey(), key)
			out.WriteString(schema.MapValue(), m[key])
		}
		out.CloseMap()
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			out.WriteTime(schema, at)
			return
		}
		out.WriteStruct(schema)
		for _, name := range members(v.Type()) {
			if f := v.FieldByName(name); !f.IsZero() {
				write(out, schema.Member(name), f)
			}
		}
		out.CloseStruct()
	}
}

// Deserialize implements smithy.Deserializable.
func (s shape) Deserialize(d smithy.ShapeDeserializer) error {
	v := reflect.ValueOf(s.v).Elem()
	return read(d, schemaFor(v.Type()), v)
}

func read(d smithy.ShapeDeserializer, schema *smithy.Schema, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return read(d, schema, v.Elem())
	case reflect.Int32:
		var n int32
		err := d.ReadInt32(schema, &n)
		v.SetInt(int64(n))
		return err
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return smithy.ReadList(d, schema, func() error {
			item := reflect.New(v.Type().Elem()).Elem()
			err := read(d, schema.ListMember(), item)
			v.Set(reflect.Append(v, item))
			return err
		})
	case reflect.Struct:
		return smithy.ReadStruct(d, schema, func(member *smithy.Schema) error {
			if f := v.FieldByName(member.MemberName()); f.IsValid() {
				return read(d, member, f)
			}
			return nil
		})
	default:
		var text string
		err := d.ReadString(schema, &text)
		v.SetString(text)
		return err
	}
}
