package settings

import (
	"bytes"
	"slices"
	"strings"
	"testing"
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

func TestDefaults(t *testing.T) {
	s, warnings := Parse(env("AWS_LAMBDA_FUNCTION_NAME", "portfolio"))
	if len(warnings) != 0 {
		t.Errorf("warnings %v", warnings)
	}
	if s.Stamp != "resources" || s.MaxHops != 16 || s.SizeLimit != 1<<20 || s.Service != "portfolio" || s.Endpoints != nil || s.OTLPAddr != "" || s.Disabled || !slices.Equal(s.HTTPHosts, []string{"*.alpaca.markets"}) {
		t.Errorf("defaults %+v", s)
	}
}

func TestValues(t *testing.T) {
	s, warnings := Parse(env("THROUGHLINE_DISABLED", "1", "THROUGHLINE_STAMP", "Detail", "THROUGHLINE_EVENT_ID", "/metadata/id, /id", "THROUGHLINE_SERVICE", "x", "AWS_LAMBDA_FUNCTION_NAME", "f"))
	if len(warnings) != 0 || !s.Disabled || s.Stamp != "detail" || !slices.Equal(s.EventID, []string{"/metadata/id", "/id"}) || s.Service != "x" {
		t.Errorf("%+v, warnings %v", s, warnings)
	}
}

func TestWrongValuesLeaveTheDefaultAndAreNamed(t *testing.T) {
	for name, value := range map[string]string{"STAMP": "everywhere", "MAX_HOPS": "many", "SIZE_LIMIT": "-1", "EVENT_ID": "event_id", "DISABLED": "yes", "FLUSH": "never"} {
		t.Run(name, func(t *testing.T) {
			s, warnings := Parse(env("THROUGHLINE_"+name, value))
			if len(warnings) != 1 || !strings.Contains(warnings[0], "THROUGHLINE_"+name) || !strings.Contains(warnings[0], value) {
				t.Errorf("warnings %q", warnings)
			}
			if s.Stamp != "resources" || s.MaxHops != 16 || s.SizeLimit != 1<<20 || s.EventID != nil || s.Disabled || s.Flush != "auto" {
				t.Errorf("settings %+v", s)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var text, markdown bytes.Buffer
	if err := WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, s := range Table() {
		if s.Help == "" || !strings.Contains(text.String(), s.Variable()) || !strings.Contains(markdown.String(), s.Variable()) {
			t.Errorf("%s is not shown", s.Name)
		}
		if s.Allowed != nil && !slices.Contains(s.Allowed, s.Default) {
			t.Errorf("%s: its default %q is not allowed", s.Name, s.Default)
		}
	}
	if f := (Setting{Name: "OTLP_ADDR"}).Flag(); f != "otlp-addr" {
		t.Errorf("flag %s", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("resources", "16")
	f.Fuzz(func(t *testing.T, text, number string) {
		s, _ := Parse(func(name string) string {
			if strings.HasSuffix(name, "MAX") || strings.HasSuffix(name, "HOPS") || strings.Contains(name, "SIZE") {
				return number
			}
			return text
		})
		if s.MaxHops <= 0 || s.SizeLimit <= 0 || s.EventTypesMax <= 0 {
			t.Errorf("settings %+v", s)
		}
	})
}

func TestOTLPTarget(t *testing.T) {
	for name, tt := range map[string]struct {
		env    func(string) string
		target string
		header string
	}{
		"Unset":  {env(), "", ""},
		"Base":   {env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/", "OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b"), "http://h:4318/v1/traces", "a b"},
		"Traces": {env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h", "OTEL_EXPORTER_OTLP_HEADERS", "api-key=a", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=b,junk"), "http://t/x", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			target, headers := OTLPTarget(tt.env)
			if target != tt.target || headers["api-key"] != tt.header {
				t.Errorf("target %q headers %v", target, headers)
			}
		})
	}
}

func TestUnknownNamesAreNamed(t *testing.T) {
	got := Unknown([]string{"THROUGHLINE_STAMPS=off", "THROUGHLINE_STAMP=off", "PATH=/bin", "THROUGHLINE_A=1", "OTHER"})
	if want := []string{"THROUGHLINE_A is not a setting, and has no effect", "THROUGHLINE_STAMPS is not a setting, and has no effect; did you mean THROUGHLINE_STAMP?"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Of a list the names that mean something hold.
func TestUnknownEndpoints(t *testing.T) {
	for value, want := range map[string][]string{"otlp,nonsense": {"otlp"}, "nonsense": nil, "none": {"none"}} {
		if s, _ := Parse(env("THROUGHLINE_ENDPOINTS", value)); !slices.Equal(s.Endpoints, want) {
			t.Errorf("%s: %q", value, s.Endpoints)
		}
	}
}

func TestAddresses(t *testing.T) {
	for value, holds := range map[string]bool{
		"": true, "127.0.0.1:4318": true, " localhost:0 ": true, "[::1]:65535": true,
		"4318": false, ":4318": false, "127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:x": false, "127.0.0.1:http": false,
		"127.0.0.1:65536": false, "127.0.0.1:-1": false, "0.0.0.0:4318": false, "10.0.0.1:4318": false, "example.com:4318": false, "http://127.0.0.1:4318": false,
	} {
		t.Run(value, func(t *testing.T) {
			s, warnings := Parse(env("THROUGHLINE_OTLP_ADDR", value))
			want := ""
			if holds {
				want = strings.TrimSpace(value)
			}
			if s.OTLPAddr != want || holds != (len(warnings) == 0) {
				t.Errorf("%q, warned %q", s.OTLPAddr, warnings)
			}
			if !holds && (len(warnings) != 1 || !strings.Contains(warnings[0], "THROUGHLINE_OTLP_ADDR") || !strings.Contains(warnings[0], "the default is used")) {
				t.Errorf("warned %q", warnings)
			}
		})
	}
}
