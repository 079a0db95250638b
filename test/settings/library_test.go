package settings_test

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/hops"
	"github.com/throughline/throughline/internal/eventsv2test"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// asLibrary makes the test's binary the function that README wires.
const asLibrary = "TEST_AS_LIBRARY"

func TestMain(m *testing.M) {
	if os.Getenv(asLibrary) != "" {
		function()
		return
	}
	var err error
	if folder, err = os.MkdirTemp("", "settings"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// order is what a test has the function do.
type order struct {
	Publish []string `json:"publish,omitempty"` // type and detail
	Get     string   `json:"get,omitempty"`
	Send    string   `json:"send,omitempty"` // the URL of a queue
	// Deduplicated is an event on a new custom bus.
	Deduplicated bool `json:"deduplicated,omitempty"`
}

// function is the function of README's "The Go library".
func function() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	telemetry := export.Setup(cfg, os.Getenv)
	bus := publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry))
	cfg.APIOptions = append(cfg.APIOptions, hops.Middleware(hops.WithTelemetry(telemetry)))
	handle := func(ctx context.Context, payload json.RawMessage) error {
		var do order
		_ = json.Unmarshal(payload, &do) // an event orders nothing
		if len(do.Publish) == 2 {
			return publish(ctx, bus, do.Publish[0], do.Publish[1])
		}
		if do.Get != "" {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, do.Get, nil)
			if err != nil {
				return err
			}
			resp, err := tracing.Client(ctx, tracing.WithTelemetry(telemetry)).Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
		if do.Deduplicated {
			bus := os.Getenv("AWS_ENDPOINT_URL_EVENTBRIDGE")
			publishDeduplicated(ctx, eventsv2test.Options{
				Region: cfg.Region, BaseEndpoint: bus, Credentials: cfg.Credentials,
				APIOptions: []func(*middleware.Stack) error{publisher.Middleware(publisher.WithTelemetry(telemetry))},
			})
		}
		if do.Send != "" {
			body := "work"
			queues := sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint, o.DisableMessageChecksumValidation = &do.Send, true })
			_, err := queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &do.Send, MessageBody: &body})
			return err
		}
		return nil
	}
	lambda.Start(handler.Wrap(handle, handler.WithTelemetry(telemetry)))
}
