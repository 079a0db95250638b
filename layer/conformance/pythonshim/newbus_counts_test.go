package pythonshim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// TestNewBusCounts: what a new bus takes with the shim and the extension is what it
// takes without, and the stamp; each entry is counted once.
func TestNewBusCounts(t *testing.T) {
	for _, tt := range stands.NewBusCounts {
		for version, k := range knowing(t, "base", false) {
			t.Run(tt.Name+" "+version, func(t *testing.T) {
				s := newScene(t)
				put := func(shimmed bool, real stands.Real) stands.Orders {
					orders := stands.NewOrders(t)
					if tt.Begin != nil {
						tt.Begin(orders)
					}
					f := k
					f.real = real
					f.answer, f.waits = other, "10" // the stand-in is not asked
					puts := `["put_events","put_raw_events"]`
					if tt.Twice {
						puts = `["put_events","put_events"]`
					}
					f.env = append(f.env, "PUTS="+puts, fmt.Sprint("ENTRIES=", tt.Entries), "AWS_ENDPOINT_URL_EVENTBRIDGEV2="+orders.URL, "BUS_ARN="+orders.Bus.ARN)
					if tt.Content {
						f.env = append(f.env, `MORE={"DeduplicationConfiguration":{"DeduplicationType":"CONTENT_BASED"}}`)
					}
					seen, about := s.run(t, k.python, f, shimmed)
					if seen.Exit != 0 || len(about.asked) > 0 || strings.Count(seen.Stdout, "True") != 2 {
						t.Errorf("%d, asked %q\n%s%s", seen.Exit, about.asked, seen.Stdout, seen.Stderr)
					}
					return orders
				}
				real := stands.StartReal(t, tt.Adapt)
				with := put(true, real)
				tt.Check(t, with, put(false, real), real.Stop())
			})
		}
	}
}
