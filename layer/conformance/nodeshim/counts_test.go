package nodeshim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/metrics"
)

// real is the extension itself, with the function's keys and a runtime endpoint.
type real struct {
	api  string // of the runtime endpoint
	stop func() map[string]float64
}

// startReal starts one. Its stop returns the sums of what was counted, with the
// causes of failures and of missing stamps apart.
func startReal(t *testing.T) real {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- extension.Sidecar(ctx, extension.Config{
			RuntimeAPI: "127.0.0.1:1", RuntimeAddr: "127.0.0.1:0", TempDir: t.TempDir(), Region: "us-east-1", Out: &out,
			Metrics:     metrics.Config{Service: "f", Profile: metrics.Full},
			Credentials: func(context.Context) (aws.Credentials, error) { return stands.Keys["AKIDOURS"], nil },
		}, func(addresses map[string]string) { ready <- addresses })
	}()
	select {
	case addresses := <-ready:
		return real{addresses["runtime"], func() map[string]float64 {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			return sums(t, out.String())
		}}
	case err := <-done:
		cancel()
		t.Fatal(err)
		return real{}
	}
}

// sums adds up metric lines, those of the service as a whole.
func sums(t *testing.T, lines string) map[string]float64 {
	t.Helper()
	total := map[string]float64{}
	for line := range strings.Lines(lines) {
		var doc map[string]any
		if json.Unmarshal([]byte(line), &doc) != nil || doc["_aws"] == nil || doc["EventType"] != nil {
			continue
		}
		for name, value := range doc {
			if number, ok := value.(float64); ok {
				total[name] += number
			}
		}
	}
	return total
}

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
				for tries := 1; ; tries++ {
					r := startReal(t)
					seen := w.run(true, asked(r.api, program, tt.how, tt.more, tt.bus))
					counted := r.stop()
					late := counted["StampSkipped_late"]+counted["StampSkipped_busy"]+counted["StampSkipped_unreachable"] > 0 // a busy machine
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
