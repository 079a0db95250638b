// Package sidecar publishes with AWS's SDKs through the sidecar's events
// endpoint and checks what is counted.
package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awsv1 "github.com/aws/aws-sdk-go/aws"                         //nolint:staticcheck // deprecated, and in use
	credentialsv1 "github.com/aws/aws-sdk-go/aws/credentials"     //nolint:staticcheck // deprecated, and in use
	"github.com/aws/aws-sdk-go/aws/session"                       //nolint:staticcheck // deprecated, and in use
	eventbridgev1 "github.com/aws/aws-sdk-go/service/eventbridge" //nolint:staticcheck // deprecated, and in use

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

// bus is EventBridge, which treats some requests badly.
type bus struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	stamped  int
	bad      func(n int) string // what happens to the request of this number, from 1
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *bus) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in struct {
		Entries []struct{ Resources []string }
	}
	if err != nil || json.Unmarshal(body, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.requests++
	what := b.bad(b.requests)
	if len(in.Entries) > 0 && len(in.Entries[0].Resources) > 0 {
		b.stamped++
	}
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch what {
	case "reset":
		panic(http.ErrAbortHandler)
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"__type":"InternalException","message":"as told"}`)
		return
	case "throttle":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
		return
	case "refuse":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"as told"}`)
		return
	}
	entries, failed := []string{}, 0
	for i := range in.Entries {
		if what == "partly" && i == 0 {
			entries, failed = append(entries, `{"ErrorCode":"InternalFailure","ErrorMessage":"as told"}`), 1
			continue
		}
		entries = append(entries, fmt.Sprintf(`{"EventId":"event-%d"}`, i))
	}
	fmt.Fprintf(w, `{"FailedEntryCount":%d,"Entries":[%s]}`, failed, strings.Join(entries, ","))
}

const (
	region, key, secret = "eu-west-1", "AKIDOURS", "secret"
	detail              = `{"event_id":"e-1"}`
)

// throughGoV1 publishes so many entries in each of so many calls, and says how
// many calls succeeded.
func throughGoV1(t *testing.T, url string, calls, entries int) (succeeded int) {
	// A client of its own: where the environment names a CA bundle, the SDK sets the
	// transport of the client, and that of http.DefaultClient is everybody's.
	s, err := session.NewSession(&awsv1.Config{
		Region: awsv1.String(region), Endpoint: &url, Credentials: credentialsv1.NewStaticCredentials(key, secret, ""), HTTPClient: &http.Client{},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := eventbridgev1.New(s)
	for range calls {
		in := &eventbridgev1.PutEventsInput{}
		for range entries {
			in.Entries = append(in.Entries, &eventbridgev1.PutEventsRequestEntry{Source: awsv1.String("s"), DetailType: awsv1.String("T"), Detail: awsv1.String(detail)})
		}
		if _, err := client.PutEventsWithContext(t.Context(), in); err == nil {
			succeeded++
		}
	}
	return succeeded
}

func throughGoV2(t *testing.T, url string, calls, entries int) (succeeded int) {
	client := eventbridge.New(eventbridge.Options{Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")})
	for range calls {
		in := &eventbridge.PutEventsInput{}
		for range entries {
			in.Entries = append(in.Entries, types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String(detail)})
		}
		if _, err := client.PutEvents(t.Context(), in); err == nil {
			succeeded++
		}
	}
	return succeeded
}

const inPython = `
import os, sys, boto3, botocore.exceptions
client = boto3.client("events")
succeeded = 0
for _ in range(int(sys.argv[1])):
    try:
        client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": '{"event_id":"e-1"}'}] * int(sys.argv[2]))
        succeeded += 1
    except botocore.exceptions.ClientError:
        pass
print(succeeded)
`

const inNode = `
const { EventBridge } = require('aws-sdk');
(async () => {
  const client = new EventBridge({ endpoint: process.env.AWS_ENDPOINT_URL_EVENTBRIDGE });
  let succeeded = 0;
  for (let n = 0; n < Number(process.argv[2]); n++)
    try {
      await client.putEvents({ Entries: Array(Number(process.argv[3])).fill({ Source: 's', DetailType: 'T', Detail: '{"event_id":"e-1"}' }) }).promise();
      succeeded++;
    } catch {}
  console.log(succeeded);
})();
`

// by is an SDK of another language: a program that prints how many calls succeeded.
func by(argv ...string) func(t *testing.T, url string, calls, entries int) int {
	return func(t *testing.T, url string, calls, entries int) (succeeded int) {
		cmd := exec.CommandContext(t.Context(), argv[0], append(argv[1:], fmt.Sprint(calls), fmt.Sprint(entries))...)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL_EVENTBRIDGE="+url, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret,
			"AWS_SESSION_TOKEN=", "AWS_EC2_METADATA_DISABLED=true", "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1", "NO_PROXY=127.0.0.1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(out), &succeeded); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return succeeded
	}
}

func first(n int, what string) func(int) string {
	return func(number int) string {
		if number <= n {
			return what
		}
		return ""
	}
}

// TestCallsAreCountedOnce: whatever an SDK retries, a call is counted once, by
// how it ended.
func TestCallsAreCountedOnce(t *testing.T) {
	sdks := map[string]func(t *testing.T, url string, calls, entries int) int{
		"Go v1": throughGoV1, "Go v2": throughGoV2,
		"boto3": func(t *testing.T, url string, calls, entries int) int {
			return by(peertest.Module(t, "boto3"), "-c", inPython)(t, url, calls, entries)
		},
		"JavaScript v2": func(t *testing.T, url string, calls, entries int) int {
			modules, err := filepath.Abs("../../build/node/old/node_modules")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(modules, "aws-sdk")); err != nil {
				peertest.Missing(t, "AWS's SDK v2 for JavaScript (`make node` installs it)")
			}
			script := filepath.Join(t.TempDir(), "publish.cjs")
			if err := os.WriteFile(script, []byte(strings.Replace(inNode, "'aws-sdk'", "'"+filepath.Join(modules, "aws-sdk")+"'", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			return by(peertest.Command(t, "node"), script)(t, url, calls, entries)
		},
	}
	for name, publish := range sdks {
		for how, tt := range map[string]struct {
			bad                                            func(int) string
			calls, entries, succeeded, published, failures int
		}{
			"as it comes":           {first(0, ""), 3, 2, 3, 6, 0}, // bodies are the same in each call
			"throttled":             {first(2, "throttle"), 2, 2, 2, 4, 0},
			"500s":                  {first(2, "500"), 2, 2, 2, 4, 0},
			"connections are reset": {first(1, "reset"), 2, 1, 2, 2, 0},
			"each call retried":     {func(n int) string { return []string{"", "500"}[n%2] }, 3, 1, 3, 3, 0},
			"entries fail":          {first(1, "partly"), 2, 2, 2, 3, 1},
			"refused":               {first(99, "refuse"), 2, 2, 0, 0, 4},
			"500s to the end":       {first(99, "500"), 1, 2, 0, 0, 2},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				b := newBus(t)
				b.bad = tt.bad
				var out bytes.Buffer
				ctx, stop := context.WithCancel(t.Context())
				addresses, done := make(chan map[string]string, 1), make(chan error, 1)
				go func() {
					done <- extension.Sidecar(ctx, extension.Config{
						EventsAddr: "127.0.0.1:0", EventsUpstream: b.URL, TempDir: t.TempDir(), Region: region, Metrics: metrics.Config{Service: "s"}, Out: &out,
						Credentials: func(context.Context) (aws.Credentials, error) {
							return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, nil
						},
					}, func(a map[string]string) { addresses <- a })
				}()
				succeeded := publish(t, "http://"+(<-addresses)["events"], tt.calls, tt.entries)
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
				published, failures := sums(t, out.String())
				if succeeded != tt.succeeded || published != tt.published || failures != tt.failures {
					t.Errorf("%d calls succeeded, %d events published, %d failed; want %d, %d and %d\n%s", succeeded, published, failures, tt.succeeded, tt.published, tt.failures, &out)
				}
				if b.stamped != b.requests {
					t.Errorf("%d of %d requests are stamped", b.stamped, b.requests)
				}
			})
		}
	}
}

// sums are what the metric lines say of events.
func sums(t *testing.T, lines string) (published, failures int) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if doc["EventType"] != nil {
			continue
		}
		for name, sum := range map[string]*int{"EventsPublished": &published, "EventsFailed": &failures} {
			switch v := doc[name].(type) {
			case float64:
				*sum += int(v)
			case []any:
				for _, one := range v {
					*sum += int(one.(float64))
				}
			}
		}
	}
	return published, failures
}
