// Command go-library is a Go function instrumented with Throughline's library: a
// decorator of the EventBridge client, a wrapper of the handler, and an HTTP client that
// propagates the lineage. It handles SignalGenerated, calls the exchange, and publishes
// its decision.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	telemetry := export.Setup(cfg, os.Getenv) // where spans and metrics go, by environment; cfg is AWS's SDK's
	bus := publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry))
	p := &portfolio{
		bus:     bus,
		calls:   tracing.WithTelemetry(telemetry),
		alpaca:  cmp.Or(os.Getenv("ALPACA_URL"), "https://paper-api.alpaca.markets"),
		busName: cmp.Or(os.Getenv("BUS"), "trading"),
	}
	lambda.Start(handler.Wrap(p.handle, handler.WithTelemetry(telemetry)))
}

type portfolio struct {
	bus     *publisher.Publisher // has the PutEvents method of the client
	calls   tracing.Option
	alpaca  string
	busName string
}

func (p *portfolio) handle(ctx context.Context, event events.EventBridgeEvent) (map[string]bool, error) {
	var signal struct {
		EventID       string `json:"event_id"`
		CorrelationID string `json:"correlation_id"`
	}
	if err := json.Unmarshal(event.Detail, &signal); err != nil {
		return nil, fmt.Errorf("read signal: %w", err)
	}
	status, err := p.clock(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := publisher.Entry("trading.portfolio", "RebalancePlanned", map[string]any{
		"event_id": "plan-of-" + signal.EventID, "correlation_id": signal.CorrelationID, "market_status": status,
	})
	if err != nil {
		return nil, err
	}
	entry.EventBusName = &p.busName
	out, err := p.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err != nil {
		return nil, err
	}
	if out.FailedEntryCount > 0 {
		return nil, fmt.Errorf("not published: %s", aws.ToString(out.Entries[0].ErrorCode))
	}
	return map[string]bool{"planned": true}, nil
}

// clock calls the exchange. The call carries the lineage of the event.
func (p *portfolio) clock(ctx context.Context) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.alpaca+"/v2/clock", nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	req.Header.Set("APCA-API-KEY-ID", os.Getenv("ALPACA_KEY"))
	resp, err := tracing.Client(ctx, p.calls).Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	return resp.StatusCode, resp.Body.Close()
}
