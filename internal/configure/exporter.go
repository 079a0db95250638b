package configure

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

// Exporter is what OTEL_EXPORTER_OTLP_* say of an exporter of traces
// (OpenTelemetry's "OTLP Exporter Configuration"), over client or, where they
// ask for another one, over a client like it. The protocol is the caller's.
func Exporter(getenv func(string) string, client *http.Client) (config otlp.Config, warnings []string) {
	warn := func(name, value, takes string) {
		warnings = append(warnings, fmt.Sprintf("%s=%q: %s", name, value, takes))
	}
	config.URL, config.Headers = settings.OTLPTarget(getenv)
	switch name, value := otlpSetting(getenv, "COMPRESSION"); value {
	case "", "gzip":
	case "none":
		config.Plain = true
	default:
		warn(name, value, "it takes gzip, none; gzip is used")
	}
	config.Client = client
	if name, value := otlpSetting(getenv, "TIMEOUT"); value != "" {
		if ms, err := strconv.Atoi(value); err == nil && ms > 0 {
			config.Client = &http.Client{Transport: client.Transport, Timeout: time.Duration(ms) * time.Millisecond}
		} else {
			warn(name, value, "it takes milliseconds; 10000 is used")
		}
	}
	secured, wrong := TLS(getenv)
	if secured != nil {
		transport := otlp.NewTransport()
		transport.TLSClientConfig = secured
		config.Client = &http.Client{Transport: transport, Timeout: config.Client.Timeout}
	}
	return config, append(warnings, wrong...)
}

// TLS is whom an exporter trusts, and what it shows of itself; nil where
// OTEL_EXPORTER_OTLP_* say nothing of that.
func TLS(getenv func(string) string) (config *tls.Config, warnings []string) {
	warn := func(name, value, takes string) {
		warnings = append(warnings, fmt.Sprintf("%s=%q: %s", name, value, takes))
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	if name, value := otlpSetting(getenv, "CERTIFICATE"); value != "" {
		pool, err := trust(value)
		if err != nil {
			warn(name, value, err.Error()+"; the system's certificates are trusted")
		} else {
			secured.RootCAs, config = pool, secured
		}
	}
	if name, value := otlpSetting(getenv, "CLIENT_CERTIFICATE"); value != "" {
		keyName, key := otlpSetting(getenv, "CLIENT_KEY")
		pair, err := tls.LoadX509KeyPair(value, key)
		switch {
		case key == "":
			warn(name, value, keyName+" is not set; no certificate is shown to the backend")
		case err != nil:
			warn(name, value, err.Error()+"; no certificate is shown to the backend")
		default:
			secured.Certificates, config = []tls.Certificate{pair}, secured
		}
	}
	return config, warnings
}

// otlpSetting is a setting for traces, else for all signals, and the variable that has it.
func otlpSetting(getenv func(string) string, name string) (variable, value string) {
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = strings.TrimSpace(getenv(variable)); value != "" {
			return variable, value
		}
	}
	return variable, ""
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
