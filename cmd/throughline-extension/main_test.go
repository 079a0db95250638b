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
	if c := configured(env("AWS_LAMBDA_EXEC_WRAPPER", "/opt/throughline/wrapper"), "x"); c.RuntimeAddr != "127.0.0.1:0" || c.EventsAddr+c.AlpacaAddr != "" || c.OTLPAddr != "127.0.0.1:0" || c.OTLPElsewhere {
		t.Errorf("with the wrapper: %+v", c)
	}
	if c := configured(env(), "x"); c.RuntimeAddr+c.EventsAddr+c.AlpacaAddr != "" || c.OTLPAddr == "" {
		t.Errorf("without the wrapper: %+v", c)
	}
	if c := configured(env("THROUGHLINE_ENDPOINTS", "none"), "x"); c.OTLPAddr != "" {
		t.Errorf("spans are received at %s", c.OTLPAddr)
	}
	if c := configured(env("THROUGHLINE_ENDPOINTS", "otlp"), "x"); c.OTLPAddr != "127.0.0.1:4318" || !c.OTLPElsewhere {
		t.Errorf("spans are received at %q", c.OTLPAddr)
	}
	if c := configured(env("THROUGHLINE_OTLP_ADDR", "127.0.0.1:4318"), "x"); c.OTLPElsewhere {
		t.Error("an address that is set is not kept")
	}
	if c := configured(env("AWS_LAMBDA_EXEC_WRAPPER", "/opt/throughline/wrapper", "THROUGHLINE_ENDPOINTS", "events,alpaca", "THROUGHLINE_ALPACA_ADDR", "127.0.0.1:4320"), "x"); c.EventsAddr != "127.0.0.1:0" || c.AlpacaAddr != "127.0.0.1:4320" || c.OTLPAddr+c.RuntimeAddr != "" {
		t.Errorf("named: %+v", c)
	}
}
