// Command pay takes events of a classic bus and publishes on a new custom one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/internal/eventsv2test"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	telemetry := export.Setup(cfg, os.Getenv)
	bus := eventsv2test.New(eventsv2test.Options{
		Region: cfg.Region, BaseEndpoint: os.Getenv("AWS_ENDPOINT_URL_EVENTBRIDGEV2"), Credentials: cfg.Credentials,
		APIOptions: []func(*middleware.Stack) error{publisher.Middleware(publisher.WithTelemetry(telemetry))},
	})
	pay := func(ctx context.Context, event events.EventBridgeEvent) error {
		var order struct {
			OrderID       string `json:"order_id"`
			CorrelationID string `json:"correlation_id"`
		}
		if err := json.Unmarshal(event.Detail, &order); err != nil {
			return err
		}
		detail := fmt.Sprintf(`{"order_id":%q,"correlation_id":%q,"event_id":%q,"total":5}`, order.OrderID, order.CorrelationID, "paid-"+order.OrderID)
		_, err := bus.PutEvents(ctx, &eventsv2test.PutEventsInput{EventBusArn: aws.String(os.Getenv("ORDERS")), Entries: []eventsv2test.PutEventsRequestEntry{{Source: aws.String("pay"), DetailType: aws.String("OrderPaid"), Detail: &detail}}})
		fmt.Println("paid", order.OrderID)
		return err
	}
	lambda.Start(handler.Wrap(pay, handler.WithTelemetry(telemetry)))
}
