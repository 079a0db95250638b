package publisher

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/detail"
)

func TestEntry(t *testing.T) {
	e, err := Entry("orders", "OrderPlaced", map[string]int{"n": 1})
	if err != nil || aws.ToString(e.Source) != "orders" || aws.ToString(e.DetailType) != "OrderPlaced" || aws.ToString(e.Detail) != `{"n":1}` {
		t.Errorf("entry %+v, %v", e, err)
	}
	for _, tt := range []struct{ source, detailType, want string }{{"", "T", "no source"}, {"s", "", "no detail type"}} {
		if _, err := Entry(tt.source, tt.detailType, 1); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q, %q: %v", tt.source, tt.detailType, err)
		}
	}
	var refused *detail.Error
	if e, err := Entry("orders", "T", map[string]float64{"f": math.NaN()}); !errors.As(err, &refused) || refused.Path != "$.f" || e.Detail != nil {
		t.Errorf("entry %+v, %v", e, err)
	}
}
