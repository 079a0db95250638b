package putevents

import (
	"encoding/json"
	"strings"
	"testing"
)

// BenchmarkRead is a body of one small entry, and of ten of 90 KB as
// SDKs write them, where every quote is escaped; beside json.Valid.
func BenchmarkRead(b *testing.B) {
	entry := func(rows int) string {
		return `{"Source":"s","DetailType":"T","Detail":"{\"event_id\":\"e\",\"rows\":[` + strings.Repeat(`{\"symbol\":\"AAPL\",\"price\":\"123.4567\"},`, rows) + `null]}"}`
	}
	for name, body := range map[string]string{
		"1KB": `{"Entries":[` + entry(22) + `]}`, "900KB": `{"Entries":[` + strings.Repeat(entry(2200)+",", 9) + entry(2200) + `]}`,
	} {
		for way, read := range map[string]func([]byte) bool{
			"JSONValid": json.Valid, "Read": func(body []byte) bool { p, err := Read(body); return err == nil && len(p.entries) > 0 },
		} {
			b.Run(name+"/"+way, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if !read([]byte(body)) {
						b.Fatal("not read")
					}
				}
			})
		}
	}
}
