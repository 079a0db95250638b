package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
)

// tradingDay is what the functions share. It has no state of a day.
type tradingDay struct {
	bus *publisher.Publisher
	// newBus is the ARN of a new custom bus, and put publishes to it; both are empty
	// without one. The events of hedge stay on the classic bus, as during a migration.
	newBus string
	put    func(context.Context, *putEventsInput, ...func(*struct{})) (*putEventsOutput, error)
	calls  tracing.Option
	alpaca string // base URL of the trading API
	events string // folder with the events to publish
}

func (d *tradingDay) functions() map[string]any {
	return map[string]any{
		"strategy":      d.strategy,
		"portfolio":     d.portfolio,
		"execution":     d.execution,
		"aggregator":    d.aggregator,
		"hedge":         d.hedge,
		"notifications": d.notifications,
		"reports":       d.reports,
	}
}

// strategy runs on a schedule and starts the day's workflow.
func (d *tradingDay) strategy(ctx context.Context, _ json.RawMessage) error {
	return errors.Join(
		d.publish(ctx, "12-schedule-created-uncorrelated"),
		d.publish(ctx, "01-signal-generated"),
		d.publish(ctx, "10-signal-generated-near-limit"),
		d.publish(ctx, "07-data-lake-update-completed"),
	)
}

// portfolio plans a rebalance for a signal, except for one with the indicators of a whole
// back-test.
func (d *tradingDay) portfolio(ctx context.Context, event events.EventBridgeEvent) error {
	var signal struct {
		Count int `json:"signal_count"`
	}
	if err := json.Unmarshal(event.Detail, &signal); err != nil {
		return fmt.Errorf("read signal: %w", err)
	}
	if len(event.Detail) > 100_000 {
		return nil
	}
	return d.publish(ctx, "02-rebalance-planned")
}

// execution receives plans from a queue, places one order for each symbol and publishes
// the trades. A plan whose order is refused returns to the queue.
func (d *tradingDay) execution(ctx context.Context, batch events.SQSEvent) error {
	for range batch.Records {
		for _, symbol := range []string{"AAPL", "GOOGL", "MSFT"} {
			if err := d.order(ctx, symbol); err != nil {
				return err
			}
		}
		if err := d.publish(ctx, "03-trade-executed-aapl", "04-trade-executed-googl", "05-trade-executed-msft"); err != nil {
			return err
		}
		// The same trade again, as a retried handler would publish it: a republish.
		if err := d.publish(ctx, "03-trade-executed-aapl"); err != nil {
			return err
		}
	}
	return nil
}

func (d *tradingDay) order(ctx context.Context, symbol string) error {
	body := fmt.Sprintf(`{"symbol":%q,"qty":"1","side":"buy","type":"market","time_in_force":"day"}`, symbol)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.alpaca+"/v2/orders", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("order %s: %w", symbol, err)
	}
	req.Header.Set("APCA-API-KEY-ID", "demo-key")
	req.Header.Set("APCA-API-SECRET-KEY", "demo-secret")
	client := tracing.Client(ctx, d.calls)
	client.Timeout = 10 * time.Second
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("order %s: %w", symbol, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("order %s: read the response: %w", symbol, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("order %s: %s", symbol, resp.Status)
	}
	return nil
}

// aggregator publishes the end of the run after the last of its trades.
func (d *tradingDay) aggregator(ctx context.Context, event events.EventBridgeEvent) error {
	if !bytes.Contains(event.Detail, []byte(`"symbol": "MSFT"`)) {
		return nil
	}
	return d.publish(ctx, "06-all-trades-completed")
}

func (d *tradingDay) hedge(ctx context.Context, _ events.EventBridgeEvent) error {
	return d.publishClassic(ctx, "11-hedge-evaluation-tricky")
}

// notifications would send mail. It receives events from rules and from a topic.
func (d *tradingDay) notifications(context.Context, json.RawMessage) (string, error) {
	return "sent", nil
}

// reports runs longer than its time-out.
func (d *tradingDay) reports(ctx context.Context, _ json.RawMessage) error {
	select {
	case <-time.After(time.Minute):
		return nil
	case <-ctx.Done():
		time.Sleep(time.Minute) // a handler that ignores its deadline
		return ctx.Err()
	}
}

// event is an event of the folder, which is published byte for byte.
type event struct{ Source, DetailType, Detail, EventBusName string }

func (d *tradingDay) read(names []string) (list []event, err error) {
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(d.events, name+".json"))
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("read event %s: %w", name, err)
		}
		list = append(list, e)
	}
	return list, nil
}

// publish publishes the named events in one request.
func (d *tradingDay) publish(ctx context.Context, names ...string) error {
	if d.newBus == "" {
		return d.publishClassic(ctx, names...)
	}
	list, err := d.read(names)
	if err != nil {
		return err
	}
	input := &putEventsInput{EventBusArn: &d.newBus}
	for _, e := range list {
		input.Entries = append(input.Entries, putEventsEntry{Source: &e.Source, DetailType: &e.DetailType, Detail: &e.Detail})
	}
	output, err := d.put(ctx, input)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for i, result := range output.Entries {
		if result.ErrorCode != nil {
			return fmt.Errorf("publish %s: %s: %s", names[i], *result.ErrorCode, aws.ToString(result.ErrorMessage))
		}
	}
	return nil
}

func (d *tradingDay) publishClassic(ctx context.Context, names ...string) error {
	list, err := d.read(names)
	if err != nil {
		return err
	}
	input := &eventbridge.PutEventsInput{}
	for _, e := range list {
		input.Entries = append(input.Entries, types.PutEventsRequestEntry{
			Source: &e.Source, DetailType: &e.DetailType, Detail: &e.Detail, EventBusName: &e.EventBusName,
		})
	}
	output, err := d.bus.PutEvents(ctx, input)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for i, result := range output.Entries {
		if result.ErrorCode != nil {
			return fmt.Errorf("publish %s: %s: %s", names[i], *result.ErrorCode, aws.ToString(result.ErrorMessage))
		}
	}
	return nil
}
