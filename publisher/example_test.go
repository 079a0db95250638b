package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// paper is an EventBridge that answers without a network.
var paper = roundTripper(func(r *http.Request) (*http.Response, error) {
	var request struct{ Entries []wireEntry }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	for _, e := range request.Entries {
		fmt.Println("sent", e.DetailType, e.Detail, strings.Join(e.Resources[:2], " "))
	}
	answer := `{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed"}]}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
})

// A client that is made elsewhere is covered by its configuration.
func ExampleMiddleware() {
	cfg := aws.Config{ // in a function: config.LoadDefaultConfig(ctx)
		Region: "eu-west-1", HTTPClient: paper, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIALOCAL", SecretAccessKey: "local"}, nil
		}),
	}
	cfg.APIOptions = append(cfg.APIOptions, Middleware())

	client := eventbridge.NewFromConfig(cfg)
	output, err := client.PutEvents(context.Background(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("alchemiser.strategy"), DetailType: aws.String("SignalGenerated"),
		Detail: aws.String(`{"correlation_id":"workflow-1","causation_id":"run-7"}`),
	}}})
	fmt.Println(*output.Entries[0].EventId, err)
	// Output:
	// sent SignalGenerated {"correlation_id":"workflow-1","causation_id":"run-7"} correlation:workflow-1 causation:run-7
	// 11710aed <nil>
}

// Entries that EventBridge throttled are sent again, by themselves.
func ExampleWithRetries() {
	api := &script{codes: map[string][]string{"B": {"ThrottlingException"}}}
	p := New(api, WithRetries(Retries{Attempts: 3, Base: time.Millisecond}))
	output, err := p.PutEvents(context.Background(), entries("A", "B", "C"))
	fmt.Println(output.FailedEntryCount, err, "sent:", api.calls)
	// Output: 0 <nil> sent: [[A B C] [B]]
}

// What an event type's consumers cannot take is refused before the call, and
// the entry's result says so.
func ExampleWithRefusal() {
	p := New(&script{}, WithRefusal(262_144, "LegacyReport"))
	input := entries("LegacyReport", "SignalGenerated")
	input.Entries[0].Detail = aws.String(`{"rows":"` + strings.Repeat("x", 300_000) + `"}`)
	output, err := p.PutEvents(context.Background(), input)
	if err != nil {
		panic(err)
	}
	for _, e := range output.Entries {
		if aws.ToString(e.ErrorCode) == CodeTooLarge {
			fmt.Println(*e.ErrorMessage)
			continue
		}
		fmt.Println("published as", *e.EventId)
	}
	// Output:
	// the event has 300042 bytes, and 262144 are allowed for LegacyReport
	// published as id-SignalGenerated
}

// The detail of a large event goes to a store; what rules match on stays.
func ExampleWithClaims() {
	claims, err := claimcheck.New(claimcheck.Config{
		Store:               &shelf{objects: map[string]string{}}, // in a function: claimcheck/s3
		ConsumersUnderstand: true,
	})
	if err != nil {
		panic(err)
	}
	api := &script{details: map[string]string{}}
	p := New(api, WithClaims(claims, 200_000, "DataLakeUpdateCompleted"))
	input := entries("DataLakeUpdateCompleted")
	input.Entries[0].Detail = aws.String(`{"event_id":"e-1","status":"ok","rows":"` + strings.Repeat("x", 300_000) + `"}`)
	output, err := p.PutEvents(context.Background(), input)
	sent, _, _ := strings.Cut(api.details["DataLakeUpdateCompleted"], `"key"`)
	fmt.Println(output.FailedEntryCount, err, sent)
	// Output: 0 <nil> {"event_id":"e-1","status":"ok","_throughline":{"claim":{"bucket":"shelf",
}

// Counters and sizes are EMF lines, which a function writes to its log.
func ExampleWithMetrics() {
	set := metrics.New(metrics.Config{Service: "strategy", Profile: metrics.Full})
	p := New(&script{codes: map[string][]string{"B": {"MalformedDetail"}}}, WithMetrics(set), WithWarning(100_000))
	if _, err := p.PutEvents(context.Background(), entries("A", "B")); err != nil {
		panic(err)
	}
	var lines strings.Builder
	if err := set.Flush(&lines, time.Now()); err != nil {
		panic(err)
	}
	for _, want := range []string{`"EventsPublished":1`, `"EventsFailed":1`, `"EventsFailed_MalformedDetail":1`} {
		fmt.Println(strings.Contains(lines.String(), want), want)
	}
	// Output:
	// true "EventsPublished":1
	// true "EventsFailed":1
	// true "EventsFailed_MalformedDetail":1
}

// ledger is a bus of another kind, which tells events by their type.
type ledger struct{}

func (ledger) Limits() Limits             { return Limits{Entries: 100, Bytes: 1_000_000} }
func (ledger) Carrier() tracing.StampMode { return tracing.StampDetail }
func (ledger) Put(_ context.Context, entries []lineage.Entry) ([]Result, error) {
	results := make([]Result, len(entries))
	for i := range entries {
		results[i] = Result{EventID: fmt.Sprint("id-", i), SuccessCode: "PUBLISHED"}
		if i > 0 && entries[i].DetailType == entries[i-1].DetailType {
			results[i].SuccessCode = "DEDUPLICATED"
		}
	}
	return results, nil
}

// A bus of another API needs a Service of three methods.
func ExampleNewBus() {
	bus := NewBus(ledger{})
	results, err := bus.Publish(context.Background(), []lineage.Entry{
		{Source: "alchemiser.strategy", DetailType: "SignalGenerated", Detail: `{"n":1}`},
		{Source: "alchemiser.strategy", DetailType: "SignalGenerated", Detail: `{"n":1}`},
	})
	fmt.Println(results[0].SuccessCode, results[1].SuccessCode, err)
	// Output: PUBLISHED DEDUPLICATED <nil>
}

// The types of a client of EventBridgeV2, as far as they are looked at.
type (
	putEventsInput struct {
		EventBusArn *string
		Entries     []putEventsEntry
	}
	putEventsEntry struct {
		Source, DetailType, Detail *string
		Resources                  []string
	}
	putEventsOutput struct{ Entries []putEventsResult }
	putEventsResult struct{ EventId, ErrorCode, ErrorMessage *string }
)

// The method of a client is given, and called in its place: no module of the
// client's is needed here.
func ExampleDecorate() {
	client := func(_ context.Context, in *putEventsInput, _ ...func(*struct{})) (*putEventsOutput, error) {
		for _, line := range in.Entries[0].Resources {
			name, value, _ := strings.Cut(line, ":")
			fmt.Println(name, len(value))
		}
		return &putEventsOutput{Entries: make([]putEventsResult, 1)}, nil
	}
	put, err := Decorate(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	bus := "arn:aws:events:eu-west-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"
	_, err = put(context.Background(), &putEventsInput{EventBusArn: &bus, Entries: []putEventsEntry{
		{Source: aws.String("shop"), DetailType: aws.String("OrderPlaced"), Detail: aws.String(`{"correlation_id":"order-7"}`)},
	}})
	fmt.Println(err)
	// Output:
	// correlation 7
	// traceparent 55
	// hops 1
	// minted 1
	// <nil>
}
