package export

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// patience is the timeout of one request to a backend, in addition to the
// caller's context, unless OTEL_EXPORTER_OTLP_TIMEOUT sets another.
const patience = 10 * time.Second

// pick chooses the destination of spans; nil means none. The warnings name
// OpenTelemetry settings that could not be applied.
func pick(s settings.Settings, getenv func(string) string, credentials aws.CredentialsProvider, endpoints map[string]string) (to sink, picked string, warnings []string) {
	switch {
	case s.Disabled:
		return nil, "spans go nowhere: THROUGHLINE_DISABLED is set", nil
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"):
		return nil, "spans go nowhere: OTEL_SDK_DISABLED is set", nil
	case strings.EqualFold(strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")), "none"):
		return nil, "spans go nowhere: OTEL_TRACES_EXPORTER is none", nil
	case s.Traces == "off":
		return nil, "spans go nowhere: THROUGHLINE_TRACES is off", nil
	case endpoints["otlp"] != "": // over loopback: no proxy
		client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
		return queued{otlp.NewExporter(otlp.Config{URL: "http://" + endpoints["otlp"] + "/v1/traces", Client: client})},
			"spans go to the extension at " + endpoints["otlp"], nil
	}
	config, warnings := exporter(getenv)
	switch {
	case s.Traces == "xray":
		to, picked = pickXRay(getenv, credentials, config)
	case config.URL != "":
		to, picked = queued{otlp.NewExporter(config)}, "spans go to "+otlp.WithoutSecrets(config.URL)
	default:
		picked = "spans go nowhere: no extension is attached and OTEL_EXPORTER_OTLP_ENDPOINT is not set"
	}
	return to, picked, warnings
}

// pickXRay prefers a configured OTLP endpoint, and then the daemon of Lambda,
// which needs no request and only the permission xray:PutTraceSegments.
func pickXRay(getenv func(string) string, credentials aws.CredentialsProvider, config otlp.Config) (sink, string) {
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
	config.Sign = otlp.SigV4(region, "xray", credentials.Retrieve, time.Now)
	return queued{otlp.NewExporter(config)}, "spans go to X-Ray at " + otlp.WithoutSecrets(config.URL)
}

// exporter returns the exporter configuration from OpenTelemetry's settings.
func exporter(getenv func(string) string) (config otlp.Config, warnings []string) {
	if value := strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")); value != "" && !strings.EqualFold(value, "otlp") {
		warnings = append(warnings, fmt.Sprintf("OTEL_TRACES_EXPORTER=%q: it takes otlp, none; otlp is used", value))
	}
	if name, value := settings.First(getenv, "PROTOCOL", settings.OTLPTraces, settings.OTLPAll); value != "" && value != "http/protobuf" {
		warnings = append(warnings, fmt.Sprintf("%s=%q: http/protobuf is used; name a port that takes it, usually 4318", name, value))
	}
	config, wrong := configure.Exporter(getenv, &http.Client{Timeout: patience, Transport: otlp.NewTransport()})
	return config, append(warnings, wrong...)
}
