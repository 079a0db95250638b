package export

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing"
)

// env is an environment for Setup; pairs are names and values.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// announced is a /tmp in which an extension announces its receiver.
func announced(t *testing.T, address string) string {
	t.Helper()
	tmp := t.TempDir()
	if err := os.Mkdir(filepath.Join(tmp, "throughline"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "throughline", "endpoints"), []byte("otlp="+address+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return tmp
}

// receiver is an OTLP backend.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []resourceSpans
	header http.Header
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		zip, err := gzip.NewReader(req.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(zip)
		if err != nil {
			t.Error(err)
		}
		request, err := decode(body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.spans = append(r.spans, request.ResourceSpans...)
		r.header = req.Header.Clone()
		r.mu.Unlock()
	}))
	t.Cleanup(r.Close)
	return r
}

func setup(t *testing.T, pairs ...string) *Telemetry {
	t.Helper()
	return Setup(aws.Config{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}, nil
	})}, env(pairs...))
}

// traced reports whether spans are made.
func traced(tel *Telemetry) bool {
	_, none := tel.TracerProvider.(noop.TracerProvider)
	return !none
}

func TestSetupPicks(t *testing.T) {
	tmp := announced(t, "127.0.0.1:4318")
	for name, tt := range map[string]struct {
		env       []string
		picked    string
		extension bool
		traced    bool
	}{
		"TheExtension":       {[]string{"TMPDIR", tmp, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend:4318"}, "the extension at 127.0.0.1:4318", true, true},
		"XRay":               {[]string{"TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1"}, "https://xray.eu-west-1.amazonaws.com/v1/traces", false, true},
		"XRayWithoutARegion": {[]string{"TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray"}, "AWS_REGION is not set", false, false},
		"Endpoint":           {[]string{"TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@backend:4318?key=secret"}, "spans go to http://backend:4318", false, true},
		"Nothing":            {[]string{"TMPDIR", "/nowhere"}, "nowhere", false, false},
		"Off":                {[]string{"TMPDIR", tmp, "THROUGHLINE_TRACES", "off"}, "THROUGHLINE_TRACES is off", true, false},
		"SDKDisabled":        {[]string{"TMPDIR", tmp, "OTEL_SDK_DISABLED", "true"}, "OTEL_SDK_DISABLED", true, false},
		"Disabled":           {[]string{"TMPDIR", tmp, "THROUGHLINE_DISABLED", "1"}, "THROUGHLINE_DISABLED", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			tel := setup(t, tt.env...)
			if !strings.Contains(tel.Picked, tt.picked) || strings.Contains(tel.Picked, "secret") || tel.Extension != tt.extension || traced(tel) != tt.traced {
				t.Errorf("picked %q, extension %v, traced %v", tel.Picked, tel.Extension, traced(tel))
			}
			if err := tel.Flush(t.Context()); err != nil {
				t.Errorf("flushing nothing: %v", err)
			}
		})
	}
}

func TestDisabledStampsAndMeasuresNothing(t *testing.T) {
	tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_DISABLED", "1")
	if tel.Handler().Tracing.Stamp != tracing.StampOff {
		t.Errorf("%+v", tel)
	}
}

func TestWrongSettingsAreWarnedOfAndLeaveTheDefault(t *testing.T) {
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://b", "OTEL_TRACES_SAMPLER", "sometimes", "THROUGHLINE_STAMP", "everywhere")
	if len(tel.Warnings) != 2 || tel.Handler().Tracing.Stamp != tracing.StampResources || !traced(tel) {
		t.Errorf("warnings %q", tel.Warnings)
	}
	tel = setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://b", "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "2")
	if len(tel.Warnings) != 1 {
		t.Errorf("warnings %q", tel.Warnings)
	}
}

func TestMisspeltSettingsAreWarnedOf(t *testing.T) {
	t.Setenv("THROUGHLINE_SAMPLINGS", "own")
	const want = "THROUGHLINE_SAMPLINGS is not a setting, and has no effect; did you mean THROUGHLINE_SAMPLING?"
	if tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_SAMPLINGS", "own"); len(tel.Warnings) != 1 || tel.Warnings[0] != want {
		t.Errorf("warnings %q", tel.Warnings)
	}
	if tel := setup(t, "TMPDIR", "/nowhere"); len(tel.Warnings) != 0 {
		t.Errorf("of what getenv does not know: %q", tel.Warnings)
	}
}

func TestSpansArriveAsOTLP(t *testing.T) {
	r := newReceiver(t)
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", r.URL, "OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b", "AWS_LAMBDA_FUNCTION_NAME", "portfolio",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256", "AWS_REGION", "us-east-1", "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=dev")
	link := trace.Link{SpanContext: lineage.Mint(trace.SpanContext{}), Attributes: []attribute.KeyValue{attribute.String(lineage.AttrLink, lineage.LinkCausation)}}
	_, span := tel.TracerProvider.Tracer("test").Start(t.Context(), "process SignalGenerated", trace.WithLinks(link), trace.WithSpanKind(trace.SpanKindConsumer))
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.spans) != 1 || r.header.Get("Api-Key") != "a b" {
		t.Fatalf("%d resources, headers %v", len(r.spans), r.header)
	}
	resource := map[string]string{}
	for _, a := range r.spans[0].Resource.Attributes {
		resource[a.Key] = a.Value.StringValue + a.Value.IntValue
	}
	for key, want := range map[string]string{"service.name": "portfolio", "faas.name": "portfolio", "faas.max_memory": "268435456", "cloud.provider": "aws", "deployment.environment.name": "dev"} {
		if resource[key] != want {
			t.Errorf("%s is %s, want %s", key, resource[key], want)
		}
	}
	s := r.spans[0].ScopeSpans[0].Spans[0]
	if s.Name != "process SignalGenerated" || s.Kind != 5 || len(s.Links) != 1 || s.Links[0].Attributes[0].Value.StringValue != "causation" {
		t.Errorf("span %v", s)
	}
	if l := tel.Losses(); l.Spans != 0 || l.Failures != 0 {
		t.Errorf("losses %+v", l)
	}
}

// stamped is an event whose workflow was recorded or not, upstream.
func stamped(flags string) []byte {
	return fmt.Appendf(nil, `{"id":"env-1","detail-type":"T","source":"s","time":"2026-11-23T20:45:00Z","resources":["correlation:w","traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s","hops:1"],"detail":{"event_id":"e"}}`, flags)
}

func TestAWorkflowIsRecordedWholeOrNotAtAll(t *testing.T) {
	for _, tt := range []struct {
		sampler, flags string
		want           bool
	}{
		{"always_off", "01", true},
		{"always_on", "00", false},
		{"traceidratio", "01", true},
		{"parentbased_always_off", "01", true},
		{"parentbased_traceidratio", "00", false},
	} {
		t.Run(tt.sampler+tt.flags, func(t *testing.T) {
			tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER", tt.sampler, "OTEL_TRACES_SAMPLER_ARG", "0")
			d := lineage.NewReader(tel.Handler().Tracing).Read(stamped(tt.flags))
			for _, invoke := range []trace.SpanContext{{}, lineage.MintInvoke(tel.Handler().Tracing, d, "")} {
				_, span := lineage.StartProcess(t.Context(), tel.Handler().Tracing, d, lineage.Invocation{RequestID: "r-1", Invoke: invoke})
				if got := span.SpanContext().IsSampled(); got != tt.want {
					t.Errorf("sampled %v (with an invoke span: %v)", got, invoke.IsValid())
				}
			}
		})
	}
}

func TestAFirstEventAsksTheSampler(t *testing.T) {
	for sampler, want := range map[string]bool{"always_on": true, "always_off": false, "parentbased_always_on": true, "parentbased_always_off": false} {
		tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER", sampler)
		d := lineage.NewReader(tel.Handler().Tracing).Read([]byte(`{"source":"schedule"}`))
		_, span := lineage.StartProcess(t.Context(), tel.Handler().Tracing, d, lineage.Invocation{RequestID: "r-1", Invoke: lineage.MintInvoke(tel.Handler().Tracing, d, "")})
		if got := span.SpanContext().IsSampled(); got != want {
			t.Errorf("%s: sampled %v", sampler, got)
		}
	}
}

func TestFlushIsBoundedByItsContext(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", silent.URL)
	_, span := tel.TracerProvider.Tracer("test").Start(t.Context(), "s")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := tel.Flush(ctx); err == nil {
		t.Error("a backend that does not answer was flushed to")
	}
	if l := tel.Losses(); l.Spans != 0 || l.Failures != 1 {
		t.Errorf("losses %+v: the span may still be delivered", l)
	}
}

func ExampleSetup() {
	tel := Setup(aws.Config{}, env("TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"))
	fmt.Println(tel.Picked)
	// Output: spans go to http://127.0.0.1:4318/v1/traces
}
