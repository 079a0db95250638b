package nodeshim

import (
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// What a new bus takes with the shim and the extension is what it takes without, and
// the stamp; each entry is counted once.
func TestNewBusCounts(t *testing.T) {
	for _, tt := range stands.NewBusCounts {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			w := newBusWorld(t)
			w.patient()
			put := func(shimmed bool, runtime string) stands.Orders {
				orders := stands.NewOrders(t)
				if tt.Begin != nil {
					tt.Begin(orders)
				}
				how := map[int]string{1: "", 2: "two entries", 100: "a hundred"}[tt.Entries]
				if tt.Content {
					how = "by content"
				}
				p := w.newBus(how, "AWS_ENDPOINT_URL_EVENTBRIDGEV2="+orders.URL, "BUS_ARN="+orders.Bus.ARN, "AWS_LAMBDA_RUNTIME_API="+runtime)
				if tt.Twice {
					p.env = append(p.env, "ONE=1", "MORE=1")
				}
				if seen := w.run(shimmed, p); seen.code != 0 {
					t.Errorf("%d\n%s%s", seen.code, seen.stdout, seen.stderr)
				}
				return orders
			}
			real := stands.StartReal(t, tt.Adapt)
			with := put(true, real.API)
			tt.Check(t, with, put(false, ""), real.Stop())
		})
	}
}
