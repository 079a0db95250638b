// Package assemble makes the extension's configuration of the environment, for
// the layer's binary and for the operator's sidecar alike.
package assemble

import (
	"io"
	"net"
	"net/http"
	"net/url"
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
// a default holds. on are the endpoints where THROUGHLINE_ENDPOINTS is unset;
// stdout is the function's log.
func Extension(getenv func(string) string, credentials extension.Credentials, client *http.Client, stdout io.Writer, say func(string), on []string) extension.Config {
	s, warnings := settings.Parse(getenv)
	sample, warning := configure.Sample(getenv)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	checker, wrong := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials), say)
	out, unsunk := configure.MetricsOut(s, getenv, configure.CredentialsFunc(credentials), stdout, say)
	if unsunk != "" {
		wrong = append(wrong, unsunk)
	}
	to, lost := upstream(s, getenv, client, credentials)
	wrong = append(wrong, lost...)
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
		Disabled: s.Disabled, Upstream: to, Signals: signals(s, getenv), Flush: extension.Flush(s.Flush),
		EventsUpstream: s.EventsUpstream, AlpacaUpstream: s.AlpacaUpstream, AlpacaFaults: s.AlpacaFaults, Credentials: credentials,
		Tracing: configure.Tracing(s), Sample: sample, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn, Dedupe: checker,
		Metrics: configure.Metrics(s), Out: out, LogLevel: levels[s.Log], Now: time.Now,
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

var levels = map[string]extension.LogLevel{"warn": extension.LogWarn, "info": extension.LogInfo, "debug": extension.LogDebug}

// upstream is where spans go; the warnings say what keeps them from going there.
func upstream(s settings.Settings, getenv func(string) string, client *http.Client, credentials extension.Credentials) (to otlp.Config, warnings []string) {
	if s.Traces == "off" {
		return otlp.Config{}, nil
	}
	to, warnings = configure.Exporter(getenv, client)
	if itself(to.URL, s.OTLPAddr) {
		to.URL = ""
	}
	switch {
	case s.Traces == "xray":
		region := getenv("AWS_REGION")
		if region == "" {
			return otlp.Config{}, append(warnings, "THROUGHLINE_TRACES=xray: spans go nowhere, because AWS_REGION is not set")
		}
		if to.URL == "" {
			to.URL = "https://xray." + region + ".amazonaws.com/v1/traces"
		}
		to.Sign = otlp.SigV4(region, "xray", credentials, time.Now)
	case to.URL != "" && settings.SpeaksGRPC(getenv):
		warnings = append(warnings, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: the extension exports its own spans over HTTP all the same; name a port that takes it, usually 4318")
	}
	return to, warnings
}

// signals is where metrics and logs go that SDKs send to the receiver.
func signals(s settings.Settings, getenv func(string) string) extension.Signals {
	base, headers := settings.OTLPBase(getenv)
	if itself(base, s.OTLPAddr) {
		return extension.Signals{}
	}
	secured, _ := configure.TLS(getenv, settings.OTLPAll) // what is wrong is said of traces
	return extension.Signals{URL: base, Headers: headers, TLS: secured}
}

// itself says that a URL is the address that the receiver listens on, by
// whatever name of loopback: it was meant for the function.
func itself(target, address string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	return err == nil && u.Port() == port && (u.Hostname() == host || loopback(u.Hostname()) && loopback(host))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
