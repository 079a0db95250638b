package assemble

import (
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
