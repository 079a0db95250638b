package nodeshim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// A call is counted once, by what became of it in the end, whatever its SDK did
// on the way. Attempts that are repeated with success are no failures.
func TestCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		how               string
		more              int
		bus               stands.Bus
		published, failed float64
		other             map[string]float64
	}{
		"as it comes":        {published: 1},
		"large":              {how: "large", published: 1},
		"more at once":       {more: 5, published: 6},
		"throttled":          {bus: stands.Bus{Fail: 2, Code: "ThrottlingException", Status: 400}, published: 1},
		"many requests":      {bus: stands.Bus{Fail: 1, Code: "TooManyRequestsException", Status: 429}, published: 1},
		"failing":            {bus: stands.Bus{Fail: 2, Code: "InternalFailure", Status: 500}, published: 1},
		"unavailable":        {bus: stands.Bus{Fail: 1, Code: "ServiceUnavailable", Status: 503}, published: 1},
		"dropped":            {bus: stands.Bus{Drop: 1}, published: 1},
		"dropped, throttled": {bus: stands.Bus{Drop: 1, Fail: 1, Code: "ThrottlingException", Status: 400}, published: 1},
		"clock":              {how: "clock", bus: stands.Bus{Skew: time.Hour}, published: 1},
		"clock, throttled":   {how: "clock", bus: stands.Bus{Skew: -time.Hour, Fail: 2, Code: "ThrottlingException", Status: 400}, published: 1},
		"refused":            {bus: stands.Bus{Fail: 9, Code: "AccessDeniedException", Status: 400}, failed: 1, other: map[string]float64{"EventsFailed_AccessDeniedException": 1}},
		"failing for good":   {bus: stands.Bus{Fail: 99, Code: "InternalFailure", Status: 500}, failed: 1, other: map[string]float64{"EventsFailed_InternalFailure": 1}},
		"failing in part":    {how: "two entries", bus: stands.Bus{Partly: true}, published: 1, failed: 1, other: map[string]float64{"EventsFailed_ThrottlingException": 1}},
		"another key":        {how: "another key", published: 1, other: map[string]float64{"StampSkipped_key": 1}},
	} {
		for _, program := range []string{"v3.mjs", "v2.cjs"} {
			t.Run(name+"/"+program, func(t *testing.T) {
				t.Parallel()
				if program == "v2.cjs" && tt.more > 0 {
					t.Skip("its program makes one call")
				}
				versions := nodes()
				w := newWorld(t, versions[len(versions)-1])
				w.patient()
				for tries := 1; ; tries++ {
					r := stands.StartReal(t, nil)
					seen := w.run(true, asked(r.API, program, tt.how, tt.more, tt.bus))
					counted := r.Stop()
					late := stands.Gave(counted)
					if late && tries < 4 {
						continue
					}
					if seen.code != 0 || counted["EventsPublished"] != tt.published || counted["EventsFailed"] != tt.failed || counted["EventsUnknown"] != 0 {
						t.Errorf("published %v, failed %v, unknown %v, want %v, %v, 0 of\n%s%s%d requests\n%v", counted["EventsPublished"], counted["EventsFailed"], counted["EventsUnknown"],
							tt.published, tt.failed, seen.stdout, seen.stderr, len(seen.received), counted)
					}
					for metric, want := range tt.other {
						if counted[metric] != want {
							t.Errorf("%s is %v, want %v", metric, counted[metric], want)
						}
					}
					for _, request := range seen.received {
						if request.Signed != "yes" || !late && strings.Contains(string(request.Body), "correlation:") == (tt.how == "another key") {
							t.Errorf("signed %q: %.300s", request.Signed, request.Body)
						}
					}
					return
				}
			})
		}
	}
}

func asked(api, name, how string, more int, bus stands.Bus) program {
	return program{args: []string{"--require", "./led.cjs", name}, bus: bus, env: []string{"HOW=" + how, fmt.Sprint("MORE=", more), "THROUGHLINE_HTTP_HOSTS=none", "AWS_LAMBDA_RUNTIME_API=" + api}}
}
