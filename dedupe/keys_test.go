package dedupe

import (
	"strings"
	"testing"
)

func TestBusinessKeys(t *testing.T) {
	keys, err := ParseKeys(" TradeExecuted=/metadata/trade_id , Listed = /items/1/a~1b ")
	if err != nil {
		t.Fatal(err)
	}
	detail := map[string]string{"/metadata/trade_id": "t-7"}
	for _, tt := range []struct {
		eventType, want, problem string
	}{
		{"TradeExecuted", "t-7", ""},
		{"Listed", "", "no business key at /items/1/a~1b of Listed"},
		{"Other", "", ""},
	} {
		got, err := keys.Of(tt.eventType, func(pointer string) string { return detail[pointer] })
		if got != tt.want || (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: %q, %v", tt.eventType, got, err)
		}
	}
	for _, bad := range []string{"TradeExecuted", "=/a", "A=a", "A="} {
		if _, err := ParseKeys(bad); err == nil || !strings.Contains(err.Error(), "TradeExecuted=/metadata/trade_id") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if none, err := ParseKeys(""); err != nil || len(none) != 0 {
		t.Error(none, err)
	}
}

func TestParseOrder(t *testing.T) {
	if rules, err := ParseOrder("B:A, D:C"); err != nil || len(rules) != 2 || rules[1] != (Rule{"D", "C"}) {
		t.Error(rules, err)
	}
	for _, bad := range []string{"A", "A:", ":A", "A:A"} {
		if _, err := ParseOrder(bad); err == nil || !strings.Contains(err.Error(), "TradeExecuted:RebalancePlanned") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
