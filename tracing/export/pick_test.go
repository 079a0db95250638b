package export

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// one exports one span and returns what Flush says.
func one(t *testing.T, tel *Telemetry) error {
	t.Helper()
	_, span := tel.TracerProvider.Tracer("").Start(t.Context(), "one")
	span.End()
	return tel.Flush(t.Context())
}

func TestOpenTelemetrysExporterSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		env     []string
		picked  string
		warning string
	}{
		"None":             {[]string{"OTEL_TRACES_EXPORTER", "none"}, "OTEL_TRACES_EXPORTER is none", ""},
		"OTLP":             {[]string{"OTEL_TRACES_EXPORTER", "otlp"}, "spans go to http://b/v1/traces", ""},
		"AnotherExporter":  {[]string{"OTEL_TRACES_EXPORTER", "zipkin"}, "spans go to http://b/v1/traces", `OTEL_TRACES_EXPORTER="zipkin"`},
		"GRPC":             {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, "spans go to http://b/v1/traces", "http/protobuf is used"},
		"TracesProtocol":   {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}, "spans go to", ""},
		"Compression":      {[]string{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"}, "spans go to", `OTEL_EXPORTER_OTLP_COMPRESSION="zstd"`},
		"Timeout":          {[]string{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s"}, "spans go to", `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="10s"`},
		"NoCertificate":    {[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"}, "spans go to", "read certificates"},
		"EmptyCertificate": {[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE", os.DevNull}, "spans go to", "there is none in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			tel := setup(t, append(tt.env, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://b")...)
			if !strings.Contains(tel.Picked, tt.picked) || !strings.Contains(strings.Join(tel.Warnings, ""), tt.warning) || tt.warning == "" && len(tel.Warnings) > 0 {
				t.Errorf("picked %q, warned %q", tel.Picked, tel.Warnings)
			}
		})
	}
}

// roundTripper is a transport that somebody else has put in the default's place.
type roundTripper struct{ http.RoundTripper }

func TestAnotherDefaultTransportDoesNoHarm(t *testing.T) {
	before := http.DefaultTransport
	http.DefaultTransport = roundTripper{before}
	defer func() { http.DefaultTransport = before }()
	r := newReceiver(t)
	if err := one(t, setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)); err != nil || len(r.spans) != 1 {
		t.Errorf("%v, %d spans", err, len(r.spans))
	}
}

func TestWithoutCompression(t *testing.T) {
	var encoding, kind string
	var body []byte
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		encoding, kind = r.Header.Get("Content-Encoding"), r.Header.Get("Content-Type")
		body, _ = io.ReadAll(r.Body)
	}))
	defer backend.Close()
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none")
	if err := one(t, tel); err != nil || encoding != "" || kind != "application/x-protobuf" || !strings.Contains(string(body), "one") {
		t.Errorf("%v, %q %q %q", err, encoding, kind, body)
	}
}

func TestTheTimeLimitIsHeeded(t *testing.T) {
	release := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) { <-release }))
	defer backend.Close()
	defer close(release)
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL, "OTEL_EXPORTER_OTLP_TIMEOUT", "20")
	start := time.Now()
	if err := one(t, tel); err == nil || time.Since(start) > patience {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestACertificateOfOnesOwnIsTrusted(t *testing.T) {
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	backend.Config.ErrorLog = log.New(io.Discard, "", 0) // of the refused handshake
	backend.StartTLS()
	defer backend.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := one(t, setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)); err == nil {
		t.Error("a certificate that nobody vouches for was trusted")
	}
	if err := one(t, setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL, "OTEL_EXPORTER_OTLP_CERTIFICATE", file)); err != nil {
		t.Error(err)
	}
}
