package metrics_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/metrics"
)

// Alarms take a metric's name and dimensions from the catalogue.
func ExampleLookup() {
	m, ok := metrics.Lookup("DuplicateEvents")
	fmt.Println(ok, m.Unit)
	_, ok = metrics.Lookup("DuplicatedEvents")
	fmt.Println(ok)
	// Output:
	// true Count
	// false
}

func ExampleCatalogue() {
	for _, m := range metrics.Catalogue() {
		if strings.HasPrefix(string(m.Name), "Payload") {
			fmt.Println(m.Name, m.Unit)
		}
	}
	// Output:
	// PayloadSize Bytes
	// PayloadLimitUtilization Percent
}

// What the basic profile does not bill as a metric stands in the line as a
// property: Logs Insights finds it all the same.
func ExampleNew() {
	at := time.Date(2026, 1, 5, 20, 45, 0, 0, time.UTC)
	for _, profile := range []metrics.Profile{metrics.Basic, metrics.Full} {
		set := metrics.New(metrics.Config{Service: "portfolio", Profile: profile})
		set.Record(metrics.Observation{At: at, Name: metrics.EventsReceived, Value: 3})
		var out bytes.Buffer
		if err := set.Flush(&out, at); err != nil {
			fmt.Println(err)
		}
		fmt.Println(strings.Contains(out.String(), `"EventsReceived":3`), strings.Contains(out.String(), `"Name":"EventsReceived"`))
	}
	// Output:
	// true false
	// true true
}

// Document is docs/metrics.md.
func ExampleDocument() {
	fmt.Println(strings.SplitN(metrics.Document(), "\n", 2)[0])
	// Output: # Metrics
}
