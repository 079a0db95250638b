// Package assemble reads the extension's configuration from the environment, for the
// layer's binary and for the sidecar.
package assemble

import (
	"cmp"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/loopback"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// wrapper is the layer's script that points the runtime at the endpoints.
const wrapper = "/opt/throughline/wrapper"

// Endpoints are the endpoints that are on by default, and their default addresses.
// Settings take precedence.
type Endpoints struct {
	On        []string
	Addresses map[string]string // by endpoint name; an endpoint without one uses a free port
	// OTLPElsewhere makes otlp use a free port if its address is in use.
	OTLPElsewhere bool
}

// InLambda returns the endpoints of the layer. With the wrapper, they are those that the
// wrapper uses, on free ports that the handshake announces. Without it, only otlp is on,
// at the port to which SDKs post by default, unless that is in use. events and alpaca are
// on only if a setting names them, because a client that is pointed at them is not the
// same as before.
func InLambda(getenv func(string) string) Endpoints {
	if getenv("AWS_LAMBDA_EXEC_WRAPPER") == wrapper {
		return Endpoints{On: []string{"otlp", "runtime"}}
	}
	return Endpoints{On: []string{"otlp"}, Addresses: map[string]string{"otlp": "127.0.0.1:4318"}, OTLPElsewhere: true}
}

// OfSidecar returns the endpoints of the sidecar.
func OfSidecar() Endpoints {
	return Endpoints{On: []string{"otlp", "events", "alpaca"}, Addresses: map[string]string{
		"otlp": "127.0.0.1:4318", "events": "127.0.0.1:4319", "alpaca": "127.0.0.1:4320", "runtime": "127.0.0.1:4321",
	}}
}

// address returns where an endpoint listens. setting is the address in the settings, ""
// if none.
func (e *Endpoints) address(name, setting string) string {
	return cmp.Or(setting, e.Addresses[name], "127.0.0.1:0")
}

// Extension returns the configuration that the environment sets. For a wrong setting the
// default applies, and say gets a message. stdout is the function's log.
func Extension(getenv func(string) string, credentials extension.Credentials, client *http.Client, stdout io.Writer, say func(string), endpoints Endpoints) extension.Config {
	s, warnings := settings.Parse(getenv)
	elsewhere := s.OTLPAddr == "" && endpoints.OTLPElsewhere
	s.OTLPAddr = endpoints.address("otlp", s.OTLPAddr)
	sample, warning := configure.Sample(getenv)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	checker, wrong := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials), say)
	out, unsunk := configure.MetricsOut(s, getenv, configure.CredentialsFunc(credentials), stdout, say)
	if unsunk != "" {
		wrong = append(wrong, unsunk)
	}
	api, unread := configure.HTTP(s)
	if unread != "" {
		wrong = append(wrong, unread)
	}
	to, lost := upstream(s, getenv, client, credentials)
	wrong = append(wrong, lost...)
	for _, w := range append(warnings, wrong...) {
		say(w)
	}
	memory, _ := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	tmp := cmp.Or(getenv("TMPDIR"), "/tmp")
	c := extension.Config{
		RuntimeAPI: getenv("AWS_LAMBDA_RUNTIME_API"), InitType: getenv("AWS_LAMBDA_INITIALIZATION_TYPE"),
		FunctionName: getenv("AWS_LAMBDA_FUNCTION_NAME"), MemoryMB: memory, Region: getenv("AWS_REGION"), TempDir: tmp,
		Disabled: s.Disabled, Upstream: to, Signals: signals(s, getenv), Flush: extension.Flush(s.Flush), Hops: extension.Hops(s.Hops),
		EventsUpstream: s.EventsUpstream, AlpacaUpstream: s.AlpacaUpstream, AlpacaFaults: s.AlpacaFaults, Credentials: credentials,
		Tracing: configure.Tracing(s), API: api, Sample: sample, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn, Dedupe: checker,
		Metrics: configure.Metrics(s), Out: out, LogLevel: levels[s.Log], Now: time.Now,
	}
	on := endpoints.On
	if s.Endpoints != nil {
		on = s.Endpoints
	}
	c.OTLPElsewhere = elsewhere
	for name, address := range map[string]struct {
		into    *string
		setting string
	}{
		"otlp": {&c.OTLPAddr, s.OTLPAddr}, "events": {&c.EventsAddr, s.EventsAddr},
		"alpaca": {&c.AlpacaAddr, s.AlpacaAddr}, "runtime": {&c.RuntimeAddr, s.RuntimeAddr},
	} {
		if slices.Contains(on, name) {
			*address.into = endpoints.address(name, address.setting)
		}
	}
	return c
}

var levels = map[string]extension.LogLevel{"warn": extension.LogWarn, "info": extension.LogInfo, "debug": extension.LogDebug}

// upstream returns where spans are exported, and warnings on settings that prevent it.
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
			return otlp.Config{}, append(warnings, "THROUGHLINE_TRACES=xray: spans are not exported, because AWS_REGION is not set")
		}
		to.URL = cmp.Or(to.URL, "https://xray."+region+".amazonaws.com/v1/traces")
		to.Sign = otlp.SigV4(region, "xray", credentials, time.Now)
	case to.URL != "" && settings.SpeaksGRPC(getenv):
		warnings = append(warnings, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: the extension supports only OTLP/HTTP and exports its spans over HTTP; set a port that accepts it, usually 4318")
	}
	return to, warnings
}

// signals returns where metrics and logs that SDKs send to the receiver are forwarded.
func signals(s settings.Settings, getenv func(string) string) extension.Signals {
	base, headers := settings.OTLPBase(getenv)
	if itself(base, s.OTLPAddr) {
		return extension.Signals{}
	}
	secured, _ := configure.TLS(getenv, settings.OTLPAll) // upstream reports problems
	return extension.Signals{URL: base, Headers: headers, TLS: secured}
}

// itself reports whether a URL is the address that the receiver listens on, by any name
// of loopback. Such a URL was meant for the function.
func itself(target, address string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	return err == nil && u.Port() == port && (u.Hostname() == host || here(u.Hostname()) && here(host))
}

// here reports whether a connection to host ends on this machine, as one to 0.0.0.0 does.
func here(host string) bool {
	return loopback.Is(host) || net.ParseIP(host).IsUnspecified()
}
