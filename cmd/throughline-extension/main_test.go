package main

import (
	"bytes"
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

func TestHelpListsEverySetting(t *testing.T) {
	var out, errs bytes.Buffer
	if code := answer("--help", &out, &errs); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, s := range settings.Table() {
		if !strings.Contains(out.String(), s.Variable()) || !strings.Contains(out.String(), s.Help) {
			t.Errorf("--help does not show %s", s.Variable())
		}
	}
	if code := answer("--version", &out, &errs); code != 0 || !strings.Contains(out.String(), "throughline-extension ") {
		t.Errorf("--version: exit %d", code)
	}
	if code := answer("--nonsense", &out, &errs); code != 2 || !strings.Contains(errs.String(), "--help") {
		t.Errorf("an unknown argument: exit %d, %s", code, errs.String())
	}
}

func TestConfigure(t *testing.T) {
	c := configured(env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001", "AWS_LAMBDA_FUNCTION_NAME", "portfolio", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend:4318", "THROUGHLINE_OTLP_ADDR", "127.0.0.1:0"), "throughline-extension")
	if c.RuntimeAPI != "127.0.0.1:9001" || c.FunctionName != "portfolio" || c.MemoryMB != 256 || c.TempDir != "/tmp" || c.OTLPAddr != "127.0.0.1:0" ||
		c.Upstream.URL != "http://backend:4318/v1/traces" || c.Metrics.Service != "portfolio" || c.Name != "throughline-extension" {
		t.Errorf("%+v", c)
	}
}

func TestTheReceiverCanBeSwitchedOff(t *testing.T) {
	if c := configured(env("THROUGHLINE_ENDPOINTS", "none"), "x"); c.OTLPAddr != "" {
		t.Errorf("spans are received at %s", c.OTLPAddr)
	}
	if c := configured(env("THROUGHLINE_ENDPOINTS", "otlp"), "x"); c.OTLPAddr != "127.0.0.1:4318" {
		t.Errorf("spans are received at %q", c.OTLPAddr)
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
		"XRay":              {env("THROUGHLINE_TRACES", "xray", "AWS_REGION", "eu-west-1"), "https://xray.eu-west-1.amazonaws.com/v1/traces"},
		"XRayWithoutRegion": {env("THROUGHLINE_TRACES", "xray"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := settings.Parse(tt.env)
			u := upstream(s, tt.env, nil, nil)
			if u.URL != tt.want || (u.Sign != nil) != strings.Contains(tt.want, "xray") {
				t.Errorf("upstream %q, signed %v", u.URL, u.Sign != nil)
			}
		})
	}
}
