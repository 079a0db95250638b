package layer

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/peertest"
)

// gateway is a proxy that writes down whom it is asked to connect to, and
// refuses: nothing leaves this machine.
type gateway struct {
	address string
	mu      sync.Mutex
	asked   []string
}

var outside = startGateway()

// startGateway runs before any test, because Go reads HTTPS_PROXY once.
func startGateway() *gateway {
	if os.Getenv("TEST_ROLE") != "" {
		return nil // this is a function under test
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	g := &gateway{address: "http://" + l.Addr().String()}
	_ = os.Setenv("HTTPS_PROXY", g.address)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.refuse(conn)
		}
	}()
	return g
}

func (g *gateway) refuse(conn net.Conn) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	g.mu.Lock()
	g.asked = append(g.asked, req.Host)
	g.mu.Unlock()
	_, _ = conn.Write([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
}

// since returns whom was asked for from n on, each once.
func (g *gateway) since(n int) (hosts []string, now int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hosts = slices.Clone(g.asked[n:])
	slices.Sort(hosts)
	return slices.Compact(hosts), len(g.asked)
}

const (
	callInPython = `
import os, boto3, botocore.config
kw = {"config": botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5)}
if os.environ.get("OTHER_REGION"): kw["region_name"] = os.environ["OTHER_REGION"]
if os.environ.get("OTHER_KEY"): kw.update(aws_access_key_id=os.environ["OTHER_KEY"], aws_secret_access_key="x", aws_session_token="y")
try:
    boto3.client("events", **kw).put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])
except Exception as e:
    pass
`
	callInNode = `
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
const c = { maxAttempts: 1 };
if (process.env.OTHER_REGION) c.region = process.env.OTHER_REGION;
if (process.env.OTHER_KEY) c.credentials = { accessKeyId: process.env.OTHER_KEY, secretAccessKey: 'x', sessionToken: 'y' };
try { await new EventBridgeClient(c).send(new PutEventsCommand({ Entries: [{ Source: 's', DetailType: 'T', Detail: '{}' }] })); } catch {}
`
)

// callInGo is the Go SDK's turn, in this binary run again.
func callInGo() {
	ctx := context.Background()
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return
	}
	_, _ = eventbridge.NewFromConfig(c, func(o *eventbridge.Options) {
		o.RetryMaxAttempts = 1
		if region := os.Getenv("OTHER_REGION"); region != "" {
			o.Region = region
		}
		if key := os.Getenv("OTHER_KEY"); key != "" {
			o.Credentials = credentials.NewStaticCredentialsProvider(key, "x", "y")
		}
	}).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String("{}")}}})
}

// A function's SDK reaches through us whom it would reach without us, however
// it is configured.
func TestSDKsReachWhomTheyWould(t *testing.T) {
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
	if err := os.Mkdir(filepath.Join(tmp, "throughline"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "throughline", "endpoints"), []byte("events="+endpoint+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wrapper, err := filepath.Abs("throughline/wrapper")
	if err != nil {
		t.Fatal(err)
	}
	for sdk, command := range map[string]func(*testing.T) []string{
		"boto3": func(t *testing.T) []string { return []string{peertest.Module(t, "boto3"), "-c", callInPython} },
		"Node": func(t *testing.T) []string {
			modules, err := filepath.Abs("../build/node/node_modules")
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
			return []string{filepath.Join(modules, ".bin", "node"), script}
		},
		"Go": func(*testing.T) []string { return []string{self} },
	} {
		t.Run(sdk, func(t *testing.T) {
			arguments := command(t)
			for name, env := range map[string][]string{
				"as it comes":         nil,
				"FIPS":                {"AWS_USE_FIPS_ENDPOINT=true"},
				"dual-stack":          {"AWS_USE_DUALSTACK_ENDPOINT=true"},
				"another region":      {"OTHER_REGION=eu-central-1"},
				"a second access key": {"OTHER_KEY=AKIDOTHER"},
				"an assumed role":     {"OTHER_KEY=ASIAROLE", "OTHER_REGION=ap-southeast-2"},
			} {
				call := func(wrapped bool) []string {
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
						"HTTPS_PROXY=" + outside.address, "https_proxy=" + outside.address,
					}, env...)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					hosts, _ := outside.since(from)
					return hosts
				}
				bare, through := call(false), call(true)
				// Node's SDK reads no proxy variable: it fails before it asks anybody.
				if sdk == "Node" && len(bare) == 0 {
					bare = map[string][]string{"another region": {"events.eu-central-1.amazonaws.com:443"}, "an assumed role": {"events.ap-southeast-2.amazonaws.com:443"}}[name]
					if bare == nil {
						bare = []string{"events.us-east-1.amazonaws.com:443"}
					}
					if strings.Contains(name, "FIPS") || strings.Contains(name, "dual") {
						bare = nil
					}
				}
				if !slices.Equal(bare, through) {
					t.Errorf("%s: it asks for %q, without us for %q", name, through, bare)
				}
				if sdk != "Node" && len(bare) == 0 {
					t.Errorf("%s: it asked for nobody", name)
				}
			}
		})
	}
}
