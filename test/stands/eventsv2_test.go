package stands

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

// newestPython is the Python environment with the newest boto3, which has EventBridgeV2.
func newestPython(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../build/python/3.1*/base/bin/python")
	if err != nil || len(found) == 0 {
		peertest.Missing(t, "a Python environment with the newest boto3 (`make python` installs it)")
	}
	python, err := filepath.Abs(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return python
}

// TestEventsV2 makes a bus and subscribers by AWS's own client for Python, and puts
// events on it, straight and through the sidecar.
func TestEventsV2(t *testing.T) {
	want := []string{
		"ACTIVE 7 datetime",
		"orders ['orders']",
		"ResourceAlreadyExistsException 409 ResourceNotFoundException 404",
		"UNORDERED LATEST RUNNING",
		"{'MaxRetryAttempts': 5, 'MaxEventAgeInSeconds': 300} {'MaxBatchSize': 1, 'MaxBatchWindowInSeconds': 0} {'Type': 'WITH_METADATA'} [{'Pattern': '{\"source\":[\"shop\"]}', 'Scope': 'DATA'}]",
		"['all']",
		"InvalidInputException 400",
		"STOPPED",
		"['PUBLISHED', 'VALIDATION_ERROR'] 1",
		"['PUBLISHED'] None",
		"ResourceNotFoundException 404",
		"RUNNING",
		"POINT_IN_TIME RUNNING",
		"ResourceInUseException 409",
	}
	for _, through := range []string{"straight", "through the sidecar"} {
		t.Run(through, func(t *testing.T) {
			s := eventsv2local.New(eventsv2local.Options{})
			t.Cleanup(s.Close)
			url, err := s.Start()
			if err != nil {
				t.Fatal(err)
			}
			const function, dead = "arn:aws:lambda:us-east-1:123456789012:function:f", "arn:aws:sqs:us-east-1:123456789012:dead"
			var mu sync.Mutex
			var payloads []string
			s.Target(function, eventsv2local.Function{FunctionName: "f", Invoke: func(_ context.Context, payload []byte, _ bool) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				payloads = append(payloads, string(payload))
				return nil, nil
			}})
			s.DeadLetters(dead, &eventsv2local.DeadLetters{})
			putting := url
			if through != "straight" {
				putting = sidecar(t, url)
			}
			got := run(t, newestPython(t), "eventsv2.py", url, "PUTTING="+putting, "TARGET="+function, "DEAD="+dead, "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=", "NO_PROXY=127.0.0.1")
			compare(t, "boto3", got, want, nil)
			if err := s.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkDelivered(t, s, payloads, through != "straight")
		})
	}
}

// checkDelivered holds what the function got to what was put.
func checkDelivered(t *testing.T, s *eventsv2local.Service, payloads []string, stamped bool) {
	t.Helper()
	published := s.Ledger().Published
	if len(published) != 2 || (published[0].Line("traceparent") != "") != stamped || (published[1].Line("correlationid") != "") != stamped || published[1].Line("tenant") != "t-1" {
		t.Errorf("published %+v", published)
	}
	single, replays := 0, 0
	for _, payload := range payloads {
		var event struct {
			Data           struct{ Detail json.RawMessage }
			SystemMetadata map[string]string
		}
		switch {
		case strings.HasPrefix(payload, "["):
			replays += strings.Count(payload, "REPLAY")
		case json.Unmarshal([]byte(payload), &event) == nil && event.SystemMetadata["aws:DeliveryType"] == "LIVE":
			single++
			if id := event.SystemMetadata["aws:EventId"]; !slices.Contains([]string{published[0].ID, published[1].ID}, id) {
				t.Errorf("%s was not published", id)
			}
		default:
			t.Errorf("the function got %s", payload)
		}
	}
	if single != 2 || replays != 2 {
		t.Errorf("%d events came alone, %d as replays: %q", single, replays, payloads)
	}
}

// sidecar runs the sidecar's events endpoint before a service, and returns its URL.
func sidecar(t *testing.T, upstream string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- extension.Sidecar(ctx, extension.Config{
			EventsAddr: "127.0.0.1:0", EventsUpstream: upstream, TempDir: t.TempDir(), Region: "us-east-1", Metrics: metrics.Config{Service: "s"}, Out: &strings.Builder{},
			Credentials: func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret"}, nil
			},
		}, func(a map[string]string) { addresses <- a })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + (<-addresses)["events"]
}
