// Command tradingday has the functions of a small trading system in one binary. Lambda's
// handler name selects the function of a process. The functions publish and consume
// events, place orders over HTTP, and are instrumented with Throughline's Go library;
// main shows how.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	if err := run(context.Background(), os.Getenv); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, getenv func(string) string) error {
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("load AWS configuration: %w", err)
	}
	telemetry := export.Setup(aws, getenv)
	day := &tradingDay{
		bus:    publisher.New(eventbridge.NewFromConfig(aws), publisher.WithTelemetry(telemetry)),
		calls:  tracing.WithTelemetry(telemetry),
		alpaca: getenv("ALPACA_URL"),
		events: getenv("TRADINGDAY_EVENTS"),
	}
	if day.newBus = getenv("TRADINGDAY_NEW_BUS"); day.newBus != "" {
		client := &eventBridgeV2{aws, getenv("AWS_ENDPOINT_URL_EVENTBRIDGEV2")}
		if day.put, err = publisher.Decorate(client.PutEvents, publisher.WithTelemetry(telemetry)); err != nil {
			return fmt.Errorf("decorate the client of the new bus: %w", err)
		}
	}
	handle, ok := day.functions()[getenv("_HANDLER")]
	if !ok {
		return fmt.Errorf("there is no function %q", getenv("_HANDLER"))
	}
	if pause, err := time.ParseDuration(getenv("TRADINGDAY_INIT")); err == nil {
		time.Sleep(pause) // a slow cold start
	}
	lambda.Start(handler.Wrap(handle, handler.WithTelemetry(telemetry)))
	return nil
}
