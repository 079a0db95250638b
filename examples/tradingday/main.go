// Command tradingday is the functions of a small trading system, one binary
// for all of them: Lambda's handler name says which one a process is. They
// publish and consume the events of the first user's shapes, place orders over
// HTTP, and are instrumented with Throughline's Go library, which is the part
// to copy: see main.
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
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	if err := run(context.Background(), os.Getenv); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, getenv func(string) string) error {
	telemetry, err := export.Setup(ctx, getenv)
	if err != nil {
		return fmt.Errorf("set up telemetry: %w", err)
	}
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("load AWS configuration: %w", err)
	}
	set := metrics.New(telemetry.Metrics)
	day := &tradingDay{
		bus: publisher.New(eventbridge.NewFromConfig(aws), publisher.WithTracing(telemetry.Tracing), publisher.WithMetrics(set),
			publisher.WithLimit(telemetry.SizeLimit), publisher.WithWarning(telemetry.SizeWarn)),
		tracing: telemetry.Tracing,
		metrics: set,
		alpaca:  getenv("ALPACA_URL"),
		events:  getenv("TRADINGDAY_EVENTS"),
	}
	handle, ok := day.functions()[getenv("_HANDLER")]
	if !ok {
		return fmt.Errorf("no function is called %q", getenv("_HANDLER"))
	}
	if pause, err := time.ParseDuration(getenv("TRADINGDAY_INIT")); err == nil {
		time.Sleep(pause) // a cold start slower than the others
	}
	lambda.Start(handler.Wrap(handle,
		handler.WithTracing(telemetry.Tracing),
		handler.WithMetrics(set, telemetry.MetricsOut),
		handler.WithDedupe(telemetry.Dedupe),
		handler.WithFlush(telemetry.Flush),
		handler.WithExtension(telemetry.Extension),
	))
	return nil
}
