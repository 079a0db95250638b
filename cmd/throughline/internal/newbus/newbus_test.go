package newbus

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/local/eventsv2local"
)

type target struct{}

func (target) Name() string { return "fulfil" }
func (target) Deliver(context.Context, eventsv2local.Batch) ([]string, error) {
	return nil, nil
}

func config(url string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("id", "key", "")}
}

func TestRead(t *testing.T) {
	service := eventsv2local.New(eventsv2local.Options{})
	defer service.Close()
	url, err := service.Start()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := service.CreateBus("orders", 3)
	if err != nil {
		t.Fatal(err)
	}
	const fulfil, dead = "arn:aws:lambda:us-east-1:123456789012:function:fulfil", "arn:aws:sqs:us-east-1:123456789012:dead"
	service.Target(fulfil, target{})
	service.DeadLetters(dead, &eventsv2local.DeadLetters{})
	retries := 2
	sub, err := bus.Subscribe(eventsv2local.Spec{Name: "placed", Invoke: eventsv2local.Invoke{TargetARN: fulfil}, Filters: []eventsv2local.Filter{{Pattern: `{"source":["shop"]}`, Scope: eventsv2local.ScopeData}}, MaxBatch: 1, MaxRetries: &retries, DeadLetters: dead})
	if err != nil {
		t.Fatal(err)
	}
	c := New(config(url))
	buses, err := c.Buses(t.Context())
	if err != nil || len(buses) != 1 || buses[0].ARN != bus.ARN || buses[0].State != "ACTIVE" {
		t.Errorf("%+v %v", buses, err)
	}
	if b, err := c.Bus(t.Context(), bus.ARN); err != nil || b.Storage.RetentionDays != 3 || b.Name != "orders" {
		t.Errorf("%+v %v", b, err)
	}
	list, err := c.Subscribers(t.Context(), bus.ARN)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	s := list[0]
	if s.ARN != sub.ARN || s.Bus != bus.ARN || s.Name != "placed" || s.Invoke.Target != fulfil || len(s.Filter.Filters) != 1 || s.Filter.Filters[0] != (Filter{`{"source":["shop"]}`, "DATA"}) ||
		*s.Batch.Size != 1 || *s.Retry.Attempts != 2 || *s.Retry.Seconds != 300 || s.OnFailure.ARN != dead || s.Created.IsZero() || s.Transformer.Type != "RAW" || len(s.All["InvokeConfiguration"]) == 0 {
		t.Errorf("%+v", s)
	}
	if _, err := c.Bus(t.Context(), "arn:aws:events:us-east-1:123456789012:event-busv2/none/aaaaaaaaaaaaaaaaaaaaaaaaa"); account.ErrorCode(err) != "ResourceNotFoundException" {
		t.Errorf("%v", err)
	}
}

// TestPagesAndRetries holds what the stand-in does not do: pages, throttled calls, and an
// answer that is no CBOR.
func TestPagesAndRetries(t *testing.T) {
	calls, broken := 0, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#ThrottlingException"), "Message": cbor.String("slower")}))
			return
		}
		if r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" || !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/events/aws4_request") {
			t.Errorf("%v", r.Header)
		}
		answer := cbor.Map{"EventBuses": cbor.List{cbor.Map{"Name": cbor.String("a")}}}
		switch {
		case broken:
			_, _ = w.Write([]byte("{}"))
			return
		case calls == 2:
			answer["NextToken"] = cbor.String("more")
		}
		_, _ = w.Write(cbor.Encode(answer))
	}))
	defer server.Close()
	c := New(config(server.URL))
	if buses, err := c.Buses(t.Context()); err != nil || len(buses) != 2 || calls != 3 {
		t.Errorf("%+v %v, %d calls", buses, err, calls)
	}
	broken = true
	if _, err := c.Buses(t.Context()); err == nil || !strings.Contains(err.Error(), "not in CBOR") {
		t.Errorf("%v", err)
	}
}

func TestHost(t *testing.T) {
	for region, want := range map[string]string{"eu-west-1": "https://1.eventsv2.eu-west-1.amazonaws.com", "cn-north-1": "https://1.eventsv2.cn-north-1.amazonaws.com.cn"} {
		if got := New(aws.Config{Region: region}).host(aws.Credentials{AccountID: "1"}); got != want {
			t.Errorf("%s", got)
		}
	}
	if got := New(aws.Config{Region: "eu-west-1"}).host(aws.Credentials{}); got != "https://eventsv2.eu-west-1.amazonaws.com" {
		t.Errorf("%s", got)
	}
	t.Setenv("AWS_ENDPOINT_URL_EVENTBRIDGEV2", "http://127.0.0.1:1/")
	if got := New(aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String("http://other")}).host(aws.Credentials{AccountID: "1"}); got != "http://127.0.0.1:1" {
		t.Errorf("%s", got)
	}
}
