// Command quick is a Go function that does what it is told, quickly: it takes
// its time, and posts spans to where OpenTelemetry's settings point.
package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

type task struct {
	TakeMS int `json:"take_ms"`
	Spans  []byte
}

// handle returns how long it waited for its spans to be taken.
func handle(ctx context.Context, t task) (map[string]int64, error) {
	time.Sleep(time.Duration(t.TakeMS) * time.Millisecond)
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if general := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint == "" && general != "" {
		endpoint = general + "/v1/traces"
	}
	if len(t.Spans) == 0 || endpoint == "" {
		return nil, nil
	}
	begun := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(t.Spans))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return map[string]int64{"waited_us": time.Since(begun).Microseconds()}, resp.Body.Close()
}

func main() { lambda.Start(handle) }
