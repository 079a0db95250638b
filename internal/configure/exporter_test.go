package configure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/tracing/otlp"
)

// inPEM writes a block to a file and returns its path.
func inPEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is no URL, and the port at which collectors take gRPC, is warned of, once and
// without what may be a key.
func TestExporterWarnsOfItsEndpoint(t *testing.T) {
	const all, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"HTTP":     {map[string]string{all: "http://127.0.0.1:4318"}, ""},
		"Unset":    {map[string]string{}, ""},
		"NoScheme": {map[string]string{all: "127.0.0.1:4318"}, all + " takes a URL that begins with http:// or https://, such as http://127.0.0.1:4318"},
		"NoHost":   {map[string]string{all: "localhost:4318"}, all + " takes a URL"},
		"GRPCPort": {map[string]string{all: "http://user:key@127.0.0.1:4317", traces: ""}, all + `="http://127.0.0.1:4317": 4317 is usually the port for gRPC`},
		"OfTraces": {map[string]string{all: "http://127.0.0.1:4318", traces: "https://b:4317/v1/traces"}, traces + `="https://b:4317/v1/traces": 4317 is usually`},
		"SaidOnce": {map[string]string{all: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ""},
	} {
		_, warnings := Exporter(func(name string) string { return tt.env[name] }, &http.Client{})
		if told := strings.Join(warnings, "\n"); len(warnings) > 1 || (tt.want == "") != (told == "") || !strings.HasPrefix(told, tt.want) {
			t.Errorf("%s: warned %q, want %q", name, warnings, tt.want)
		}
	}
}

// A backend of one's own may have a certificate of one's own, and ask for one.
func TestExporterShowsAndTrustsCertificates(t *testing.T) {
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	backend.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	backend.Config.ErrorLog = log.New(io.Discard, "", 0) // of the refused handshake
	backend.StartTLS()
	defer backend.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": backend.URL, "OTEL_EXPORTER_OTLP_CERTIFICATE": inPEM(t, "CERTIFICATE", backend.Certificate().Raw),
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": inPEM(t, "CERTIFICATE", certificate), "OTEL_EXPORTER_OTLP_CLIENT_KEY": inPEM(t, "EC PRIVATE KEY", private),
	}
	send := func(env map[string]string) ([]string, error) {
		config, warnings := Exporter(func(name string) string { return env[name] }, &http.Client{Timeout: 10 * time.Second})
		defer config.Client.CloseIdleConnections()
		e := otlp.NewExporter(config)
		e.Add(otlp.Encode(otlp.Resource{}, otlp.Span{Name: "work"}), false)
		return warnings, e.Flush(t.Context())
	}
	if warnings, err := send(env); err != nil || len(warnings) > 0 {
		t.Errorf("%v, warned %q", err, warnings)
	}
	for name, tt := range map[string]struct{ variable, value, warning string }{
		"NotTrusted":      {"OTEL_EXPORTER_OTLP_CERTIFICATE", "", ""},
		"NothingShown":    {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", ""},
		"NoKey":           {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "", "OTEL_EXPORTER_OTLP_CLIENT_KEY is not set"},
		"NoSuchFile":      {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/nowhere.pem", "/nowhere.pem: no such file"},
		"NothingInTheCAs": {"OTEL_EXPORTER_OTLP_CERTIFICATE", os.DevNull, "there is none in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := map[string]string{tt.variable: tt.value}
			for k, v := range env {
				if k != tt.variable {
					changed[k] = v
				}
			}
			warnings, err := send(changed)
			if err == nil || !strings.Contains(strings.Join(warnings, ""), tt.warning) || tt.warning == "" && len(warnings) > 0 {
				t.Errorf("%v, warned %q", err, warnings)
			}
		})
	}
}
