package extension

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline/throughline/extension/internal/alpacaproxy"
	"github.com/throughline/throughline/extension/internal/events"
	"github.com/throughline/throughline/extension/internal/receiver"
	"github.com/throughline/throughline/extension/internal/runtimeapi"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/extension/internal/shims"
)

// endpointNames are the local endpoints, in the order in which they are announced.
var endpointNames = []string{"otlp", "events", "alpaca", "runtime"}

// addresses returns the configured addresses of the endpoints, by name.
func (c *Config) addresses() map[string]string {
	return map[string]string{"otlp": c.OTLPAddr, "events": c.EventsAddr, "alpaca": c.AlpacaAddr, "runtime": c.RuntimeAddr}
}

// open opens the endpoints that have an address. If one cannot be opened, open logs a
// warning and continues without it.
func (x *extension) open(addresses map[string]string) {
	for _, name := range endpointNames {
		address := addresses[name]
		if address == "" {
			continue
		}
		listener, err := server.Listen(address)
		if err != nil && name == "otlp" && x.config.OTLPElsewhere {
			listener, err = server.Listen(anyPort)
		}
		if err != nil {
			x.log.Once("the %s endpoint is off: %v; set THROUGHLINE_%s_ADDR to a free address", name, err, strings.ToUpper(name))
			continue
		}
		handler := server.Guarded(x.endpoint(name), listener.Addr().String(), x.fault)
		x.servers[name] = server.Serve(listener, handler, x.budget)
	}
}

// anyPort lets the system choose a port.
const anyPort = "127.0.0.1:0"

// endpoint returns the handler of the endpoint with a name.
func (x *extension) endpoint(name string) http.Handler {
	c := &x.config
	switch name {
	case "events":
		return events.New(events.Endpoint{
			InFlight: x.inFlight, Calls: x.calls, Budget: x.budget, Credentials: c.Credentials, Region: c.Region,
			Upstream: x.upstream("THROUGHLINE_EVENTS_UPSTREAM", c.EventsUpstream), Now: c.Now,
		})
	case "alpaca":
		config := alpacaproxy.Config{Upstream: x.upstream("THROUGHLINE_ALPACA_UPSTREAM", c.AlpacaUpstream), Faults: c.AlpacaFaults, Provider: x.tracing.TracerProvider, API: c.API, Metrics: x.metrics, InFlight: x.inFlight}
		endpoint, err := alpacaproxy.New(config)
		if err != nil {
			x.log.Once("THROUGHLINE_ALPACA_FAULTS: %v; there are none", err)
			config.Faults = ""
			endpoint, _ = alpacaproxy.New(config) // without faults New returns no error
		}
		return endpoint
	case "runtime":
		x.runtime = runtimeapi.New(runtimeapi.Config{
			Upstream: c.RuntimeAPI, Handling: x.handling, Invocations: x.invocations, InFlight: x.inFlight, Metrics: x.metrics,
			Budget: x.budget, Kept: server.NewBudget(eventsBudget), Now: c.Now, InitType: c.InitType, Sidecar: x.sidecar,
			Settle: x.settle,
		})
		x.shims = &shims.Endpoint{
			InFlight: x.inFlight, Calls: x.calls, Metrics: x.metrics, Spans: x.provider, API: c.API, Budget: x.budget, Credentials: c.Credentials, Now: c.Now,
			Hops: x.hops, Settle: x.settle,
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, shims.Prefix) {
				x.shims.ServeHTTP(w, r)
			} else {
				server.Unhurried(r)
				x.runtime.ServeHTTP(w, r)
			}
		})
	default:
		return receiver.New(receiver.Config{Take: x.received, Signals: receiver.Signals(c.Signals), Metrics: x.metrics, Budget: x.budget, Now: c.Now})
	}
}

// upstream returns the URL of a setting that replaces the real upstream, nil if it is
// empty. If the URL is invalid, upstream logs a warning and returns nil.
func (x *extension) upstream(setting, text string) *url.URL {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		x.log.Once("%s=%q: it takes a URL such as http://127.0.0.1:8080; the default is used", setting, text)
		return nil
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, User: u.User}
}

// listening returns the endpoints and their addresses as text.
func (x *extension) listening() string {
	var text strings.Builder
	for _, name := range endpointNames {
		if s := x.servers[name]; s != nil {
			fmt.Fprintf(&text, ", %s answers at %s", name, s.Address)
		}
	}
	return text.String()
}
