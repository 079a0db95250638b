package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// bus keeps the entries that were sent to it.
type bus struct{ entries []types.PutEventsRequestEntry }

func (b *bus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	b.entries = append(b.entries, in.Entries...)
	out := &eventbridge.PutEventsOutput{}
	for range in.Entries {
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: aws.String("e-1")})
	}
	return out, nil
}

const signal = `{"id":"env-1","detail-type":"SignalGenerated","source":"alchemiser.strategy","resources":["correlation:workflow-1"],"detail":{"event_id":"signal-1"}}`

// play runs a function that is wired as the README says, under settings: it
// publishes an event, calls an API, and returns what it wrote to the standard
// output and the standard error.
func play(t *testing.T, url string, settings map[string]string) (*bus, string, string) {
	t.Helper()
	settings["TMPDIR"] = t.TempDir()
	settings["AWS_LAMBDA_FUNCTION_NAME"] = "portfolio"
	out, said := capture(t, &os.Stdout), capture(t, &os.Stderr)
	telemetry := export.Setup(aws.Config{}, func(name string) string { return settings[name] })
	b := &bus{}
	publishing := publisher.New(b, publisher.WithTelemetry(telemetry))
	h := lambda.NewHandler(handler.Wrap(func(ctx context.Context, _ json.RawMessage) error {
		resp, err := tracing.Client(ctx, tracing.WithTelemetry(telemetry)).Get(url + "/v9/accounts/7")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		_, err = publishing.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
			{Source: aws.String("alchemiser.portfolio"), DetailType: aws.String("Planned"), Detail: aws.String(`{"event_id":"plan-1","text":"` + strings.Repeat("x", 500) + `"}`)},
		}})
		return err
	}, handler.WithTelemetry(telemetry)))
	if _, err := h.Invoke(t.Context(), []byte(signal)); err != nil {
		t.Fatal(err)
	}
	return b, out(), said()
}

// capture puts a file in the place of *f and returns what was written to it.
func capture(t *testing.T, f **os.File) func() string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	before := *f
	*f = file
	t.Cleanup(func() { *f = before; _ = file.Close() })
	return func() string {
		*f = before
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// Each setting is seen by what the README's wiring does under it, and is not
// seen without it.
func TestSettingsReachTheWiring(t *testing.T) {
	var sent []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Clone())
		w.Header().Set("X-Ratelimit-Remaining", "7")
	}))
	defer server.Close()
	var spans bytes.Buffer
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(&spans, r.Body) }))
	defer backend.Close()
	see := func(settings map[string]string) string {
		sent = nil
		spans.Reset()
		settings["OTEL_EXPORTER_OTLP_ENDPOINT"], settings["OTEL_EXPORTER_OTLP_COMPRESSION"] = backend.URL, "none"
		b, out, said := play(t, server.URL, settings)
		resources := ""
		if len(b.entries) > 0 {
			resources = strings.Join(b.entries[0].Resources, " ") + aws.ToString(b.entries[0].Detail)
		}
		return fmt.Sprint(out, said, resources, sent, spans.String())
	}
	without := see(map[string]string{})
	for name, c := range map[string]struct{ value, seen string }{
		"THROUGHLINE_SIZE_WARN":          {"300", `"OversizedEvents":1`},
		"THROUGHLINE_SIZE_LIMIT":         {"300", `"limit_bytes":300`},
		"AWS_LAMBDA_INITIALIZATION_TYPE": {"snap-start", `"ColdStart_snap-start":1`},
		"THROUGHLINE_HTTP_ROUTES":        {strings.TrimPrefix(server.URL, "http://") + "/v9/accounts/{id}", "GET /v9/accounts/{id}"},
		"THROUGHLINE_HTTP_HOSTS":         {"127.0.0.1", "X-Correlation-Id:[workflow-1]"},
		"THROUGHLINE_STAMP":              {"detail", `"_throughline":{"correlation":"workflow-1"`},
		"THROUGHLINE_NAMESPACE":          {"Mine", `"Namespace":"Mine"`},
		"THROUGHLINE_METRICS_SINK":       {"files", `throughline: THROUGHLINE_METRICS_SINK="files"`},
	} {
		settings := map[string]string{name: c.value}
		if name == "THROUGHLINE_SIZE_LIMIT" {
			settings["THROUGHLINE_SIZE_WARN"] = "300"
		}
		if with := see(settings); !strings.Contains(with, c.seen) || strings.Contains(without, c.seen) {
			t.Errorf("%s: %q is not what makes the difference:\n%s", name, c.seen, with)
		}
	}
	if with := see(map[string]string{"THROUGHLINE_METRICS": "often"}); strings.Count(with, "THROUGHLINE_METRICS=") != 1 {
		t.Errorf("a wrong setting is not said once:\n%s", with)
	}
	if with := see(map[string]string{"THROUGHLINE_DISABLED": "1"}); strings.Contains(with, "correlation:") || strings.Contains(with, "_aws") {
		t.Errorf("disabled:\n%s", with)
	}
}

// The wiring of a function's main.
func ExampleSetup_wiring() {
	cfg := aws.Config{} // config.LoadDefaultConfig(ctx), in a main
	telemetry := export.Setup(cfg, func(name string) string {
		return map[string]string{"THROUGHLINE_METRICS": "off", "TMPDIR": "/nowhere"}[name]
	})
	b := &bus{} // eventbridge.NewFromConfig(cfg), in a main
	publishing := publisher.New(b, publisher.WithTelemetry(telemetry))
	handle := func(ctx context.Context, _ json.RawMessage) error {
		_, err := publishing.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			Source: aws.String("alchemiser.portfolio"), DetailType: aws.String("Planned"), Detail: aws.String(`{"event_id":"plan-1"}`),
		}}})
		return err
	}
	h := lambda.NewHandler(handler.Wrap(handle, handler.WithTelemetry(telemetry))) // lambda.Start(handler.Wrap(…)), in a main
	if _, err := h.Invoke(context.Background(), []byte(signal)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(b.entries[0].Resources[:2])
	// Output: [correlation:workflow-1 causation:signal-1]
}

func ExamplePropagator() {
	p := export.Propagator() // otel.SetTextMapPropagator(export.Propagator()), in a main
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x4b, 1}, SpanID: trace.SpanID{7}, TraceFlags: trace.FlagsSampled})
	header := http.Header{}
	p.Inject(trace.ContextWithSpanContext(context.Background(), sc), propagation.HeaderCarrier(header))
	fmt.Println(header.Get("traceparent"))
	fmt.Println(header.Get("X-Amzn-Trace-Id"))
	read := trace.SpanContextFromContext(p.Extract(context.Background(), propagation.HeaderCarrier{"X-Amzn-Trace-Id": header.Values("X-Amzn-Trace-Id")}))
	fmt.Println(read.TraceID() == sc.TraceID(), read.IsSampled())
	// Output:
	// 00-4b010000000000000000000000000000-0700000000000000-01
	// Root=1-4b010000-000000000000000000000000;Parent=0700000000000000;Sampled=1
	// true true
}
