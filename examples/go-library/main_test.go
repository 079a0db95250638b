package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// TestLineage runs the function on a local bus: the event that it publishes belongs to
// the workflow of the event that it handles.
func TestLineage(t *testing.T) {
	local := buslocal.New(buslocal.Options{Buses: []string{"trading"}})
	defer local.Close()
	url, err := local.Start()
	if err != nil {
		t.Fatal(err)
	}
	exchange := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer exchange.Close()

	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	telemetry := export.Setup(cfg, func(string) string { return "" }) // exports nothing
	p := &portfolio{
		bus:     publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry)),
		calls:   tracing.WithTelemetry(telemetry),
		alpaca:  exchange.URL,
		busName: "trading",
	}
	function := lambda.NewHandler(handler.Wrap(p.handle, handler.WithTelemetry(telemetry)))
	const signal = `{"id": "e-1", "source": "trading.signals", "detail-type": "SignalGenerated", "detail": {"event_id": "signal-1", "correlation_id": "day-1"}}`
	if _, err := function.Invoke(t.Context(), []byte(signal)); err != nil {
		t.Fatal(err)
	}

	published := local.Ledger().Published
	if len(published) != 1 || published[0].DetailType != "RebalancePlanned" || published[0].Line("correlation") != "day-1" || published[0].Line("causation") != "signal-1" {
		t.Errorf("published %+v", published)
	}
}
