// Package alpaca describes Alpaca's APIs (docs.alpaca.markets): hosts, path
// templates, response headers, and order IDs. It does not import Alpaca's client.
//
// [Calls] configures a transport of package tracing for them. A transport of
// export.Setup and the layer support them by default.
package alpaca

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/outbound"
)

// Hosts is the pattern of Alpaca's hosts.
const Hosts = "*.alpaca.markets"

// endpoints are Alpaca's hosts by the first path element of a request to the
// proxy.
var endpoints = [...]struct{ word, host string }{
	{"live", "api.alpaca.markets"}, {"paper", "paper-api.alpaca.markets"}, {"data", "data.alpaca.markets"}, {"stream", "stream.data.alpaca.markets"},
	{"broker", "broker-api.alpaca.markets"}, {"data-sandbox", "data.sandbox.alpaca.markets"}, {"broker-sandbox", "broker-api.sandbox.alpaca.markets"},
	{"stream-sandbox", "stream.data.sandbox.alpaca.markets"},
}

// Host splits a path such as /paper/v2/orders into the host that its first
// element names, by a word or by the host's own name, and the rest. It reports
// false if that is not one of Alpaca's hosts. The words are live, paper, data,
// stream, broker, data-sandbox, stream-sandbox and broker-sandbox.
func Host(path string) (host, rest string, ok bool) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	for i := range endpoints {
		if e := &endpoints[i]; e.word == word || e.host == word {
			return e.host, "/" + rest, true
		}
	}
	return "", "", false
}

// The headers of Alpaca's responses that are recorded.
const (
	headerRequestID = "X-Request-Id"
	headerLimit     = "X-Ratelimit-Limit"
	headerRemaining = "X-Ratelimit-Remaining"
	headerReset     = "X-Ratelimit-Reset"
)

// API returns the configuration of a transport for Alpaca at hosts, which are
// patterns as in tracing.WithHosts; nil means Hosts.
func API(hosts []string) outbound.API {
	if hosts == nil {
		hosts = []string{Hosts}
	}
	api := outbound.API{Hosts: outbound.ParseHosts(hosts)}
	api.Route = func(host, path string) string {
		if !api.Hosts.Match(host) {
			return ""
		}
		return Route(path)
	}
	return api.WithHook(outbound.Hook{
		Answered: answered, Headers: []string{headerRequestID, headerLimit, headerRemaining, headerReset},
	})
}

// Calls configures a transport for Alpaca: requests to its hosts carry lineage
// headers, its paths have templates, and its request IDs and rate limits are
// recorded. hosts replace [Hosts], for example with a test server. Calls is an
// option of tracing.NewTransport and tracing.Client; put it before other
// options.
func Calls(hosts ...string) outbound.Option { return outbound.WithAPI(API(hosts)) }

// answered reads the request ID and the rate limit from the response headers.
func answered(c *outbound.Call, header http.Header) {
	c.RequestID = header.Get(headerRequestID)
	c.Limit, c.Remaining = int(count(header.Get(headerLimit))), int(count(header.Get(headerRemaining)))
	if seconds := count(header.Get(headerReset)); seconds > 0 {
		c.Reset = time.Unix(seconds, 0)
	}
}

// count reads a number of 0 or more; it returns -1 if s is not one.
func count(s string) int64 {
	if s == "" {
		return -1 // before strconv allocates an error
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
