package configure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// Exporter returns the configuration of an exporter of traces from OTEL_EXPORTER_OTLP_*
// (OpenTelemetry's "OTLP Exporter Configuration"). It uses client or, if a timeout or
// certificates are set, a client derived from it. It does not read the protocol.
func Exporter(getenv func(string) string, client *http.Client) (config otlp.Config, warnings []string) {
	setting := func(name string) (variable, value string) {
		return settings.First(getenv, name, settings.OTLPTraces, settings.OTLPAll)
	}
	config.URL, config.Headers = settings.OTLPTarget(getenv)
	warnings = endpoint(getenv)
	switch name, value := setting("COMPRESSION"); value {
	case "", "gzip":
	case "none":
		config.Plain = true
	default:
		warnings = append(warnings, wrong(name, value, "it takes gzip, none; gzip is used"))
	}
	config.Client = client
	if name, value := setting("TIMEOUT"); value != "" {
		if ms, err := strconv.Atoi(value); err == nil && ms > 0 {
			config.Client = &http.Client{Transport: client.Transport, Timeout: time.Duration(ms) * time.Millisecond}
		} else {
			warnings = append(warnings, wrong(name, value, "it takes milliseconds; the default is used"))
		}
	}
	secured, more := TLS(getenv, settings.OTLPTraces, settings.OTLPAll)
	if secured != nil {
		transport := otlp.NewTransport()
		transport.TLSClientConfig = secured
		config.Client = &http.Client{Transport: transport, Timeout: config.Client.Timeout}
	}
	return config, append(warnings, more...)
}

// endpoint returns warnings if the endpoint of traces cannot be one of OTLP/HTTP.
func endpoint(getenv func(string) string) (warnings []string) {
	name, value := settings.First(getenv, "ENDPOINT", settings.OTLPTraces, settings.OTLPAll)
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return []string{name + " takes a URL that begins with http:// or https://, such as http://127.0.0.1:4318"}
	case u.Port() == "4317" && !settings.SpeaksGRPC(getenv): // the caller warns of gRPC
		return []string{wrong(name, otlp.WithoutSecrets(value), "4317 is usually the port for gRPC; Throughline exports over HTTP, whose port is usually 4318")}
	}
	return nil
}

// TLS returns the certificates that an exporter trusts and presents, from the settings
// with these prefixes; nil if none is set.
func TLS(getenv func(string) string, prefixes ...string) (config *tls.Config, warnings []string) {
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	if name, value := settings.First(getenv, "CERTIFICATE", prefixes...); value != "" {
		pool, err := trust(value)
		if err != nil {
			warnings = append(warnings, wrong(name, value, err.Error()+"; the system's certificates are trusted"))
		} else {
			secured.RootCAs, config = pool, secured
		}
	}
	if name, value := settings.First(getenv, "CLIENT_CERTIFICATE", prefixes...); value != "" {
		keyName, key := settings.First(getenv, "CLIENT_KEY", prefixes...)
		pair, err := tls.LoadX509KeyPair(value, key)
		switch {
		case key == "":
			warnings = append(warnings, wrong(name, value, keyName+" is not set; no certificate is shown to the backend"))
		case err != nil:
			warnings = append(warnings, wrong(name, value, err.Error()+"; no certificate is shown to the backend"))
		default:
			secured.Certificates, config = []tls.Certificate{pair}, secured
		}
	}
	return config, warnings
}

func wrong(name, value, takes string) string { return fmt.Sprintf("%s=%q: %s", name, value, takes) }

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
