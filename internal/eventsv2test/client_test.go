package eventsv2test

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/peertest"
)

const bus = "arn:aws:events:eu-central-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"

func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../extension/internal/putevents/testdata/golden/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// What the client writes is what the golden bytes of AWS's client for Go say, and
// an answer with DEDUPLICATED and no FailedEntryCount is a success.
func TestClient(t *testing.T) {
	var path, body string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		path, body = r.URL.Path+" "+r.Header.Get("Smithy-Protocol")+" "+r.Header.Get("Content-Type"), hex.EncodeToString(data)
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.WriteHeader(status)
		answer := cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.String("e-1"), "SuccessCode": cbor.String("DEDUPLICATED")}}}
		if status != http.StatusOK {
			answer = cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#InvalidInputException"), "Message": cbor.String("no")}
		}
		_, _ = w.Write(cbor.Encode(answer))
	}))
	defer server.Close()
	c := New(Options{Region: "eu-central-1", BaseEndpoint: server.URL, Credentials: peertest.Credentials("A", "secret", "")})
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	out, err := c.PutEvents(t.Context(), &PutEventsInput{EventBusArn: aws.String(bus), Entries: []PutEventsRequestEntry{
		{Source: aws.String("shop"), DetailType: aws.String("OrderPlaced"), Detail: aws.String(`{"event_id":"order-1","ü":"✓"}`), Resources: []string{"arn:aws:s3:::b"}, Time: &at,
			SystemMetadata: &PutEventsSystemMetadata{EventGroupId: aws.String("customer-7")}},
		{Source: aws.String("shop"), DetailType: aws.String("OrderPaid"), Detail: aws.String("{}")},
	}})
	if err != nil || out.FailedEntryCount != 0 || len(out.Entries) != 1 || out.Entries[0].SuccessCode != "DEDUPLICATED" || aws.ToString(out.Entries[0].EventId) != "e-1" {
		t.Fatalf("%+v, %v", out, err)
	}
	if path != "/service/AWSEventsV2/operation/PutEvents rpc-v2-cbor application/cbor" || body != golden(t, "PutEvents.go") {
		t.Errorf("%s\n%s", path, body)
	}
	raw, err := c.PutRawEvents(t.Context(), &PutRawEventsInput{EventBusArn: aws.String(bus), Entries: []PutRawEventsRequestEntry{
		{Data: []byte(`{"event_id":"order-1","event_type":"OrderPlaced"}`), Metadata: map[string]string{"tenant": "t-1"}, SystemMetadata: &PutRawEventsSystemMetadata{ContentType: aws.String("application/json")}},
		{Data: []byte("\x00\xff"), SystemMetadata: &PutRawEventsSystemMetadata{ContentType: aws.String("application/octet-stream"), EventGroupId: aws.String("customer-7")}},
	}})
	if err != nil || len(raw.Entries) != 1 || body != golden(t, "PutRawEvents.go") {
		t.Errorf("%+v, %v\n%s", raw, err, body)
	}
	status = http.StatusBadRequest
	var refused smithy.APIError
	if _, err := c.PutEvents(t.Context(), &PutEventsInput{}); !errors.As(err, &refused) || refused.ErrorCode() != "InvalidInputException" {
		t.Errorf("%v", err)
	}
}
