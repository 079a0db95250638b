package export

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// Telemetry is what Setup made of the environment. Its methods are safe for
// concurrent use; the zero value exports nothing.
type Telemetry struct {
	// Tracing configures publisher, handler and tracing's HTTP transport.
	Tracing tracing.Config
	// Metrics configures a metrics.Set.
	Metrics metrics.Config
	// SizeLimit and SizeWarn are for publisher.WithLimit and WithWarning, in bytes.
	SizeLimit, SizeWarn int
	// Dedupe tells repeats apart: handler.WithDedupe. Nil where that is off.
	Dedupe *dedupe.Checker
	// Extension says that Throughline's extension is attached: it then counts
	// what concerns the function as a whole.
	Extension bool
	// Picked says in one sentence where spans go.
	Picked string
	// Warnings name settings that could not be used.
	Warnings []string

	sink   sink
	closed atomic.Bool
}

// sink takes the spans that have ended.
type sink interface {
	send(r otlp.Resource, span otlp.Span)
	Flush(ctx context.Context) error
	Losses() otlp.Losses
}

// queued keeps spans as bytes until Flush.
type queued struct{ *otlp.Exporter }

func (q queued) send(r otlp.Resource, span otlp.Span) {
	if span.Context.IsSampled() {
		q.Add(otlp.Encode(r, span), false)
	}
}

// patience bounds one request to a backend, whatever the caller's context allows.
const patience = 10 * time.Second

// Setup reads THROUGHLINE_* and OpenTelemetry's OTEL_* settings from getenv and
// returns what they ask for. A wrong setting never fails it: the default holds
// and Warnings names it. The error is always nil today; it is there so that a
// main reads as it should.
//
// The settings follow OpenTelemetry's "Environment Variable Specification".
func Setup(_ context.Context, getenv func(string) string) (*Telemetry, error) {
	s, warnings := settings.Parse(getenv)
	t := &Telemetry{Tracing: configure.Tracing(s), Metrics: configure.Metrics(s), Warnings: warnings, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn}
	checker, warnings := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials()), func(message string) {
		fmt.Fprintln(os.Stderr, "throughline:", message)
	})
	t.Dedupe, t.Warnings = checker, append(t.Warnings, warnings...)
	endpoints := readEndpoints(getenv("TMPDIR"))
	t.Extension = endpoints["otlp"] != "" && !s.Disabled

	t.sink, t.Picked = pick(s, getenv, endpoints)
	if t.sink == nil {
		return t, nil
	}
	sample, warning := configure.Sample(getenv)
	if warning != "" {
		t.Warnings = append(t.Warnings, warning)
	}
	resource := describe(s, getenv)
	t.Tracing.TracerProvider = &otlp.Provider{
		Resource: func() otlp.Resource { return resource }, Sample: sample, Take: t.take, Limits: limits(getenv),
		Unsampled: toDaemon(t.sink) && strings.EqualFold(getenv("OTEL_AWS_APPLICATION_SIGNALS_ENABLED"), "true"),
	}
	return t, nil
}

// take hands on a span that has ended.
func (t *Telemetry) take(r otlp.Resource, span otlp.Span) {
	if t.sink != nil && !t.closed.Load() {
		t.sink.send(r, span)
	}
}

// Flush exports what has ended, within ctx. It returns otlp.ErrPaused, ctx's
// error, or what the backend said; the spans that may still be delivered wait.
func (t *Telemetry) Flush(ctx context.Context) error {
	if t.sink == nil {
		return nil
	}
	return t.sink.Flush(ctx)
}

// Shutdown flushes once more. Spans that end later go nowhere.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	err := t.Flush(ctx)
	t.closed.Store(true)
	return err
}

// Losses returns the spans and exports given up since the last call.
func (t *Telemetry) Losses() otlp.Losses {
	if t.sink == nil {
		return otlp.Losses{}
	}
	return t.sink.Losses()
}

// readEndpoints reads the file in which the extension announces itself.
func readEndpoints(tmp string) map[string]string {
	if tmp == "" {
		tmp = "/tmp"
	}
	f, err := os.Open(filepath.Join(tmp, "throughline", "endpoints"))
	if err != nil {
		return nil
	}
	defer f.Close()
	endpoints := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, address, ok := strings.Cut(lines.Text(), "="); ok {
			endpoints[name] = address
		}
	}
	return endpoints
}

// pick chooses where spans go; nil is nowhere.
func pick(s settings.Settings, getenv func(string) string, endpoints map[string]string) (sink, string) {
	switch {
	case s.Disabled:
		return nil, "spans go nowhere: THROUGHLINE_DISABLED is set"
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"):
		return nil, "spans go nowhere: OTEL_SDK_DISABLED is set"
	case s.Traces == "off":
		return nil, "spans go nowhere: THROUGHLINE_TRACES is off"
	case endpoints["otlp"] != "":
		return post(otlp.Config{URL: "http://" + endpoints["otlp"] + "/v1/traces", Client: local()}), "spans go to the extension at " + endpoints["otlp"]
	case s.Traces == "xray":
		return pickXRay(getenv)
	}
	if target, headers := settings.OTLPTarget(getenv); target != "" {
		return post(otlp.Config{URL: target, Headers: headers, Client: remote()}), "spans go to " + withoutSecrets(target)
	}
	return nil, "spans go nowhere: no extension is attached and OTEL_EXPORTER_OTLP_ENDPOINT is not set"
}

func post(c otlp.Config) sink { return queued{otlp.NewExporter(c)} }

// pickXRay prefers an OTLP endpoint that was named, then the daemon that Lambda
// names, which costs no request and no right but xray:PutTraceSegments.
func pickXRay(getenv func(string) string) (sink, string) {
	target, headers := settings.OTLPTarget(getenv)
	region := getenv("AWS_REGION")
	if address := getenv("AWS_XRAY_DAEMON_ADDRESS"); target == "" && address != "" {
		if d, err := dial(address); err == nil {
			return d, "spans go to the X-Ray daemon at " + d.conn.RemoteAddr().String() + "; for X-Ray's OTLP endpoint name it in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
		}
	}
	switch {
	case region == "":
		return nil, "spans go nowhere: X-Ray is asked for and AWS_REGION is not set"
	case target == "":
		target = "https://xray." + region + ".amazonaws.com/v1/traces"
	}
	sign := otlp.SigV4(region, "xray", credentials(), time.Now)
	return post(otlp.Config{URL: target, Headers: headers, Client: remote(), Sign: sign}), "spans go to X-Ray at " + withoutSecrets(target)
}

func withoutSecrets(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "the configured endpoint"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// local is a client for loopback: no proxy has business there.
func local() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
}

func remote() *http.Client {
	return &http.Client{Timeout: patience, Transport: http.DefaultTransport.(*http.Transport).Clone()}
}

// credentials are those of the SDK's ordinary chain, looked up when first needed.
func credentials() func(context.Context) (aws.Credentials, error) {
	var mu sync.Mutex
	var provider aws.CredentialsProvider
	return func(ctx context.Context) (aws.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		if provider == nil {
			c, err := config.LoadDefaultConfig(ctx)
			if err != nil {
				return aws.Credentials{}, fmt.Errorf("load AWS configuration: %w", err)
			}
			provider = c.Credentials
		}
		return provider.Retrieve(ctx)
	}
}
