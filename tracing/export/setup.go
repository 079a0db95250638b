package export

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

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
	// MetricsOut is where its lines go, for handler.WithMetrics: the standard
	// output, or CloudWatch Logs itself where THROUGHLINE_METRICS_SINK asks for it.
	MetricsOut io.Writer
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

// Setup reads THROUGHLINE_* and OpenTelemetry's OTEL_* settings from getenv and
// returns what they ask for. A wrong setting never fails it: the default holds
// and Warnings names it. The error is always nil today; it is there so that a
// main reads as it should.
//
// The settings follow OpenTelemetry's "Environment Variable Specification".
func Setup(_ context.Context, getenv func(string) string) (*Telemetry, error) {
	s, warnings := settings.Parse(getenv)
	t := &Telemetry{Tracing: configure.Tracing(s), Metrics: configure.Metrics(s), Warnings: warnings, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn}
	warn := func(message string) { fmt.Fprintln(os.Stderr, "throughline:", message) }
	checker, warnings := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials()), warn)
	t.Dedupe, t.Warnings = checker, append(t.Warnings, warnings...)
	out, warning := configure.MetricsOut(s, getenv, configure.CredentialsFunc(credentials()), os.Stdout, warn)
	if t.MetricsOut = out; warning != "" {
		t.Warnings = append(t.Warnings, warning)
	}
	endpoints := readEndpoints(getenv("TMPDIR"))
	t.Extension = endpoints["otlp"] != "" && !s.Disabled

	var warned []string
	t.sink, t.Picked, warned = pick(s, getenv, endpoints)
	t.Warnings = append(t.Warnings, warned...)
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
