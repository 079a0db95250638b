package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/peertest"
)

const (
	callInPython = `
import os, boto3, botocore.config
kw = {"config": botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5)}
if os.environ.get("OTHER_REGION"): kw["region_name"] = os.environ["OTHER_REGION"]
if os.environ.get("OTHER_KEY"): kw.update(aws_access_key_id=os.environ["OTHER_KEY"], aws_secret_access_key="x", aws_session_token="y")
print(boto3.client("events", **kw).put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": '{"n": 12345678901234567890, "t": "< ünï"}'}])["Entries"][0]["EventId"])
`
	callInNode = `
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
const c = { maxAttempts: 1 };
if (process.env.OTHER_REGION) c.region = process.env.OTHER_REGION;
if (process.env.OTHER_KEY) c.credentials = { accessKeyId: process.env.OTHER_KEY, secretAccessKey: 'x', sessionToken: 'y' };
const out = await new EventBridgeClient(c).send(new PutEventsCommand({ Entries: [{ Source: 's', DetailType: 'T', Detail: '{"n": 12345678901234567890, "t": "< ünï"}' }] }));
console.log(out.Entries[0].EventId);
`
	// Node's SDK reads no proxy variable: its TLS connections are led to the gateway.
	ledInNode = `
const https = require('node:https');
const connect = https.Agent.prototype.createConnection;
https.Agent.prototype.createConnection = function (options, ...rest) {
  const [host, port] = process.env.GATEWAY.split(':');
  return connect.call(this, { ...options, host, port, servername: options.servername || options.host }, ...rest);
};
`
)

// callInGo is the Go SDK's turn, in this binary run again.
func callInGo() {
	ctx := context.Background()
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return
	}
	out, err := eventbridge.NewFromConfig(c, func(o *eventbridge.Options) {
		o.RetryMaxAttempts = 1
		if region := os.Getenv("OTHER_REGION"); region != "" {
			o.Region = region
		}
		if key := os.Getenv("OTHER_KEY"); key != "" {
			o.Credentials = credentials.NewStaticCredentialsProvider(key, "x", "y")
		}
	}).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String(`{"n": 12345678901234567890, "t": "< ünï"}`)}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(aws.ToString(out.Entries[0].EventId))
}

// A function's SDK publishes through us what it would publish without us, to
// whom it would, as whom it would, with a signature that holds, however it is
// configured.
func TestSDKsPublishAsTheyWould(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- extension.Sidecar(ctx, extension.Config{EventsAddr: "127.0.0.1:0", TempDir: tmp, Region: "us-east-1",
			Credentials: func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"}, nil
			}}, func(a map[string]string) { ready <- a })
	}()
	endpoint := (<-ready)["events"]
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	handshakeIn(t, tmp, "events="+endpoint+"\n")
	wrapper, err := filepath.Abs("../throughline/wrapper")
	if err != nil {
		t.Fatal(err)
	}
	for sdk, command := range map[string]func(*testing.T) []string{
		"boto3": func(t *testing.T) []string { return []string{peertest.Module(t, "boto3"), "-c", callInPython} },
		"Node": func(t *testing.T) []string {
			modules, err := filepath.Abs("../../build/node/node_modules")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(modules, "@aws-sdk/client-eventbridge")); err != nil {
				peertest.Missing(t, "AWS's SDK for Node (`make node` installs it)")
			}
			script := filepath.Join(t.TempDir(), "call.mjs")
			if err := os.Symlink(modules, filepath.Join(filepath.Dir(script), "node_modules")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(script, []byte(callInNode), 0o644); err != nil {
				t.Fatal(err)
			}
			led := filepath.Join(filepath.Dir(script), "led.cjs")
			if err := os.WriteFile(led, []byte(ledInNode), 0o644); err != nil {
				t.Fatal(err)
			}
			return []string{filepath.Join(modules, ".bin", "node"), "--require", led, script}
		},
		"Go": func(*testing.T) []string { return []string{self} },
	} {
		t.Run(sdk, func(t *testing.T) {
			arguments := command(t)
			for name, tt := range map[string]struct {
				env     []string
				stamped bool
			}{
				"as it comes":         {nil, true},
				"FIPS":                {[]string{"AWS_USE_FIPS_ENDPOINT=true"}, false},
				"dual-stack":          {[]string{"AWS_USE_DUALSTACK_ENDPOINT=true"}, false},
				"another region":      {[]string{"OTHER_REGION=eu-central-1"}, true},
				"a second access key": {[]string{"OTHER_KEY=AKIDOTHER"}, false},
				"an assumed role":     {[]string{"OTHER_KEY=ASIAROLE", "OTHER_REGION=ap-southeast-2"}, false},
			} {
				run := func(wrapped bool) (calls []call, printed string) {
					_, from := outside.since(0)
					run := arguments
					if wrapped {
						run = append([]string{wrapper}, arguments...)
					}
					ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
					defer cancel()
					cmd := exec.CommandContext(ctx, run[0], run[1:]...)
					cmd.Env = append([]string{
						"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + tmp, "TEST_ROLE=call", "GORACE=atexit_sleep_ms=0", "AWS_EC2_METADATA_DISABLED=true",
						"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=session",
						"HTTPS_PROXY=" + outside.proxy, "https_proxy=" + outside.proxy, "GATEWAY=" + outside.direct,
						"SSL_CERT_FILE=" + outside.ca, "AWS_CA_BUNDLE=" + outside.ca, "NODE_EXTRA_CA_CERTS=" + outside.ca,
					}, tt.env...)
					out, err := cmd.Output()
					if err != nil {
						t.Fatalf("%s: %v\n%s", name, err, out)
					}
					calls, _ = outside.since(from)
					return calls, string(out)
				}
				bare, printed := run(false)
				through, seen := run(true)
				if len(bare) != 1 || !bare[0].Signed || bare[0].Stamped || len(through) != 1 {
					t.Fatalf("%s: without us %+v, with us %+v\n%s", name, bare, through, seen)
				}
				if through[0].Stamped != tt.stamped {
					t.Errorf("%s: stamped %t", name, through[0].Stamped)
				}
				if through[0].Stamped = false; through[0] != bare[0] || seen != printed {
					t.Errorf("%s: %+v %s\nwithout us %+v %s", name, through[0], seen, bare[0], printed)
				}
			}
		})
	}
}
