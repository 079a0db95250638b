package eventsv2local

import (
	"encoding/json"
	"strings"
)

// functions are the functions of JSONata that an expression may call.
var functions = map[string]struct {
	arguments int
	call      func([]any) any
}{
	"contains": {2, func(a []any) any { return strings.Contains(textOf(a[0]), textOf(a[1])) }},
	"exists":   {1, func(a []any) any { return a[0] != nil }},
	"string": {1, func(a []any) any {
		if a[0] == nil {
			return nil
		}
		return textOf(a[0])
	}},
	"substringAfter": {2, func(a []any) any {
		if a[0] == nil {
			return nil
		}
		if _, after, ok := strings.Cut(textOf(a[0]), textOf(a[1])); ok {
			return after
		}
		return a[0]
	}},
}

// textOf returns a value as JSONata's $string does; for no value, an empty string.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, _ := json.Marshal(v) // v is unmarshalled JSON
	return string(text)
}
