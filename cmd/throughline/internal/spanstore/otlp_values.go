package spanstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/jsonwalk"
)

// anyValue returns an AnyValue as a string, bool, int64, float64 or []any, or nil for
// another kind. Numbers can be strings, as OTLP/JSON writes 64-bit integers and NaN.
func anyValue(raw []byte) any {
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		switch string(m.Key) {
		case "stringValue", "bytesValue":
			return jsonwalk.Text(m.Value)
		case "boolValue":
			return string(bytes.Trim(m.Value, `"`)) == "true"
		case "intValue":
			if n, err := integer(jsonwalk.Scalar(m.Value)); err == nil {
				return n
			}
			return jsonwalk.Scalar(m.Value)
		case "doubleValue":
			if f, err := strconv.ParseFloat(jsonwalk.Scalar(m.Value), 64); err == nil {
				return f
			}
			return jsonwalk.Scalar(m.Value)
		case "arrayValue":
			list := []any{}
			for a := jsonwalk.MembersOf(m.Value, 0); a.Next(); {
				if string(a.Key) == "values" {
					for e := jsonwalk.ElementsOf(a.Value, 0); e.Next(); {
						list = append(list, anyValue(e.Value))
					}
				}
			}
			return list
		}
	}
	return nil
}

// integer reads a 64-bit integer. It accepts the form of floats, because some languages
// have no 64-bit integers for times in nanoseconds.
func integer(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, nil
	}
	f, floatErr := strconv.ParseFloat(text, 64)
	if floatErr != nil || f < -9.2e18 || f > 9.2e18 || f != f {
		return 0, fmt.Errorf("read integer: %w", err)
	}
	return int64(f), nil
}

// unixNano reads a time in nanoseconds. For anything else it returns a time that no span
// can have.
func unixNano(raw []byte) time.Time {
	n, err := integer(jsonwalk.Scalar(raw))
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// flexInt is a 64-bit integer for encoding/json, as a string or a number.
type flexInt int64

func (i *flexInt) UnmarshalJSON(data []byte) error {
	n, err := integer(strings.Trim(string(data), `"`))
	*i = flexInt(n)
	return err
}

// enum is an enum's number, or its name, which some exporters write.
type enum string

func (e *enum) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*e = enum(text)
		return nil
	}
	var n int
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("read enum: %w", err)
	}
	*e = enum(strconv.Itoa(n))
	return nil
}

var kinds = map[string]string{
	"1": "INTERNAL", "2": "SERVER", "3": "CLIENT", "4": "PRODUCER", "5": "CONSUMER",
	"INTERNAL": "INTERNAL", "SERVER": "SERVER", "CLIENT": "CLIENT", "PRODUCER": "PRODUCER", "CONSUMER": "CONSUMER",
}

// kind returns the span kind for a number or a name, or "" if it is unspecified.
func (e enum) kind() string {
	return kinds[strings.TrimPrefix(strings.ToUpper(string(e)), "SPAN_KIND_")]
}

// failed reports whether a status code is that of an error.
func (e enum) failed() bool {
	return e == "2" || strings.TrimPrefix(strings.ToUpper(string(e)), "STATUS_CODE_") == "ERROR"
}

func id(trace, span string) workflow.ID {
	return workflow.ID{Trace: strings.ToLower(trace), Span: strings.ToLower(span)}
}
