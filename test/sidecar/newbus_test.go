package sidecar

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

// onANewBus puts events of both kinds, and prints what it was answered.
const onANewBus = `
import boto3, datetime
client = boto3.client("eventbridgev2")
bus = "arn:aws:events:eu-west-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"
at = datetime.datetime(2026, 11, 27, 10, 0, 0, tzinfo=datetime.timezone.utc)
entries = [
    {"Source": "shop", "DetailType": "OrderPlaced", "Detail": '{"event_id":"o-1","ü":"✓"}', "Resources": ["arn:aws:s3:::b"], "Time": at, "SystemMetadata": {"EventGroupId": "c-7"}},
    {"Source": "shop", "DetailType": "OrderPaid", "Detail": "{}"},
]
print(client.put_events(EventBusArn=bus, Entries=entries)["Entries"])
print(client.put_events(EventBusArn=bus, Entries=entries[1:], DeduplicationConfiguration={"DeduplicationType": "CONTENT_BASED"}))
print(client.put_raw_events(EventBusArn=bus, Entries=[
    {"Data": b'{"event_id":"o-1"}', "Metadata": {"tenant": "t-1"}, "SystemMetadata": {"ContentType": "application/json"}},
    {"Data": b"\x00\xff", "SystemMetadata": {"ContentType": "application/octet-stream"}},
])["Entries"])
`

// newBuses is the new custom buses' endpoint. It throttles the first request.
type newBuses struct {
	*httptest.Server
	mu       sync.Mutex
	throttle int
	requests []cbor.Value
}

func startNewBuses(t *testing.T) *newBuses {
	b := &newBuses{throttle: 1}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request, problem := cbor.Decode(body)
		if err != nil || problem != nil {
			t.Errorf("%v, %v", err, problem)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		if b.throttle > 0 {
			b.throttle--
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#ThrottlingException")}))
			return
		}
		b.requests = append(b.requests, request)
		m, _ := request.(cbor.Map)
		entries, _ := m["Entries"].(cbor.List)
		code := "PUBLISHED"
		if m["DeduplicationConfiguration"] != nil {
			code = "DEDUPLICATED"
		}
		results := cbor.List{}
		for i := range entries {
			results = append(results, cbor.Map{"EventId": cbor.String(fmt.Sprint("e-", i)), "SuccessCode": cbor.String(code)})
		}
		_, _ = w.Write(cbor.Encode(cbor.Map{"Entries": results}))
	}))
	t.Cleanup(b.Close)
	return b
}

// unstamp takes the stamp out of a request and says how many entries had one.
func unstamp(request cbor.Value) (stamped int) {
	m, _ := request.(cbor.Map)
	entries, _ := m["Entries"].(cbor.List)
	for _, e := range entries {
		entry, _ := e.(cbor.Map)
		metadata, _ := entry["Metadata"].(cbor.Map)
		lines, _ := entry["Resources"].(cbor.List)
		had := len(metadata) + len(lines)
		lines = slices.DeleteFunc(lines, func(line cbor.Value) bool {
			text, _ := line.(cbor.String)
			name, _, _ := strings.Cut(string(text), ":")
			return slices.Contains([]string{"correlation", "traceparent", "hops", "minted"}, name)
		})
		for _, key := range []string{"correlationid", "traceparent", "hops", "minted"} {
			delete(metadata, key)
		}
		if had > len(metadata)+len(lines) {
			stamped++
		}
		entry["Resources"], entry["Metadata"] = lines, metadata
		if len(lines) == 0 {
			delete(entry, "Resources")
		}
		if len(metadata) == 0 {
			delete(entry, "Metadata")
		}
	}
	return stamped
}

func publishOnANewBus(t *testing.T, url string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peertest.Module(t, "boto3"), "-c", onANewBus)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL_EVENTBRIDGEV2="+url, "AWS_DATA_PATH="+peertest.BotocoreModels(t), "AWS_DEFAULT_REGION="+region, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret,
		"AWS_SESSION_TOKEN=", "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1", "PYTHONIOENCODING=utf-8", "AWS_ACCOUNT_ID_ENDPOINT_MODE=preferred")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestANewBusThroughTheSidecar: what boto3 puts on a new bus arrives as it sent it
// plus the stamp, its answers come back, and each call is counted once.
func TestANewBusThroughTheSidecar(t *testing.T) {
	straight, through := startNewBuses(t), startNewBuses(t)
	want := publishOnANewBus(t, straight.URL)
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- extension.Sidecar(ctx, extension.Config{
			EventsAddr: "127.0.0.1:0", EventsUpstream: through.URL, TempDir: t.TempDir(), Region: region, Metrics: metrics.Config{Service: "s"}, Out: &out,
			Credentials: func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, nil
			},
		}, func(a map[string]string) { addresses <- a })
	}()
	got := publishOnANewBus(t, "http://"+(<-addresses)["events"])
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if plain(got) != plain(want) {
		t.Errorf("answered %s\nwithout the sidecar %s", got, want)
	}
	if len(through.requests) != 3 || len(straight.requests) != 3 {
		t.Fatalf("%d requests, %d without the sidecar", len(through.requests), len(straight.requests))
	}
	for i, stamped := range []int{2, 0, 2} {
		if n := unstamp(through.requests[i]); n != stamped || !reflect.DeepEqual(through.requests[i], straight.requests[i]) {
			t.Errorf("request %d: %d entries stamped; arrived %v, without the sidecar %v", i, n, through.requests[i], straight.requests[i])
		}
	}
	if published, failures := sums(t, out.String()); published != 4 || failures != 0 || !strings.Contains(out.String(), `"EventsDeduplicated":1`) || !strings.Contains(out.String(), `"StampSkipped_content-based":1`) {
		t.Errorf("%d published, %d failed\n%s", published, failures, &out)
	}
}

// plain is what was answered without the headers, which have dates.
func plain(answer string) string {
	head, _, _ := strings.Cut(answer, "'ResponseMetadata'")
	return head
}
