package stands

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/metrics"
)

// Real is the real extension, with the function's keys and a runtime endpoint.
type Real struct {
	API string // of the runtime endpoint
	Dir string // its folder for temporary files
	// Stop ends it and returns the sums of its counts, with separate ones for each
	// cause of failures and of missing stamps.
	Stop func() map[string]float64
}

// StartReal starts one. adapt changes its configuration, and may be nil.
func StartReal(t *testing.T, adapt func(*extension.Config)) Real {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan map[string]string, 1), make(chan error, 1)
	c := extension.Config{
		RuntimeAPI: "127.0.0.1:1", RuntimeAddr: "127.0.0.1:0", TempDir: t.TempDir(), Region: "us-east-1", Out: &out,
		Metrics:     metrics.Config{Service: "f", Profile: metrics.Full},
		Credentials: func(context.Context) (aws.Credentials, error) { return Keys["AKIDOURS"], nil },
	}
	if adapt != nil {
		adapt(&c)
	}
	go func() { done <- extension.Sidecar(ctx, c, func(addresses map[string]string) { ready <- addresses }) }()
	select {
	case addresses := <-ready:
		return Real{addresses["runtime"], c.TempDir, func() map[string]float64 {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			return sums(out.String())
		}}
	case err := <-done:
		cancel()
		t.Fatal(err)
		return Real{}
	}
}

// sums adds up the metric lines of the service as a whole.
func sums(lines string) map[string]float64 {
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

// Gave returns whether the extension was too slow for the shim, as on a busy machine.
func Gave(counted map[string]float64) bool {
	return counted["StampSkipped_late"]+counted["StampSkipped_busy"]+counted["StampSkipped_unreachable"] > 0
}
