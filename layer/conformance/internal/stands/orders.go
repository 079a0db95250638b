package stands

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/eventsv2local"
)

// Orders is a new custom bus on this machine.
type Orders struct {
	*eventsv2local.Service
	URL string
	Bus *eventsv2local.Bus
}

// NewOrders starts one that ends with the test.
func NewOrders(t *testing.T) Orders {
	t.Helper()
	s := eventsv2local.New(eventsv2local.Options{})
	t.Cleanup(s.Close)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := s.CreateBus("orders", 1)
	if err != nil {
		t.Fatal(err)
	}
	return Orders{s, url, bus}
}

var lineageNames = []string{"correlation", "correlationid", "traceparent", "hops", "minted"}

// Taken returns the events that the bus accepted, without their stamps, and how many
// of them had a complete stamp.
func (o Orders) Taken() (events []string, stamped int) {
	for _, e := range o.Bus.Events() {
		found := map[string]bool{}
		plain := slices.DeleteFunc(slices.Clone(e.Resources), func(line string) bool {
			name, _, _ := strings.Cut(line, ":")
			found[name] = slices.Contains(lineageNames, name)
			return found[name]
		})
		metadata := maps.Clone(e.Metadata)
		maps.DeleteFunc(metadata, func(key, _ string) bool {
			found[key] = slices.Contains(lineageNames, key)
			return found[key]
		})
		if (found["correlation"] || found["correlationid"]) && found["traceparent"] && found["hops"] {
			stamped++
		}
		events = append(events, fmt.Sprint(e.Source, e.DetailType, e.Detail, plain, metadata, e.ContentType, e.Group, e.DeduplicationID))
	}
	return events, stamped
}
