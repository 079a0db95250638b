// Command portfolio is a Go function that uses Throughline's library. It plans the trades
// for a signal.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	telemetry := export.Setup(cfg, os.Getenv)
	p := &planner{bus: publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry)), busName: os.Getenv("EVENT_BUS_NAME")}
	lambda.Start(handler.Wrap(p.handle, handler.WithTelemetry(telemetry)))
}

type planner struct {
	bus     *publisher.Publisher
	busName string
}

func (p *planner) handle(ctx context.Context, event events.EventBridgeEvent) error {
	var signal struct {
		EventID       string                     `json:"event_id"`
		CorrelationID string                     `json:"correlation_id"`
		Signals       map[string]json.RawMessage `json:"signals"`
	}
	if err := json.Unmarshal(event.Detail, &signal); err != nil {
		return fmt.Errorf("read the signal: %w", err)
	}
	entry, err := publisher.Entry("trading.portfolio", "RebalancePlanned", map[string]any{
		"event_id": "RebalancePlanned-" + event.ID, "correlation_id": signal.CorrelationID, "causation_id": signal.EventID,
		"symbols": slices.Sorted(maps.Keys(signal.Signals)),
	})
	if err != nil {
		return err
	}
	entry.EventBusName = &p.busName
	out, err := p.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err != nil {
		return err
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("RebalancePlanned was not published: %s", aws.ToString(out.Entries[0].ErrorCode))
	}
	return nil
}
