// Package assemble makes the extension's configuration of the environment, for
// the layer's binary and for the operator's sidecar alike.
package assemble

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// wrapper is the script in the layer that points the runtime at the endpoints.
const wrapper = "/opt/throughline/wrapper"

// InLambda are the endpoints that are on in Lambda where nothing is said of
// them: all four where the wrapper makes use of them.
func InLambda(getenv func(string) string) []string {
	if getenv("AWS_LAMBDA_EXEC_WRAPPER") == wrapper {
		return []string{"otlp", "events", "alpaca", "runtime"}
	}
	return []string{"otlp"}
}

// Extension reads the settings. Whatever is wrong with them is told to say, and
// a default holds. on are the endpoints where THROUGHLINE_ENDPOINTS is unset.
func Extension(getenv func(string) string, credentials extension.Credentials, client *http.Client, say func(string), on []string) extension.Config {
	s, warnings := settings.Parse(getenv)
	sample, warning := configure.Sample(getenv)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	checker, wrong := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials), say)
	for _, w := range append(warnings, wrong...) {
		say(w)
	}
	memory, _ := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	tmp := getenv("TMPDIR")
	if tmp == "" {
		tmp = "/tmp"
	}
	c := extension.Config{
		RuntimeAPI: getenv("AWS_LAMBDA_RUNTIME_API"), InitType: getenv("AWS_LAMBDA_INITIALIZATION_TYPE"),
		FunctionName: getenv("AWS_LAMBDA_FUNCTION_NAME"), MemoryMB: memory, Region: getenv("AWS_REGION"), TempDir: tmp,
		Disabled: s.Disabled, Upstream: upstream(s, getenv, client, credentials), Flush: extension.Flush(s.Flush),
		EventsUpstream: s.EventsUpstream, AlpacaUpstream: s.AlpacaUpstream, AlpacaFaults: s.AlpacaFaults, Credentials: credentials,
		Tracing: configure.Tracing(s), Sample: sample, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn, Dedupe: checker,
		Metrics: configure.Metrics(s), Now: time.Now,
	}
	if s.Endpoints != nil {
		on = s.Endpoints
	}
	for name, address := range map[string]struct {
		into  *string
		value string
	}{
		"otlp": {&c.OTLPAddr, s.OTLPAddr}, "events": {&c.EventsAddr, s.EventsAddr},
		"alpaca": {&c.AlpacaAddr, s.AlpacaAddr}, "runtime": {&c.RuntimeAddr, s.RuntimeAddr},
	} {
		if slices.Contains(on, name) {
			*address.into = address.value
		}
	}
	return c
}

// upstream is where spans go. An address that the extension listens on itself
// counts as unset: the setting was meant for the function.
func upstream(s settings.Settings, getenv func(string) string, client *http.Client, credentials extension.Credentials) otlp.Config {
	switch s.Traces {
	case "off":
		return otlp.Config{}
	case "xray":
		region := getenv("AWS_REGION")
		if region == "" {
			return otlp.Config{}
		}
		target, headers := settings.OTLPTarget(getenv)
		if target == "" || target == "http://"+s.OTLPAddr+"/v1/traces" {
			target = "https://xray." + region + ".amazonaws.com/v1/traces"
		}
		return otlp.Config{
			URL: target, Headers: headers, Sign: otlp.SigV4(region, "xray", credentials, time.Now),
		}
	}
	target, headers := settings.OTLPTarget(getenv)
	if target == "http://"+s.OTLPAddr+"/v1/traces" {
		target = ""
	}
	return otlp.Config{URL: target, Headers: headers, Client: client}
}
