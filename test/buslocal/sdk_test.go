package buslocal_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/peertest"
)

const spaced = `{"b": 1.50, "a": 12345678901234567890,  "ü": "\u2713", "a": null}`

// recorder is a target that keeps what it is handed.
type recorder struct {
	mu  sync.Mutex
	got []buslocal.Message
}

func (*recorder) Name() string { return "recorder" }

func (t *recorder) Deliver(_ context.Context, m buslocal.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = append(t.got, m)
	return nil
}

func (t *recorder) messages() []buslocal.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.got)
}

// start returns a running bus that sends every event to the target.
func start(t *testing.T, target buslocal.Target) (*buslocal.Bus, string) {
	t.Helper()
	b := buslocal.New(buslocal.Options{})
	t.Cleanup(b.Close)
	url, err := b.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddRule(buslocal.Rule{Name: "all", Targets: []buslocal.RuleTarget{{Target: target}}}); err != nil {
		t.Fatal(err)
	}
	return b, url
}

func settle(t *testing.T, b *buslocal.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTheGoSDKPublishes(t *testing.T) {
	in := &recorder{}
	b, url := start(t, in)
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
	in := &recorder{}
	b, url := start(t, in)
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
