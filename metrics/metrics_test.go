package metrics

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

var at = time.Date(2026, 11, 23, 20, 45, 30, 0, time.UTC)

// validate checks one line against CloudWatch's "Embedded metric format
// specification" and returns the metrics it defines, by dimension set.
func validate(tb testing.TB, line []byte) (fields map[string]any, defined map[string][]float64) {
	tb.Helper()
	if err := json.Unmarshal(line, &fields); err != nil {
		tb.Fatalf("%v in %s", err, line)
	}
	if problem := specification.check("$", fields); problem != "" {
		tb.Errorf("%s in %s", problem, line)
	}
	var head struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		tb.Fatal(err)
	}
	if head.AWS.Timestamp == 0 {
		tb.Fatalf("no timestamp in %s", line)
	}
	defined = map[string][]float64{}
	for _, directive := range head.AWS.CloudWatchMetrics {
		if directive.Namespace == "" || len(directive.Dimensions) == 0 || len(directive.Metrics) == 0 || len(directive.Metrics) > 100 {
			tb.Errorf("bad directive in %s", line)
		}
		for _, set := range directive.Dimensions {
			for _, name := range set {
				value, ok := fields[name].(string)
				if !ok || len(value) > 1024 || strings.TrimSpace(value) == "" || !ascii(value) {
					tb.Errorf("dimension %s=%v", name, fields[name])
				}
			}
		}
		for _, m := range directive.Metrics {
			if _, ok := Lookup(Name(m.Name)); !ok {
				tb.Errorf("metric %s is not in the catalogue", m.Name)
			}
			switch v := fields[m.Name].(type) {
			case float64:
				defined[m.Name] = []float64{v}
			case []any:
				if len(v) > 100 {
					tb.Errorf("%d values of %s", len(v), m.Name)
				}
				for _, item := range v {
					defined[m.Name] = append(defined[m.Name], item.(float64))
				}
			default:
				tb.Errorf("metric %s has the value %v", m.Name, v)
			}
		}
	}
	if n := leaves(fields); n > 200 {
		tb.Errorf("%d fields: Logs Insights reads 200", n)
	}
	return fields, defined
}

func ascii(s string) bool { return len(s) == utf8.RuneCountInString(s) }

func leaves(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := 0
		for _, item := range v {
			n += leaves(item)
		}
		return n
	case []any:
		n := 0
		for _, item := range v {
			n += leaves(item)
		}
		return n
	default:
		return 1
	}
}

func flush(tb testing.TB, s *Set) [][]byte {
	tb.Helper()
	var out bytes.Buffer
	if err := s.Flush(&out, at); err != nil {
		tb.Fatal(err)
	}
	if out.Len() == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n"))
}

// total sums a metric over lines that have exactly the given dimensions.
func total(tb testing.TB, lines [][]byte, name Name, eventType string) (sum float64, n int) {
	tb.Helper()
	for _, line := range lines {
		fields, defined := validate(tb, line)
		if got, _ := fields["EventType"].(string); got != eventType {
			continue
		}
		for _, v := range defined[string(name)] {
			sum += v
			n++
		}
	}
	return sum, n
}

func TestLinePerDimensionSetAndMinute(t *testing.T) {
	s := New(Config{Service: "portfolio"})
	s.Record(Observation{At: at, Name: PayloadSize, Value: 100, EventType: "A"})
	s.Record(Observation{At: at.Add(time.Second), Name: PayloadSize, Value: 300, EventType: "A", EventID: "e-2"})
	s.Record(Observation{At: at, Name: PayloadSize, Value: 200, EventType: "B"})
	s.Record(Observation{At: at.Add(time.Minute), Name: PayloadSize, Value: 400, EventType: "A"})
	s.Record(Observation{At: at, Name: EventsPublished, Value: 1, EventType: "A"})
	lines := flush(t, s)
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), bytes.Join(lines, []byte("\n")))
	}
	fields, defined := validate(t, lines[0])
	if !slices.Equal(defined["PayloadSize"], []float64{100, 300}) || fields["PayloadSizeMax"] != 300.0 || fields["Count"] != 2.0 || fields["LargestEventID"] != "e-2" {
		t.Errorf("first line %s", lines[0])
	}
	if again := flush(t, s); again != nil {
		t.Errorf("a second flush wrote %s", again)
	}
}

func TestCountersAreOnServiceAloneInBasic(t *testing.T) {
	for profile, perType := range map[Profile]int{Basic: 0, Full: 1} {
		s := New(Config{Service: "f", Profile: profile})
		s.Record(Observation{At: at, Name: EventsPublished, Value: 2, EventType: "A"})
		lines := flush(t, s)
		if sum, _ := total(t, lines, EventsPublished, ""); sum != 2 {
			t.Errorf("profile %d: %v on the service", profile, sum)
		}
		if _, n := total(t, lines, EventsPublished, "A"); n != perType {
			t.Errorf("profile %d: %d values per type", profile, n)
		}
	}
}

func TestNumeratorsOfRatesAreZeros(t *testing.T) {
	s := New(Config{Service: "f"})
	s.Record(Observation{At: at, Name: EventsPublished, Value: 1, EventType: "A"})
	_, defined := validate(t, flush(t, s)[0])
	for _, name := range []Name{EventsFailed, OversizedEvents, UncorrelatedPublished} {
		if !slices.Equal(defined[string(name)], []float64{0}) {
			t.Errorf("%s = %v, want a zero", name, defined[string(name)])
		}
	}
	if _, ok := defined[string(DuplicateEvents)]; ok {
		t.Error("a zero without its denominator")
	}
	// In basic the denominator of the events in is a property; the zeros stand all the same.
	s.Record(Observation{At: at, Name: EventsReceived, Value: 1, EventType: "A"})
	fields, defined := validate(t, flush(t, s)[0])
	if fields["EventsReceived"] != 1.0 || defined["EventsReceived"] != nil || !slices.Equal(defined[string(DuplicateEvents)], []float64{0}) {
		t.Errorf("fields %v", fields)
	}
}

func TestWhatIsNotAMetricInBasicIsAProperty(t *testing.T) {
	s := New(Config{Service: "f"})
	s.Record(Observation{At: at, Name: DeliveryLag, Value: 7, EventType: "A"})
	s.Record(Observation{At: at, Name: DeliveryLag, Value: 9, EventType: "A"})
	fields, defined := validate(t, flush(t, s)[0])
	if len(defined) != 0 || fields["DeliveryLag"] != 9.0 {
		t.Errorf("fields %v", fields)
	}
}

func TestLongSeriesAreSplitAndNothingIsLost(t *testing.T) {
	s := New(Config{Service: "f", Profile: Full})
	want := 0.0
	for i := range 1234 {
		s.Record(Observation{At: at, Name: HandlerDuration, Value: float64(i), EventType: "A"})
		s.Record(Observation{At: at, Name: DeliveryLag, Value: float64(i), EventType: "A"})
		want += float64(i)
	}
	lines := flush(t, s)
	for _, name := range []Name{HandlerDuration, DeliveryLag} {
		if sum, n := total(t, lines, name, "A"); sum != want || n != 1234 {
			t.Errorf("%s: %d values, sum %v", name, n, sum)
		}
	}
}

func TestEventTypesAreCapped(t *testing.T) {
	s := New(Config{Service: "f", EventTypesMax: 2})
	for i := range 5 {
		s.Record(Observation{At: at, Name: PayloadSize, Value: 1, EventType: fmt.Sprint("T", i)})
	}
	if _, n := total(t, flush(t, s), PayloadSize, "other"); n != 3 {
		t.Errorf("%d observations of other", n)
	}
}

func TestMemoryIsBoundedAndWhatIsGivenUpIsCounted(t *testing.T) {
	s := New(Config{Service: "f"})
	for range maxValues + 10 {
		s.Record(Observation{At: at, Name: Duration, Value: 1})
	}
	s.Record(Observation{At: at, Name: "Nonsense", Value: 1})
	s.Record(Observation{At: at, Name: Duration, Value: math.NaN()})
	for range maxLines + 3 {
		s.Log(Line{Kind: "repeat"})
	}
	s.Dropped(2)
	var lines [][]byte
	for _, line := range flush(t, s) {
		if bytes.Contains(line, []byte("_aws")) {
			lines = append(lines, line)
		}
	}
	if sum, _ := total(t, lines, TelemetryDropped, ""); sum != 17 {
		t.Errorf("TelemetryDropped = %v", sum)
	}
	if _, n := total(t, lines, Duration, ""); n != maxValues {
		t.Errorf("%d values kept", n)
	}
}

func TestKindsAndExemplarsAreProperties(t *testing.T) {
	s := New(Config{Service: "f"})
	for i := range 9 {
		s.Record(Observation{At: at, Name: DuplicateEvents, Value: 1, Kind: "replay", CorrelationID: fmt.Sprint("c", i)})
	}
	s.Record(Observation{At: at, Name: DuplicateEvents, Value: 1, Kind: "republish"})
	fields, _ := validate(t, flush(t, s)[0])
	if fields["DuplicateEvents_replay"] != 9.0 || fields["DuplicateEvents_republish"] != 1.0 || len(fields["CorrelationIDs"].([]any)) != 5 {
		t.Errorf("fields %v", fields)
	}
}

func TestDimensionValuesAreMadeASCII(t *testing.T) {
	for value, want := range map[string]string{"": "unknown", "  ": "unknown", "Ünï\n": "_n__", strings.Repeat("x", 2000): strings.Repeat("x", 1024)} {
		if got := dimensionValue(value); got != want {
			t.Errorf("%q became %q", value, got)
		}
	}
}

func TestLevel(t *testing.T) {
	s := New(Config{Service: "f", Level: "ERROR"})
	s.Record(Observation{At: at, Name: Duration, Value: 1})
	fields, _ := validate(t, flush(t, s)[0])
	if fields["level"] != "ERROR" || fields["timestamp"] != "2026-11-23T20:45:30Z" {
		t.Errorf("fields %v", fields)
	}
}

func TestOffKeepsOnlyLines(t *testing.T) {
	s := New(Config{Profile: Off})
	s.Record(Observation{At: at, Name: Duration, Value: 1})
	s.Dropped(1)
	s.Log(Line{Kind: "repeat", Message: "already processed", Fields: map[string]any{"event_id": "e-1", "bad": func() {}}})
	lines := flush(t, s)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	var got map[string]any
	if err := json.Unmarshal(lines[0], &got); err != nil || got["throughline"] != "repeat" || got["message"] != "already processed" || got["event_id"] != "e-1" {
		t.Errorf("line %s: %v", lines[0], err)
	}
}

func TestNilSet(t *testing.T) {
	var s *Set
	s.Record(Observation{})
	s.Log(Line{})
	s.Dropped(1)
	if err := s.Flush(failing{}, at); err != nil || s.Service() != "" {
		t.Errorf("a nil set did something: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWhatCouldNotBeWrittenIsCounted(t *testing.T) {
	s := New(Config{Service: "f"})
	s.Record(Observation{At: at, Name: Duration, Value: 1})
	if err := s.Flush(failing{}, at); err == nil {
		t.Fatal("no error")
	}
	if sum, _ := total(t, flush(t, s), TelemetryDropped, ""); sum != 1 {
		t.Errorf("TelemetryDropped = %v", sum)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := New(Config{Service: "f"})
	var wg sync.WaitGroup
	var out bytes.Buffer
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				s.Record(Observation{At: at, Name: EventsPublished, Value: 1, EventType: fmt.Sprint(i)})
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := s.Flush(&out, at); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if err := s.Flush(&out, at); err != nil {
		t.Fatal(err)
	}
	if sum, _ := total(t, bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")), EventsPublished, ""); sum != 4000 {
		t.Errorf("counted %v", sum)
	}
}

func TestCatalogueIsSound(t *testing.T) {
	seen := map[Name]bool{}
	for _, m := range Catalogue() {
		if seen[m.Name] || m.Help == "" || m.Family == "" || m.Unit == "" {
			t.Errorf("entry %+v", m)
		}
		seen[m.Name] = true
		if m.ZeroWith != "" && m.Kind != Counter {
			t.Errorf("%s: only a counter has a zero", m.Name)
		}
		if m.ReportOnly && m.Profile == Basic {
			t.Errorf("%s: basic must not wait for a report", m.Name)
		}
		if len(m.DimensionSets(Full)) == 0 || len(m.DimensionSets(Off)) != 0 {
			t.Errorf("%s: dimension sets", m.Name)
		}
	}
}

func TestDocumentIsCurrent(t *testing.T) {
	path := "../docs/metrics.md"
	if os.Getenv("THROUGHLINE_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != Document() {
		t.Errorf("%s is not what the catalogue says: run `make docs` (%v)", path, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("PayloadSize", "SignalGenerated", "signal-1", "retry", 1.5, uint8(3))
	f.Add("HandlerDuration", "\xff\x00 ", "", "", -1.0, uint8(255))
	f.Fuzz(func(t *testing.T, name, eventType, id, kind string, value float64, n uint8) {
		s := New(Config{Service: eventType, Profile: Full})
		for i := range int(n) {
			s.Record(Observation{At: at, Name: Name(name), Value: value + float64(i), EventType: eventType, Host: eventType, Kind: kind, EventID: id, RequestID: id, CorrelationID: id})
			s.Record(Observation{At: at, Name: HandlerDuration, Value: float64(i), EventType: eventType, Kind: kind})
		}
		lines := flush(t, s)
		for _, line := range lines {
			validate(t, line)
		}
		if _, got := total(t, lines, HandlerDuration, dimensionValue(eventType)); got < int(n) {
			t.Errorf("%d of %d durations written", got, n)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	s := New(Config{Service: "f"})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Record(Observation{At: at, Name: PayloadSize, Value: 1000, EventType: "TradeExecuted"})
		if i%100 == 99 {
			_ = s.Flush(discard{}, at)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func ExampleSet() {
	s := New(Config{Service: "portfolio"})
	s.Record(Observation{At: at, Name: PayloadSize, Value: 2386, EventType: "SignalGenerated", EventID: "signal-1"})
	if err := s.Flush(os.Stdout, at); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"Service":"portfolio","EventType":"SignalGenerated","PayloadSizeMax":2386,"Count":1,"LargestEventID":"signal-1","PayloadSize":2386,"_aws":{"Timestamp":1795466730000,"CloudWatchMetrics":[{"Namespace":"Throughline","Dimensions":[["Service","EventType"]],"Metrics":[{"Name":"PayloadSize","Unit":"Bytes"}]}]}}
}
