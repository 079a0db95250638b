package buslocal

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/internal/peertest"
)

func TestTheGoSDKPublishes(t *testing.T) {
	in := &taker{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	client := eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", ""), RetryMaxAttempts: 1,
	})
	entry := types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("t"), Detail: aws.String(spaced), Resources: []string{"correlation:x"}}
	out, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry, {Source: aws.String("s")}}})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, b)
	if out.FailedEntryCount != 1 || aws.ToString(out.Entries[1].ErrorCode) != "InvalidArgument" || aws.ToString(out.Entries[0].EventId) != in.messages()[0].Event.ID {
		t.Errorf("output %+v", out)
	}
	b.Throttle(1)
	var api smithy.APIError
	if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}}); !errors.As(err, &api) || api.ErrorCode() != "ThrottlingException" {
		t.Errorf("throttled: %v", err)
	}
}

func TestBoto3Publishes(t *testing.T) {
	python := peertest.Command(t, "python3")
	if exec.Command(python, "-c", "import boto3").Run() != nil {
		peertest.Missing(t, "boto3")
	}
	in := &taker{name: "f"}
	b, url := start(t, Options{}, RuleTarget{Target: in})
	const script = `
import boto3, datetime, sys
events = boto3.client("events", region_name="us-east-1", aws_access_key_id="AKIALOCAL", aws_secret_access_key="local", endpoint_url=sys.argv[1])
out = events.put_events(Entries=[{"Source": "s", "DetailType": "t", "Detail": sys.argv[2], "Resources": ["correlation:x"], "Time": datetime.datetime(2026, 2, 13, 20, 45, 3, tzinfo=datetime.timezone.utc)}])
assert out["FailedEntryCount"] == 0, out
try:
    events.put_events(Entries=[{"Source": "s"}])
    raise SystemExit("no entry is whole, and it was taken")
except events.exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "ValidationException", e
`
	if out, err := exec.Command(python, "-c", script, url, spaced).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	settle(t, b)
	m := in.messages()[0]
	if m.Event.Detail != spaced || !strings.Contains(string(m.Payload), `"time":"2026-02-13T20:45:03Z"`) {
		t.Errorf("envelope %s", m.Payload)
	}
}
