package outbound

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
)

// Call is what a Transport recorded of one attempt at a request. It contains no
// header, query or body of the request.
type Call struct {
	Method, Host string
	Route        string // template of the path; empty if the path is not known
	Status       int    // 0 if there was no response
	Start        time.Time
	Duration     time.Duration // until the headers arrived
	RequestID    string        // the API's request ID, if a Hook reads one
	// Limit, Remaining and Reset describe the API's rate limit, if a Hook reads
	// them; -1 and the zero time if they are not known.
	Limit, Remaining int
	Reset            time.Time
	RateLimited      bool // status 429
	Resend           int  // number of attempts at the same request before this one
	Err              error
}

// RouteFunc returns the template of a call's path, which is escaped as in a
// URL; empty for a host or a path that it does not know. host may have a port.
// It is called concurrently.
type RouteFunc func(host, path string) string

// Hook adds the behaviour of one API. A nil field does nothing. Its functions are
// called concurrently.
type Hook struct {
	// Rewrite returns a function that returns the body to send for the body of a
	// call, or nil if the call must not change. The function returns nil to send the
	// body unchanged. It gets bodies of at most 1 MiB, and is called once for a
	// request that is sent again with the same body.
	Rewrite func(ctx context.Context, call *Call, u *url.URL) func(body []byte) []byte
	// Answered sets fields of call from the headers of the response.
	Answered func(call *Call, header http.Header)
	// Headers are the response headers that spans record, as
	// http.response.header.NAME. None of them may contain a secret.
	Headers []string
}

// API describes the HTTP APIs that are called. The zero value describes none: calls
// are traced, and carry no lineage. It is safe for concurrent use as long as it is not
// changed.
type API struct {
	Hosts Hosts     // hosts whose requests carry lineage headers
	Route RouteFunc // nil knows no path
	hook  Hook
	keys  []attribute.Key // of hook.Headers
}

// WithHook returns a with the fields of h that are set.
func (a API) WithHook(h Hook) API {
	if h.Rewrite != nil {
		a.hook.Rewrite = h.Rewrite
	}
	if h.Answered != nil {
		a.hook.Answered = h.Answered
	}
	if h.Headers != nil {
		a.hook.Headers, a.keys = h.Headers, nil
		for _, name := range h.Headers {
			a.keys = append(a.keys, attribute.Key("http.response.header."+strings.ToLower(name)))
		}
	}
	return a
}

// RouteOf returns the template of a path of host; empty if it is not known.
func (a *API) RouteOf(host, path string) string {
	if a.Route == nil {
		return ""
	}
	return a.Route(host, path)
}

const (
	keyMethod   = attribute.Key("http.request.method")
	keyTemplate = attribute.Key("url.template")
	keyServer   = attribute.Key("server.address")
	keyPort     = attribute.Key("server.port")
	keyScheme   = attribute.Key("url.scheme")
	keyStatus   = attribute.Key("http.response.status_code")
	keyResend   = attribute.Key("http.request.resend_count")
	keyProtocol = attribute.Key("network.protocol.version")
	keyError    = attribute.Key("error.type")
)

// asClient is made once, because it is the same for all calls.
var asClient = trace.WithSpanKind(trace.SpanKindClient)

// started returns the name of a call's span, and the attributes that are known at its
// start, by OpenTelemetry's conventions for HTTP clients. A port of 0 means unknown.
func started(attrs []attribute.KeyValue, call *Call, scheme string, port int) (string, []attribute.KeyValue) {
	method := knownMethod(call.Method)
	attrs = append(attrs, keyMethod.String(method), keyServer.String(call.Host), keyScheme.String(scheme))
	if port > 0 {
		attrs = append(attrs, keyPort.Int(port))
	}
	if call.Route != "" {
		attrs = append(attrs, keyTemplate.String(call.Route))
	}
	if call.Resend > 0 {
		attrs = append(attrs, keyResend.Int(call.Resend))
	}
	if method == lineage.ErrorTypeOther {
		method = "HTTP"
	}
	if call.Route != "" {
		method += " " + call.Route
	}
	return method, attrs
}

// Describe returns the name and the attributes of the client span of a call that
// another process made, and whether the call failed. header contains the reported
// headers of the response; failure is error.type if there was no response. A port of 0
// means unknown. Describe sets the fields of c that come from header.
func (a *API) Describe(c *Call, scheme string, port int, header http.Header, failure string) (name string, attrs []attribute.KeyValue, failed bool) {
	a.answered(c, c.Status, header)
	name, attrs = started(make([]attribute.KeyValue, 0, 16), c, scheme, port)
	if c.Status == 0 {
		failure = cmp.Or(failure, lineage.ErrorTypeOther)
		return name, append(attrs, keyError.String(failure)), true
	}
	return name, a.answer(attrs, c, header), c.Status >= 400
}

// answered sets the fields of c that come from the response.
func (a *API) answered(c *Call, status int, header http.Header) {
	c.Status, c.RateLimited = status, status == http.StatusTooManyRequests
	c.Limit, c.Remaining = -1, -1
	if a.hook.Answered != nil {
		a.hook.Answered(c, header)
	}
}

// answer appends the attributes of a response.
func (a *API) answer(attrs []attribute.KeyValue, call *Call, header http.Header) []attribute.KeyValue {
	attrs = append(attrs, keyStatus.Int(call.Status))
	for i, name := range a.hook.Headers {
		if value := header.Get(name); lineage.ValidID(value) {
			attrs = append(attrs, a.keys[i].StringSlice([]string{value}))
		}
	}
	if call.Status >= 400 {
		attrs = append(attrs, keyError.String(strconv.Itoa(call.Status)))
	}
	return attrs
}

// knownMethod returns a method of RFC 9110 or RFC 5789 unchanged, else _OTHER.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return lineage.ErrorTypeOther
}
