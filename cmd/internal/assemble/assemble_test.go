package assemble

import (
	"io"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/settings"
)

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

func TestUpstream(t *testing.T) {
	for name, tt := range map[string]struct {
		env  func(string) string
		want string
	}{
		"Unset":             {env(), ""},
		"Off":               {env("THROUGHLINE_TRACES", "off", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend"), ""},
		"ItsOwnAddress":     {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), ""},
		"ItsOwnName":        {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/"), ""},
		"AnotherPort":       {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4319"), "http://localhost:4319/v1/traces"},
		"GRPC":              {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), "http://backend:4317/v1/traces"},
		"XRay":              {env("THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1"), "https://xray.eu-west-1.amazonaws.com/v1/traces"},
		"XRayWithoutRegion": {env("THROUGHLINE_TRACES", "xray"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := settings.Parse(tt.env)
			s.OTLPAddr = "127.0.0.1:4318"
			u, _ := upstream(s, tt.env, nil, nil)
			if u.URL != tt.want || (u.Sign != nil) != strings.Contains(tt.want, "xray") {
				t.Errorf("upstream %q, signed %v", u.URL, u.Sign != nil)
			}
		})
	}
}

// Metrics and logs go where the SDK would have sent them, wherever spans go.
func TestSignals(t *testing.T) {
	for name, tt := range map[string]struct {
		env  func(string) string
		want string
	}{
		"Unset":         {env(), ""},
		"ItsOwnName":    {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"), ""},
		"TracesApart":   {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://metrics/base/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/v1/traces"), "http://metrics/base"},
		"TracesToXRay":  {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://metrics", "THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1"), "http://metrics"},
		"TracesNowhere": {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://metrics", "THROUGHLINE_TRACES", "off"), "http://metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			if c := Extension(tt.env, nil, nil, io.Discard, func(string) {}, OfSidecar()); c.Signals.URL != tt.want {
				t.Errorf("metrics and logs go to %q", c.Signals.URL)
			}
		})
	}
}

// A wrong address is said once, and the endpoint has its default.
func TestWrongAddresses(t *testing.T) {
	for name, tt := range map[string]struct {
		endpoints Endpoints
		want      string
		elsewhere bool
	}{
		"Without the wrapper": {InLambda(env()), "127.0.0.1:4318", true},
		"With the wrapper":    {InLambda(env("AWS_LAMBDA_EXEC_WRAPPER", wrapper)), "127.0.0.1:0", false},
		"Sidecar":             {OfSidecar(), "127.0.0.1:4318", false},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			c := Extension(env("THROUGHLINE_OTLP_ADDR", "0.0.0.0:9"), nil, nil, io.Discard, func(text string) { said = append(said, text) }, tt.endpoints)
			if c.OTLPAddr != tt.want || c.OTLPElsewhere != tt.elsewhere {
				t.Errorf("at %s, elsewhere %t", c.OTLPAddr, c.OTLPElsewhere)
			}
			if len(said) != 1 || !strings.Contains(said[0], `THROUGHLINE_OTLP_ADDR="0.0.0.0:9"`) {
				t.Errorf("said %q", said)
			}
		})
	}
}
