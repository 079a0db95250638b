package publisher

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/throughline/throughline/internal/lineage"
)

// The types of the fields of EventBridgeV2's inputs and outputs that are read and
// written. The fields are found by name, so the client's module is not needed.
var (
	textType     = reflect.TypeFor[*string]()
	dataType     = reflect.TypeFor[[]byte]()
	linesType    = reflect.TypeFor[[]string]()
	metadataType = reflect.TypeFor[map[string]string]()

	putEventsFields    = map[string]reflect.Type{"Source": textType, "DetailType": textType, "Detail": textType, "Resources": linesType}
	putRawEventsFields = map[string]reflect.Type{"Data": dataType, "Metadata": metadataType}
	resultFields       = map[string]reflect.Type{"EventId": textType, "ErrorCode": textType, "ErrorMessage": textType}
)

// fits returns an error if in and out are not the input and output of
// PutEvents or PutRawEvents.
func fits(in, out reflect.Type) error {
	if fitsRaw(in) {
		return fitsResults(out)
	}
	return fitsPutEvents(in, out)
}

func fitsPutEvents(in, out reflect.Type) error {
	return cmp.Or(fitsInput(in, putEventsFields), fitsResults(out))
}

func fitsRaw(in reflect.Type) bool { return fitsInput(in, putRawEventsFields) == nil }

func fitsInput(in reflect.Type, fields map[string]reflect.Type) error {
	if err := has(in, map[string]reflect.Type{"EventBusArn": textType}); err != nil {
		return err
	}
	return hasEntries(in, fields)
}

func fitsResults(out reflect.Type) error { return hasEntries(out, resultFields) }

// hasEntries returns an error if a structure has no list Entries of structures
// with fields.
func hasEntries(t reflect.Type, fields map[string]reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%v is no structure", t)
	}
	f, ok := t.FieldByName("Entries")
	if !ok || f.Type.Kind() != reflect.Slice {
		return fmt.Errorf("%v has no list Entries", t)
	}
	return has(f.Type.Elem(), fields)
}

// has returns an error that names the field that a structure lacks.
func has(t reflect.Type, fields map[string]reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%v is no structure", t)
	}
	for name, want := range fields {
		if f, ok := t.FieldByName(name); !ok || f.Type != want {
			return fmt.Errorf("%v has no %s of type %v", t, name, want)
		}
	}
	return nil
}

// newBusRequest is an input of PutEvents or PutRawEvents of EventBridgeV2.
type newBusRequest struct {
	input   reflect.Value // the structure
	entries reflect.Value // its Entries
	raw     bool
	bus     string
	content bool // the bus deduplicates by content
}

// requestOf returns the request that input points to. ok is false if it is not one.
func requestOf(input any) (r newBusRequest, ok bool) {
	v := reflect.ValueOf(input)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return r, false
	}
	v = v.Elem()
	raw := fitsRaw(v.Type())
	if !raw && fitsInput(v.Type(), putEventsFields) != nil {
		return r, false
	}
	r = newBusRequest{input: v, entries: v.FieldByName("Entries"), raw: raw, bus: textOf(v, "EventBusArn")}
	if dedupe := v.FieldByName("DeduplicationConfiguration"); dedupe.IsValid() {
		r.content = !dedupe.IsZero()
	}
	return r, true
}

// textOf returns a string field, "" if there is none.
func textOf(v reflect.Value, name string) string {
	if f := v.FieldByName(name); f.IsValid() && f.Type() == textType && !f.IsNil() {
		return f.Elem().String()
	}
	return ""
}

// systemOf returns a string field of an entry's SystemMetadata.
func systemOf(entry reflect.Value, name string) string {
	if m := entry.FieldByName("SystemMetadata"); m.IsValid() && m.Kind() == reflect.Pointer && !m.IsNil() && m.Elem().Kind() == reflect.Struct {
		return textOf(m.Elem(), name)
	}
	return ""
}

// entry returns an entry as plain values.
func (r *newBusRequest) entry(i int) lineage.Entry {
	v := r.entries.Index(i)
	e := lineage.Entry{Bus: r.bus, Operation: lineage.PutEvents, ContentBased: r.content, Group: systemOf(v, "EventGroupId")}
	if r.raw {
		e.Operation = lineage.PutRawEvents
		if data := v.FieldByName("Data").Bytes(); systemOf(v, "ContentType") == "application/json" && utf8.Valid(data) {
			e.Detail = string(data) // a copy: spans keep parts of it, and the caller owns data
		} else {
			e.DataSize = len(data)
		}
		metadata := metadataOf(v)
		for _, key := range slices.Sorted(maps.Keys(metadata)) {
			e.Metadata.Keys++
			e.Metadata.Bytes += len(key) + len(metadata[key])
			if line, ok := lineage.MetadataLine(key, metadata[key]); ok {
				e.Resources = append(e.Resources, line)
			}
		}
		return e
	}
	e.Source, e.DetailType, e.Detail = textOf(v, "Source"), textOf(v, "DetailType"), textOf(v, "Detail")
	e.Resources, _ = v.FieldByName("Resources").Interface().([]string)
	if at := v.FieldByName("Time"); at.IsValid() {
		e.HasTime = !at.IsZero()
	}
	return e
}

// of returns a copy of the input with the stamped entries of batch.
func (r *newBusRequest) of(batch []*lineage.Outgoing) any {
	input := reflect.New(r.input.Type())
	input.Elem().Set(r.input)
	entries := reflect.MakeSlice(r.entries.Type(), len(batch), len(batch))
	for i, o := range batch {
		entries.Index(i).Set(r.entries.Index(o.Place))
		r.stamp(entries.Index(i), &o.Entry)
	}
	input.Elem().FieldByName("Entries").Set(entries)
	return input.Interface()
}

// stamp writes the stamp into v, a copy of an entry. Other fields do not
// change.
func (r *newBusRequest) stamp(v reflect.Value, stamped *lineage.Entry) {
	if r.raw {
		r.stampRaw(v, stamped)
		return
	}
	v.FieldByName("Resources").Set(reflect.ValueOf(stamped.Resources))
	if stamped.Detail != textOf(v, "Detail") {
		detail := stamped.Detail
		v.FieldByName("Detail").Set(reflect.ValueOf(&detail))
	}
}

func (r *newBusRequest) stampRaw(v reflect.Value, stamped *lineage.Entry) {
	had := metadataOf(v)
	metadata := make(map[string]string, len(had)+len(stamped.Resources))
	said := map[string]bool{}
	for key, value := range had {
		line, ours := lineage.MetadataLine(key, value)
		if !ours {
			metadata[key] = value
			continue
		}
		name, _, _ := lineage.MetadataMember(line)
		for _, now := range stamped.Resources {
			if other, value, ok := lineage.MetadataMember(now); ok && other == name {
				metadata[key], said[name] = value, true
			}
		}
	}
	for _, line := range stamped.Resources {
		if key, value, ok := lineage.MetadataMember(line); ok && !said[key] {
			metadata[key] = value
		}
	}
	if !maps.Equal(had, metadata) {
		v.FieldByName("Metadata").Set(reflect.ValueOf(metadata))
	}
	if data := v.FieldByName("Data"); stamped.DataSize == 0 && stamped.Detail != string(data.Bytes()) {
		data.SetBytes([]byte(stamped.Detail))
	}
}

func metadataOf(entry reflect.Value) map[string]string {
	metadata, _ := entry.FieldByName("Metadata").Interface().(map[string]string)
	return metadata
}

// merged returns the output, of type t, of several requests or of entries that were
// not sent. last is the output of the last request, nil for none.
func merged(t reflect.Type, entries []lineage.Outgoing, last any) any {
	output := reflect.New(t)
	if last != nil {
		output.Elem().Set(reflect.ValueOf(last).Elem())
	}
	list := output.Elem().FieldByName("Entries")
	list.Set(reflect.MakeSlice(list.Type(), len(entries), len(entries)))
	failed := 0
	for i := range entries {
		r, e := &entries[i].Result, list.Index(i)
		setText(e, "EventId", r.EventID)
		setText(e, "SequenceNumber", r.Sequence)
		setText(e, "ErrorCode", r.ErrorCode)
		setText(e, "ErrorMessage", r.ErrorMessage)
		if code := e.FieldByName("SuccessCode"); code.IsValid() && code.Kind() == reflect.String {
			code.SetString(r.SuccessCode)
		}
		if r.ErrorCode != "" {
			failed++
		}
	}
	switch count := output.Elem().FieldByName("FailedEntryCount"); {
	case !count.IsValid():
	case count.CanInt():
		count.SetInt(int64(failed))
	case count.Kind() == reflect.Pointer && count.Type().Elem().Kind() == reflect.Int32:
		n := int32(failed)
		count.Set(reflect.ValueOf(&n))
	}
	return output.Interface()
}

// setText sets a text field, if it exists and text is not empty.
func setText(v reflect.Value, name, text string) {
	if f := v.FieldByName(name); text != "" && f.IsValid() && f.Type() == textType {
		f.Set(reflect.ValueOf(&text))
	}
}

// setSystem sets a field of an entry's SystemMetadata.
func setSystem(entry reflect.Value, name, text string) {
	m := entry.FieldByName("SystemMetadata")
	if text == "" || !m.IsValid() || m.Kind() != reflect.Pointer || m.Type().Elem().Kind() != reflect.Struct {
		return
	}
	if m.IsNil() {
		m.Set(reflect.New(m.Type().Elem()))
	}
	setText(m.Elem(), name, text)
}

// taken returns a copy of a stack's output and empties the output, because the
// next response is decoded into it.
func taken(output any) any {
	v := reflect.ValueOf(output)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil
	}
	c := reflect.New(v.Type().Elem())
	c.Elem().Set(v.Elem())
	v.Elem().SetZero()
	return c.Interface()
}

func appendNewBusResults(results []Result, output any) []Result {
	v := reflect.ValueOf(output)
	if v.Kind() != reflect.Pointer || v.IsNil() || fitsResults(v.Type().Elem()) != nil {
		return results
	}
	entries := v.Elem().FieldByName("Entries")
	for i := range entries.Len() {
		e := entries.Index(i)
		r := Result{EventID: textOf(e, "EventId"), ErrorCode: textOf(e, "ErrorCode"), ErrorMessage: textOf(e, "ErrorMessage"), Sequence: textOf(e, "SequenceNumber")}
		if code := e.FieldByName("SuccessCode"); code.IsValid() && code.Kind() == reflect.String {
			r.SuccessCode = code.String()
		}
		results = append(results, r)
	}
	return results
}
