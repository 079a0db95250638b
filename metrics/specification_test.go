package metrics

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

//go:embed testdata/emf.schema.json
var emfSchema []byte

// schema is the part of JSON Schema that the specification uses.
type schema struct {
	Type       string
	Required   []string
	Properties map[string]*schema
	Items      *schema
	Pattern    string
	MinItems   int
	MaxItems   *int
	MinLength  int
	MaxLength  *int
	Enum       []float64
	// AdditionalProperties is false where the specification's text says that an
	// object has no others: its schema leaves that out.
	AdditionalProperties *bool
}

var specification = func() *schema {
	s := new(schema)
	if err := json.Unmarshal(emfSchema, s); err != nil {
		panic(err)
	}
	return s
}()

// check returns the first place where v breaks the schema, empty for none.
func (s *schema) check(at string, v any) string {
	bad := func(format string, args ...any) string { return at + ": " + fmt.Sprintf(format, args...) }
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			return bad("an object")
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return bad("%s is missing", name)
			}
		}
		for name := range v {
			if s.AdditionalProperties != nil && s.Properties[name] == nil {
				return bad("%s is no member that is specified", name)
			}
		}
		for name, inner := range s.Properties {
			if member, ok := v[name]; ok {
				if problem := inner.check(at+"."+name, member); problem != "" {
					return problem
				}
			}
		}
	case []any:
		if s.Type != "array" || len(v) < s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
			return bad("an array of %d", len(v))
		}
		for i, item := range v {
			if problem := s.Items.check(fmt.Sprintf("%s[%d]", at, i), item); problem != "" {
				return problem
			}
		}
	case string:
		n := utf8.RuneCountInString(v)
		if s.Type != "string" || n < s.MinLength || s.MaxLength != nil && n > *s.MaxLength || !regexp.MustCompile(s.Pattern).MatchString(v) {
			return bad("the text %q", v)
		}
	case float64:
		if s.Type != "integer" || v != math.Trunc(v) || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return bad("the number %v", v)
		}
	default:
		return bad("%v", v)
	}
	return ""
}

// TestSpecificationRefuses holds the schema's reader to lines that CloudWatch refuses.
func TestSpecificationRefuses(t *testing.T) {
	const fine = `{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],"Metrics":[{"Name":"M","Unit":"Count"}]}]}}`
	for _, change := range [][2]string{
		{"", ""}, {`"_aws"`, `"aws"`}, {`"Timestamp":1,`, ""}, {`:1,`, `:1.5,`}, {`:1,`, `:"1",`}, {`"N"`, `""`}, {`[["D"]]`, `[]`}, {`[["D"]]`, `["D"]`},
		{`"D"`, `"` + strings.Repeat("d", 251) + `"`}, {`["D"]`, `["D"` + strings.Repeat(`,"D"`, 30) + `]`}, {`"Name":"M",`, ""}, {`"Count"`, `"Counts"`},
		{`[{"Name":"M","Unit":"Count"}]`, `[{"Name":"M"}` + strings.Repeat(`,{"Name":"M"}`, 100) + `]`}, {`"M"`, `7`},
		{`"Unit":"Count"`, `"StorageResolution":2`}, {`"Unit":"Count"`, `"Value":2`}, {`"Namespace"`, `"Tags":[],"Namespace"`}, {`"Timestamp"`, `"LogGroup":"g","Timestamp"`}, {`"N"`, `"` + strings.Repeat("n", 256) + `"`},
	} {
		var v any
		if err := json.Unmarshal([]byte(strings.Replace(fine, change[0], change[1], 1)), &v); err != nil {
			t.Fatal(err)
		}
		if problem := specification.check("$", v); (problem == "") != (change[0] == "") {
			t.Errorf("%q for %q: %q", change[1], change[0], problem)
		}
	}
}

// TestEveryMetricMeetsTheSpecification writes each metric of the catalogue under
// each profile.
func TestEveryMetricMeetsTheSpecification(t *testing.T) {
	for _, profile := range []Profile{Basic, Full} {
		s := New(Config{Service: "f", Profile: profile, Level: "INFO"})
		for i := range 250 {
			for _, m := range Catalogue() {
				s.Record(Observation{At: at, Name: m.Name, Value: float64(i), EventType: "T", Host: "h", Kind: fmt.Sprint("k", i%3), EventID: "e", RequestID: "r", CorrelationID: fmt.Sprint("c", i)})
			}
		}
		found := map[string]bool{}
		for _, line := range flush(t, s) {
			_, defined := validate(t, line)
			for name := range defined {
				found[name] = true
			}
		}
		for _, m := range Catalogue() {
			if want := len(m.DimensionSets(profile)) > 0; found[string(m.Name)] != want {
				t.Errorf("profile %d: %s is written as a metric: %v", profile, m.Name, !want)
			}
		}
	}
}

// TestLongestLine fills a line with the longest of everything: CloudWatch Logs took
// events of 256 KB before it took 1 MB.
func TestLongestLine(t *testing.T) {
	s := New(Config{Service: strings.Repeat("s", 2000), Namespace: strings.Repeat("n", 2000), Profile: Full, Level: "INFO"})
	long := strings.Repeat("\x01", 4096) // an ID as it is read, which JSON escapes
	for i := range 150 {
		for _, m := range Catalogue() {
			s.Record(Observation{At: at, Name: m.Name, Value: -0x1p-300 * float64(i+1), EventType: long, Host: long, Kind: fmt.Sprint(i, long), EventID: long, RequestID: long, CorrelationID: fmt.Sprint(i, long)})
		}
	}
	for _, line := range flush(t, s) {
		if len(line) > 256<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// TestTextIsEscaped puts what JSON escapes in every text of a line.
func TestTextIsEscaped(t *testing.T) {
	for _, text := range []string{`"`, `a"b`, `\`, `a\"b`, "a\nb", "\x00", "\x1f", "\x7f", "</script>", "&", "ü ✓", "\u2028", "\xff", "a\xffb", `","_aws":{"x":"`} {
		s := New(Config{Service: text, Namespace: "N" + text})
		s.Record(Observation{At: at, Name: PayloadSize, Value: 1, EventType: text, EventID: text, CorrelationID: text, Kind: text})
		s.Record(Observation{At: at, Name: Duration, Value: 1, RequestID: text})
		s.Log(Line{Kind: text, Message: text, Fields: map[string]any{text: text}})
		valid := strings.ToValidUTF8(text, "\ufffd")
		lines := flush(t, s)
		if len(lines) != 3 {
			t.Fatalf("%q: %d lines", text, len(lines))
		}
		sizes, _ := validate(t, lines[0])
		durations, _ := validate(t, lines[1])
		var line map[string]any
		if err := json.Unmarshal(lines[2], &line); err != nil {
			t.Fatal(err)
		}
		for where, got := range map[string]any{
			"event ID": sizes["LargestEventID"], "correlation ID": sizes["CorrelationIDs"].([]any)[0], "request ID": durations["SlowestRequestID"],
			"kind of line": line["throughline"], "message": line["message"], "field": line[valid],
		} {
			if got != valid {
				t.Errorf("%q as %s is read as %q", text, where, got)
			}
		}
		if sizes["PayloadSize_"+valid] != 1.0 {
			t.Errorf("%q as a kind: %s", text, lines[0])
		}
	}
}

// TestNothingOfAFlushStaysForTheNext writes two flushes of the same minute.
func TestNothingOfAFlushStaysForTheNext(t *testing.T) {
	s := New(Config{Service: "f", Profile: Full})
	s.Record(Observation{At: at, Name: HandlerDuration, Value: 900, EventType: "T", RequestID: "r-1", CorrelationID: "c-1"})
	s.Record(Observation{At: at, Name: PayloadSize, Value: 900, EventType: "T", EventID: "e-1", CorrelationID: "c-1"})
	s.Record(Observation{At: at, Name: DuplicateEvents, Value: 7, EventType: "T", Kind: "replay"})
	flush(t, s)
	earlier := at.Add(-time.Second)
	s.Record(Observation{At: earlier, Name: HandlerDuration, Value: 5, EventType: "T", RequestID: "r-2", CorrelationID: "c-2"})
	s.Record(Observation{At: earlier, Name: PayloadSize, Value: 5, EventType: "T", EventID: "e-2", CorrelationID: "c-2"})
	s.Record(Observation{At: earlier, Name: DuplicateEvents, Value: 1, EventType: "T", Kind: "retry"})
	for _, line := range flush(t, s) {
		fields, defined := validate(t, line)
		aws, _ := fields["_aws"].(map[string]any)
		if aws["Timestamp"] != float64(earlier.UnixMilli()) {
			t.Errorf("dated %v", aws["Timestamp"])
		}
		if _, kept := fields["DuplicateEvents_replay"]; kept || defined["DuplicateEvents"] != nil && defined["DuplicateEvents"][0] != 1 {
			t.Errorf("counted again: %s", line)
		}
		if fields["EventType"] != "T" {
			continue
		}
		if ids, _ := fields["CorrelationIDs"].([]any); len(ids) != 1 || ids[0] != "c-2" || fields["SlowestRequestID"] != "r-2" || fields["LargestEventID"] != "e-2" {
			t.Errorf("exemplars of the flush before: %s", line)
		}
		if len(defined["HandlerDuration"]) != 1 || fields["HandlerDurationMax"] != 5.0 || fields["PayloadSizeMax"] != 5.0 {
			t.Errorf("values of the flush before: %s", line)
		}
	}
}

func TestNamespaces(t *testing.T) {
	for name, want := range map[string]string{
		"": "Throughline", " : ": "Throughline", "Shop/Orders": "Shop/Orders", ":x": "x", "a\nb\"ü": "a_b__", strings.Repeat("n", 300): strings.Repeat("n", 255),
	} {
		s := New(Config{Service: "f", Namespace: name})
		s.Record(Observation{At: at, Name: Duration, Value: 1})
		var line struct {
			AWS struct{ CloudWatchMetrics []struct{ Namespace string } } `json:"_aws"`
		}
		if err := json.Unmarshal(flush(t, s)[0], &line); err != nil || line.AWS.CloudWatchMetrics[0].Namespace != want {
			t.Errorf("%q is written as %q: %v", name, line.AWS.CloudWatchMetrics[0].Namespace, err)
		}
	}
}
