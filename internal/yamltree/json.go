package yamltree

import (
	"encoding/json"
	"regexp"
	"slices"
)

// onlyJSON matches the escapes of JSON that the parser of YAML does not know: a slash, and
// UTF-16 surrogates. It also matches an escaped backslash, so that \\ud83d is no escape.
var onlyJSON = regexp.MustCompile(`\\\\|\\/|\\u[dD][89a-fA-F][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?`)

// unescaped returns the character of an escape, and U+FFFD for a single surrogate.
func unescaped(escape []byte) []byte {
	if string(escape) == `\\` {
		return escape
	}
	var text string
	if err := json.Unmarshal(slices.Concat([]byte{'"'}, escape, []byte{'"'}), &text); err != nil {
		return escape
	}
	return []byte(text)
}

// plainJSON replaces such escapes in a document that is JSON.
func plainJSON(data []byte) []byte {
	if !onlyJSON.Match(data) || !json.Valid(data) {
		return data
	}
	return onlyJSON.ReplaceAllFunc(data, unescaped)
}
