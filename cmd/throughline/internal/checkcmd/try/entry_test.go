package try

import (
	"strings"
	"testing"
)

// TestReadEntry: the forms that aws events put-events and PutEvents itself take.
func TestReadEntry(t *testing.T) {
	const text, object = `{"Source":"s","DetailType":"T","Detail":"{\"a\":1}","Resources":["r"]}`, `{"Source":"s","DetailType":"T","Detail":{"a":1},"Resources":["r"]}`
	for _, data := range []string{text, object, "[" + text + "]", "\n [" + object + "]\n", `{"Entries":[` + text + `]}`} {
		e, err := readEntry([]byte(data))
		if err != nil || *e.Source != "s" || *e.DetailType != "T" || *e.Detail != `{"a":1}` || len(e.Resources) != 1 {
			t.Errorf("%s: %+v, %v", data, e, err)
		}
	}
	for data, want := range map[string]string{
		"[" + text + "," + text + "]": "the file has 2 entries: give one", "[]": "the entry needs Source, DetailType and Detail", "{}": "the entry needs Source", `{"Source":"s","DetailType":"T"}`: "the entry needs Source",
		"": "unexpected end", "[1]": "cannot unmarshal number",
	} {
		if e, err := readEntry([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", data, e, err, want)
		}
	}
}
