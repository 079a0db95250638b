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
	for _, tt := range []struct {
		eventType, detail, want, problem string
	}{
		{"TradeExecuted", `{"metadata":{"trade_id":"t-7"}}`, "t-7", ""},
		{"TradeExecuted", ` {"metadata" : {"trade_id" : 7 } } `, "7", ""},
		{"TradeExecuted", `{"metadata":{"trade_id":""}}`, "", "neither"},
		{"TradeExecuted", `{"metadata":{"trade_id":null}}`, "", "neither"},
		{"TradeExecuted", `{"metadata":[]}`, "", "no business key"},
		{"TradeExecuted", `{`, "", "no business key"},
		{"TradeExecuted", ``, "", "no business key"},
		{"Listed", `{"items":[0,{"a/b":"x"}]}`, "x", ""},
		{"Listed", `{"items":[0]}`, "", "no business key"},
		{"Other", `{"metadata":{"trade_id":"t-7"}}`, "", ""},
	} {
		got, err := keys.Of(tt.eventType, []byte(tt.detail))
		if got != tt.want || (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s %s: %q, %v", tt.eventType, tt.detail, got, err)
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

func FuzzBusinessKey(f *testing.F) {
	f.Add("/a/0", `{"a":["x"]}`)
	f.Add("/", `[[]]`)
	f.Fuzz(func(t *testing.T, pointer, detail string) {
		if !strings.HasPrefix(pointer, "/") {
			return
		}
		id, err := Keys{"T": pointer}.Of("T", []byte(detail))
		if (id == "") != (err != nil) {
			t.Errorf("%q, %v", id, err)
		}
	})
}
