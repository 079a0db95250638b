package main

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

type shipment struct {
	EventID string `json:"event_id"`
}

// orders is the handler that docs/library.md shows.
type orders struct{ bus *publisher.Publisher }

func (o *orders) handle(ctx context.Context, event events.EventBridgeEvent) error {
	entry, err := publisher.Entry("shop.orders", "OrderShipped", shipment{EventID: "ship-1"}) // any value that marshals to a JSON object
	if err != nil {
		return err
	}
	_, err = o.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	return err
}

func TestOrders(t *testing.T) {
	local := buslocal.New(buslocal.Options{})
	defer local.Close()
	url, err := local.Start()
	if err != nil {
		t.Fatal(err)
	}
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	telemetry := export.Setup(cfg, func(string) string { return "" })
	o := &orders{bus: publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry))}
	function := lambda.NewHandler(handler.Wrap(o.handle, handler.WithTelemetry(telemetry)))
	const placed = `{"id": "e-1", "source": "shop", "detail-type": "OrderPlaced", "detail": {"event_id": "order-1", "correlation_id": "flow-1"}}`
	if _, err := function.Invoke(t.Context(), []byte(placed)); err != nil {
		t.Fatal(err)
	}
	if published := local.Ledger().Published; len(published) != 1 || published[0].Line("correlation") != "flow-1" {
		t.Errorf("published %+v", published)
	}
}
