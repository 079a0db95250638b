package read

import (
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

func FuzzTake(f *testing.F) {
	f.Add([]byte(`{"throughline":"repeat","kind":"replay","service":"s","event_id":"e","correlation_id":"c"}`))
	f.Add([]byte(`x {"Service":"s","EventType":"A","PayloadSize":[1,2,"x"],"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Metrics":[{"Name":"PayloadSize"}]}]}}`))
	f.Add([]byte(`{"Service":"s","Duration":1e300,"EventsFailed_X":1,"_aws":{"Timestamp":-1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var o system.Observed
		Take(&o, line)
		judge.Judge(&system.System{Observed: o}, judge.Limits{Size: 200_000, Duration: time.Minute, Hops: 16}, nil)
	})
}
