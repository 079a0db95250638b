package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/dedupe/dynamo"
)

func ExampleNew() {
	// A table that has seen signal-1; in a function, leave Endpoint empty and
	// take the credentials of the SDK's configuration.
	table := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{"pk":{"S":"portfolio#signal-1"},
			"state":{"S":"seen"},"at":{"N":"1795466700000"},"envelope":{"S":"env-1"},"request":{"S":"r-1"},"count":{"N":"1"}}}`)
	}))
	defer table.Close()
	store, err := dynamo.New(dynamo.Config{
		Table: "throughline-seen", Region: "us-east-1", Endpoint: table.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	checker := dedupe.New(dedupe.Config{Store: store, Wait: time.Second})
	event := dedupe.Delivery{Consumer: "portfolio", EventID: "signal-1", EnvelopeID: "env-2", RequestID: "r-2", At: time.Now()}

	checks := checker.Start(context.Background(), []dedupe.Delivery{event})
	// … the handler runs …
	verdict := checks.Verdicts(context.Background())[0]
	checks.Done(context.Background(), false)

	fmt.Println(verdict.Kind, "of", verdict.FirstRequestID, "at", verdict.FirstAt.Format(time.DateTime))
	// Output:
	// republish of r-1 at 2026-11-23 20:45:00
}

func ExampleTemplate() {
	template, err := dynamo.Template("throughline-seen")
	if err != nil {
		fmt.Println(err)
	}
	for line := range strings.Lines(template) {
		if strings.Contains(line, "Type: AWS") || strings.Contains(line, "TableName: ") {
			fmt.Print(strings.TrimLeft(line, " "))
		}
	}
	// Output:
	// Type: AWS::DynamoDB::Table
	// TableName: "throughline-seen"
}

func ExampleCheckName() {
	fmt.Println(dynamo.CheckName("throughline-seen"))
	fmt.Println(dynamo.CheckName("seen events"))
	// Output:
	// <nil>
	// "seen events" is no table name: it takes 3 to 255 of a-z, A-Z, 0-9, and _.-
}

// A table that is not there says what to do, and is not taken for a repeat.
func ExampleError() {
	table := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}`)
	}))
	defer table.Close()
	store, err := dynamo.New(dynamo.Config{
		Table: "throughline-seen", Region: "us-east-1", Endpoint: table.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, won, err := store.Claim(context.Background(), "portfolio#signal-1", dedupe.Record{State: dedupe.Seen}, time.Now())
	var refusal *dynamo.Error
	fmt.Println(won, errors.As(err, &refusal), dynamo.Throttled(err))
	fmt.Println(err)
	// Output:
	// false true false
	// there is no dedupe table throughline-seen in us-east-1: make it with `throughline dedupe create-table --table throughline-seen`, or correct THROUGHLINE_DEDUPE
}

func ExampleThrottled() {
	fmt.Println(dynamo.Throttled(&dynamo.Error{Code: "ProvisionedThroughputExceededException"}), dynamo.Throttled(context.DeadlineExceeded))
	// Output: true false
}
