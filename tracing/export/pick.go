package export

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// patience bounds one request to a backend, whatever the caller's context
// allows, where OTEL_EXPORTER_OTLP_TIMEOUT does not say otherwise.
const patience = 10 * time.Second

// pick chooses where spans go; nil is nowhere. The warnings name what of
// OpenTelemetry's settings could not be followed.
func pick(s settings.Settings, getenv func(string) string, endpoints map[string]string) (to sink, picked string, warnings []string) {
	switch {
	case s.Disabled:
		return nil, "spans go nowhere: THROUGHLINE_DISABLED is set", nil
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"):
		return nil, "spans go nowhere: OTEL_SDK_DISABLED is set", nil
	case strings.EqualFold(strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")), "none"):
		return nil, "spans go nowhere: OTEL_TRACES_EXPORTER is none", nil
	case s.Traces == "off":
		return nil, "spans go nowhere: THROUGHLINE_TRACES is off", nil
	case endpoints["otlp"] != "": // over loopback: no proxy has business there
		client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
		return queued{otlp.NewExporter(otlp.Config{URL: "http://" + endpoints["otlp"] + "/v1/traces", Client: client})},
			"spans go to the extension at " + endpoints["otlp"], nil
	}
	config, warnings := exporter(getenv)
	switch {
	case s.Traces == "xray":
		to, picked = pickXRay(getenv, config)
	case config.URL != "":
		to, picked = queued{otlp.NewExporter(config)}, "spans go to "+otlp.WithoutSecrets(config.URL)
	default:
		picked = "spans go nowhere: no extension is attached and OTEL_EXPORTER_OTLP_ENDPOINT is not set"
	}
	return to, picked, warnings
}

// pickXRay prefers an OTLP endpoint that was named, then the daemon that Lambda
// names, which costs no request and no right but xray:PutTraceSegments.
func pickXRay(getenv func(string) string, config otlp.Config) (sink, string) {
	region := getenv("AWS_REGION")
	if address := getenv("AWS_XRAY_DAEMON_ADDRESS"); config.URL == "" && address != "" {
		if d, err := dial(address); err == nil {
			return d, "spans go to the X-Ray daemon at " + d.conn.RemoteAddr().String() + "; for X-Ray's OTLP endpoint name it in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
		}
	}
	switch {
	case region == "":
		return nil, "spans go nowhere: X-Ray is asked for and AWS_REGION is not set"
	case config.URL == "":
		config.URL = "https://xray." + region + ".amazonaws.com/v1/traces"
	}
	config.Sign = otlp.SigV4(region, "xray", credentials(), time.Now)
	return queued{otlp.NewExporter(config)}, "spans go to X-Ray at " + otlp.WithoutSecrets(config.URL)
}

// exporter is what OTEL_EXPORTER_OTLP_* say of an exporter of traces
// (OpenTelemetry's "OTLP Exporter Configuration").
func exporter(getenv func(string) string) (config otlp.Config, warnings []string) {
	warn := func(name, value, takes string) {
		warnings = append(warnings, fmt.Sprintf("%s=%q: %s", name, value, takes))
	}
	setting := func(name string) (variable, value string) {
		for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
			if value = strings.TrimSpace(getenv(variable)); value != "" {
				return variable, value
			}
		}
		return variable, ""
	}
	config.URL, config.Headers = settings.OTLPTarget(getenv)
	if value := strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")); value != "" && !strings.EqualFold(value, "otlp") {
		warn("OTEL_TRACES_EXPORTER", value, "it takes otlp, none; otlp is used")
	}
	if name, value := setting("PROTOCOL"); value != "" && value != "http/protobuf" {
		warn(name, value, "http/protobuf is used; name a port that takes it, usually 4318")
	}
	switch name, value := setting("COMPRESSION"); value {
	case "", "gzip":
	case "none":
		config.Plain = true
	default:
		warn(name, value, "it takes gzip, none; gzip is used")
	}
	client := &http.Client{Timeout: patience}
	if name, value := setting("TIMEOUT"); value != "" {
		if ms, err := strconv.Atoi(value); err == nil && ms > 0 {
			client.Timeout = time.Duration(ms) * time.Millisecond
		} else {
			warn(name, value, "it takes milliseconds; 10000 is used")
		}
	}
	transport := otlp.NewTransport()
	client.Transport = transport
	if name, value := setting("CERTIFICATE"); value != "" {
		pool, err := trust(value)
		if err != nil {
			warn(name, value, err.Error()+"; the system's certificates are trusted")
		} else {
			transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
	}
	config.Client = client
	return config, warnings
}

// trust reads the certificates in a file.
func trust(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("read certificates: there is none in PEM")
	}
	return pool, nil
}
