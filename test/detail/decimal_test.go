// Package detail_test holds the encoder of details to the decimals that people use.
package detail_test

import (
	"math"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/throughline/throughline/detail"
)

var _ detail.Decimal = decimal.Decimal{}

func TestShopspringDecimals(t *testing.T) {
	price := decimal.RequireFromString("0.58278801092041906983149555")
	type order struct {
		Price decimal.Decimal      `json:"price"`
		Limit *decimal.Decimal     `json:"limit"`
		Stop  decimal.NullDecimal  `json:"stop"`
		Trail *decimal.NullDecimal `json:"trail"`
	}
	trail := decimal.NewNullDecimal(price)
	for _, tt := range []struct {
		value any
		want  string
	}{
		{order{Price: price, Limit: &price, Stop: decimal.NewNullDecimal(price), Trail: &trail},
			`{"price":"0.58278801092041906983149555","limit":"0.58278801092041906983149555","stop":"0.58278801092041906983149555","trail":"0.58278801092041906983149555"}`},
		{order{}, `{"price":"0","limit":null,"stop":null,"trail":null}`},
		{map[string]any{"large": decimal.New(12, 30), "small": decimal.New(-5, -7)}, `{"large":"12000000000000000000000000000000","small":"-0.0000005"}`},
	} {
		got, err := detail.Encode(tt.value)
		if err != nil || string(got) != tt.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
		}
		numbers, err := detail.Encode(map[string]any{"n": price}, detail.WithDecimalNumbers())
		if want := `{"n":0.58278801092041906983149555}`; err != nil || string(numbers) != want {
			t.Errorf("got  %s, %v\nwant %s", numbers, err, want)
		}
	}
	if _, err := detail.Encode(map[string]any{"n": decimal.New(1, math.MaxInt32)}); err == nil || !strings.Contains(err.Error(), "$.n: a decimal with the exponent") {
		t.Errorf("an endless decimal: %v", err)
	}
}
