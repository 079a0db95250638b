package detail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// BenchmarkValidate is of details of 200 KB, beside json.Valid: of mixed rows,
// of numbers alone, printed over lines, and as a trading system sends them.
func BenchmarkValidate(b *testing.B) {
	rows := func(format string) []byte {
		large := []byte(`{"rows":[`)
		for i := 0; len(large) < 200_000; i++ {
			large = fmt.Appendf(large, format, i%100)
		}
		return append(large, `{}]}`...)
	}
	mixed := rows(`{"symbol": "AAPL", "weight": "0.5827880109204190", "rsi": %d.25, "n": 12345678901, "note": "rsi(UPRO, 10) > 76 ✓ \"quoted\"", "ok": true},`)
	var printed bytes.Buffer
	if err := json.Indent(&printed, mixed, "", "  "); err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile("../testdata/events/10-signal-generated-near-limit.json")
	if err != nil {
		b.Fatal(err)
	}
	var recorded struct{ Detail string }
	if err := json.Unmarshal(data, &recorded); err != nil {
		b.Fatal(err)
	}
	for _, detail := range []struct {
		name string
		data []byte
	}{{"Mixed", mixed}, {"Numbers", rows(`[%d,-1.5e3,12345678901234567,0.25],`)}, {"Printed", printed.Bytes()}, {"Recorded", []byte(recorded.Detail)}} {
		for _, way := range []struct {
			name  string
			valid func([]byte) bool
		}{{"JSONValid", json.Valid}, {"Validate", func(data []byte) bool { return Validate(data) == nil }}} {
			b.Run(detail.name+"/"+way.name, func(b *testing.B) {
				b.SetBytes(int64(len(detail.data)))
				b.ReportAllocs()
				for b.Loop() {
					if !way.valid(detail.data) {
						b.Fatal("not valid")
					}
				}
			})
		}
	}
}
