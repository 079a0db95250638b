package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/internal/settings"
)

// text is a writer that several goroutines share.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) { t.mu.Lock(); defer t.mu.Unlock(); return t.b.Write(p) }
func (t *text) String() string              { t.mu.Lock(); defer t.mu.Unlock(); return t.b.String() }

// peer is a server that keeps what it is asked.
type peer struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newPeer(t *testing.T, answer string) *peer {
	t.Helper()
	p := &peer{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.bodies = append(p.bodies, string(body))
		p.mu.Unlock()
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func publish(ctx context.Context, url, detailType, detail string) error {
	transport := &http.Transport{DisableKeepAlives: true}
	_, err := eventbridge.New(eventbridge.Options{
		Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: transport},
	}).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: &detailType, Detail: &detail}}})
	return err
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestSidecarTakesEverySettingAsAFlag(t *testing.T) {
	code, help, _ := command(t, "sidecar", "--help")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, s := range settings.Table() {
		if there := strings.Contains(help, "--"+s.Flag()+" "); there == inLambda[s.Name] {
			t.Errorf("--%s in its help: %t", s.Flag(), there)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"Taken":     {[]string{"--endpoints", "events", "--events-addr", taken.Addr().String()}, "the events endpoint is off"},
		"Wrong":     {[]string{"--endpoints", "none", "--events-addr", "127.0.0.1:x"}, "THROUGHLINE_EVENTS_ADDR"},
		"Outside":   {[]string{"--endpoints", "none", "--events-addr", "0.0.0.0:0"}, "it takes a loopback address"},
		"Nothing":   {[]string{"--endpoints", "none"}, "otlp, events, alpaca and runtime"},
		"NoRuntime": {[]string{"--endpoints", "runtime"}, "AWS_LAMBDA_RUNTIME_API"},
		"Unknown":   {[]string{"--nonsense"}, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, said := command(t, append([]string{"sidecar"}, tt.args...)...); code == 0 || !strings.Contains(said, tt.want) {
				t.Errorf("exit %d, said %s", code, said)
			}
		})
	}
}

// SIGTERM lets the call under way finish, exports what is left and exits with 0.
func TestSidecarEndsGracefully(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(started)
		<-release
		_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`)
	}))
	defer bus.Close()
	collector := newPeer(t, "")
	where := free(t)
	var out, said text
	cmd := exec.Command(os.Args[0], "sidecar", "--endpoints", "events", "--events-addr", where, "--events-upstream", bus.URL)
	cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_MAIN=1", "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(said.String(), "events answers at"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %s", said.String())
		}
	}
	published := make(chan error, 1)
	go func() { published <- publish(context.WithoutCancel(t.Context()), "http://"+where, "Planned", `{}`) }()
	<-started
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	close(release)
	if err := <-published; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	if !strings.Contains(out.String(), `"EventsPublished":1`) || len(collector.bodies) != 1 {
		t.Errorf("%d exports, wrote %s", len(collector.bodies), out.String())
	}
}
