package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/handshake"
	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// Telemetry is the result of Setup. Pass it to publisher.WithTelemetry, handler.WithTelemetry,
// hops.WithTelemetry and tracing.WithTelemetry. Its methods are safe for concurrent use. Set its
// fields before you pass it on.
type Telemetry struct {
	// TracerProvider makes the spans; it is noop.TracerProvider if spans are
	// not exported. A main with a provider of OpenTelemetry's SDK replaces it:
	// see Processor.
	TracerProvider trace.TracerProvider
	// Metrics is the set that publishers, handlers and transports record
	// into.
	Metrics *metrics.Set
	// Extension reports that Throughline's extension is attached. The
	// extension then emits the metrics of the function as a whole.
	Extension bool
	// Picked describes the destination of spans in one sentence.
	Picked string
	// Warnings name invalid settings. Setup writes them to the standard error,
	// unless the extension is attached, which logs them itself.
	Warnings []string

	publisher stamping.Telemetry
	handler   handling.Telemetry
	hops      hop.Telemetry
	api       outbound.API
	sink      sink
	closed    atomic.Bool
}

// sink receives the spans that have ended.
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

// Setup reads the settings THROUGHLINE_* and OpenTelemetry's OTEL_* from getenv
// and returns a Telemetry that follows them. cfg has the credentials for X-Ray's
// OTLP endpoint, CloudWatch Logs and DynamoDB; it may be the zero value if no
// setting uses one of these. Setup never fails: for an invalid setting the
// default applies, and Warnings names it.
//
// The settings follow OpenTelemetry's "Environment Variable Specification".
func Setup(cfg aws.Config, getenv func(string) string) *Telemetry {
	s, warnings := settings.Parse(getenv)
	warnings = append(warnings, misspelt(getenv)...)
	t := &Telemetry{TracerProvider: noop.NewTracerProvider(), Metrics: metrics.New(configure.Metrics(s)), Warnings: warnings}
	warn := func(message string) { fmt.Fprintln(os.Stderr, "throughline:", message) }
	note := func(warnings ...string) {
		for _, w := range warnings {
			if w != "" {
				t.Warnings = append(t.Warnings, w)
			}
		}
	}
	credentials := required{cfg.Credentials}
	checker, warnings := configure.Dedupe(s, getenv, credentials, warn)
	note(warnings...)
	out, warning := configure.MetricsOut(s, getenv, credentials, os.Stdout, warn)
	note(warning)
	t.api, warning = configure.HTTP(s)
	note(warning)
	endpoints := handshake.Read(handshake.Dir(getenv("TMPDIR")))
	t.Extension = endpoints["otlp"] != "" && !s.Disabled
	lineage := configure.Tracing(s)
	t.publisher = stamping.Telemetry{Tracing: lineage, Metrics: t.Metrics, Limit: s.SizeLimit, Warn: s.SizeWarn}
	t.handler = handling.Telemetry{
		Tracing: lineage, Metrics: t.Metrics, Out: out, Dedupe: checker, Flush: t.Flush, Extension: t.Extension, InitKind: getenv("AWS_LAMBDA_INITIALIZATION_TYPE"),
	}

	t.hops = hop.Telemetry{Tracing: lineage, Metrics: t.Metrics, Off: s.Hops == "off" || s.Disabled, Carry: s.Hops == "carry"}
	t.sink, t.Picked, warnings = pick(s, getenv, credentials, endpoints)
	note(warnings...)
	if t.sink != nil {
		sample, warning := configure.Sample(getenv)
		note(warning)
		resource := describe(s, getenv)
		t.TracerProvider = &otlp.Provider{
			Resource: func() otlp.Resource { return resource }, Sample: sample, Take: t.take, Limits: limits(getenv),
			Unsampled: toDaemon(t.sink) && strings.EqualFold(getenv("OTEL_AWS_APPLICATION_SIGNALS_ENABLED"), "true"),
		}
	}
	if !t.Extension {
		for _, w := range t.Warnings {
			warn(w)
		}
	}
	return t
}

// misspelt returns warnings for variables that look like settings. getenv cannot list
// names, so it uses the names of the process's environment for which getenv has a value.
func misspelt(getenv func(string) string) []string {
	environ := slices.DeleteFunc(os.Environ(), func(pair string) bool { //nolint:forbidigo // only for names
		name, _, _ := strings.Cut(pair, "=")
		return getenv(name) == ""
	})
	return settings.Unknown(environ)
}

// Publisher returns the configuration for publisher.WithTelemetry.
func (t *Telemetry) Publisher() stamping.Telemetry {
	p := t.publisher
	p.Tracing.TracerProvider = t.TracerProvider
	return p
}

// Handler returns the configuration for handler.WithTelemetry.
func (t *Telemetry) Handler() handling.Telemetry {
	h := t.handler
	h.Tracing.TracerProvider = t.TracerProvider
	return h
}

// Hops returns the configuration for hops.WithTelemetry.
func (t *Telemetry) Hops() hop.Telemetry {
	h := t.hops
	h.Tracing.TracerProvider = t.TracerProvider
	return h
}

// Transport returns the option for tracing.WithTelemetry.
func (t *Telemetry) Transport() tracing.Option {
	return outbound.Options(outbound.WithTracerProvider(t.TracerProvider), outbound.WithInjector(nil), outbound.WithAPI(t.api), handling.MeasureCalls(t.Metrics))
}

// take exports a span that has ended.
func (t *Telemetry) take(r otlp.Resource, span otlp.Span) {
	if t.sink != nil && !t.closed.Load() {
		t.sink.send(r, span)
	}
}

// Flush exports the ended spans until ctx ends. It returns otlp.ErrPaused,
// ctx's error, or the backend's error. Spans that may still be delivered stay
// queued.
func (t *Telemetry) Flush(ctx context.Context) error {
	if t.sink == nil {
		return nil
	}
	return t.sink.Flush(ctx)
}

// Shutdown flushes once more. Spans that end later are not exported.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	err := t.Flush(ctx)
	t.closed.Store(true)
	return err
}

// Losses returns the dropped spans and failed exports since the last call.
func (t *Telemetry) Losses() otlp.Losses {
	if t.sink == nil {
		return otlp.Losses{}
	}
	return t.sink.Losses()
}

// required provides the credentials of an aws.Config that may have none.
type required struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (r required) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if r.CredentialsProvider == nil {
		return aws.Credentials{}, errors.New("export.Setup was given an aws.Config without credentials")
	}
	return r.CredentialsProvider.Retrieve(ctx)
}
