package extension

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Outside Lambda the runtime endpoint stands before an emulator.
func TestSidecarBeforeAnEmulator(t *testing.T) {
	l := newLambdaAPI(t)
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- Sidecar(ctx, Config{RuntimeAddr: "127.0.0.1:0", RuntimeAPI: strings.TrimPrefix(l.URL, "http://"), TempDir: t.TempDir(), Metrics: metrics.Config{Service: "s"}, Out: &out},
			func(a map[string]string) { addresses <- a })
	}()
	url := "http://" + (<-addresses)["runtime"]
	l.payloads <- []byte(stampedEvent(1))
	if _, body := get(t, url+runtimePath+"next"); body != stampedEvent(1) {
		t.Errorf("next: %s", body)
	}
	post(t, url+runtimePath+"r-1/response", `{}`)
	stop()
	if err := <-done; err != nil || !strings.Contains(out.String(), `"EventType":"SignalGenerated"`) {
		t.Errorf("%v, wrote %s", err, out.String())
	}
	if err := Sidecar(t.Context(), Config{RuntimeAddr: "127.0.0.1:0"}, nil); err == nil || !strings.Contains(err.Error(), "AWS_LAMBDA_RUNTIME_API") {
		t.Errorf("without an emulator: %v", err)
	}
}

func TestSidecar(t *testing.T) {
	bus, busURL := startBus(t)
	backend := answering(t, func(w http.ResponseWriter, _ *http.Request) {})
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	addresses := make(chan map[string]string, 1)
	done := make(chan error, 1)
	config := Config{
		OTLPAddr: "127.0.0.1:0", EventsAddr: "127.0.0.1:0", AlpacaAddr: "127.0.0.1:0", EventsUpstream: busURL, TempDir: t.TempDir(),
		Upstream: otlp.Config{URL: backend.URL + "/v1/traces"}, Credentials: func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret"}, nil
		}, Metrics: metrics.Config{Service: "sidecar"}, Out: &out, SizeLimit: 1 << 20, SizeWarn: 200_000,
	}
	go func() { done <- Sidecar(ctx, config, func(a map[string]string) { addresses <- a }) }()
	at := <-addresses
	for name, address := range at {
		if resp, _ := get(t, "http://"+address+"/healthz"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if _, err := client("http://"+at["events"], ours).PutEvents(t.Context(), one(`{"event_id":"e"}`)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(bus.ledger()) != 1 || !strings.Contains(out.String(), `"EventsPublished":1`) || len(backend.bodies) != 1 {
		t.Errorf("%s, %d exports", out.String(), len(backend.bodies))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// It goes on without an endpoint whose port is taken, and ends where there is none left.
	var log buffer
	ctx, stop = context.WithCancel(t.Context())
	config.EventsAddr, config.Log = taken.Addr().String(), &log
	go func() { done <- Sidecar(ctx, config, func(a map[string]string) { addresses <- a }) }()
	if at := <-addresses; at["events"] != "" || at["otlp"] == "" || !strings.Contains(log.String(), "the events endpoint is off") {
		t.Errorf("a taken port: %v, said %q", at, log.String())
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	config.OTLPAddr, config.AlpacaAddr = "", ""
	if err := Sidecar(t.Context(), config, nil); err == nil {
		t.Error("it runs without an endpoint")
	}
}
