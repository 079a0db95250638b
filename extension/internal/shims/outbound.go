package shims

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/tracing/otlp"
)

// attempt is a shim's report of one attempt at an outbound call.
type attempt struct {
	TraceID       string            `json:"trace_id"`
	SpanID        string            `json:"span_id"`
	ParentID      string            `json:"parent_id"`
	Flags         string            `json:"flags"`
	CorrelationID string            `json:"correlation_id"`
	Start         int64             `json:"start_unix_nano"`
	End           int64             `json:"end_unix_nano"`
	Method        string            `json:"method"`
	Scheme        string            `json:"scheme"`
	Host          string            `json:"host"`
	Port          int               `json:"port"`
	Path          string            `json:"path"`
	Resend        int               `json:"resend_count"`
	Status        int               `json:"status"`
	Error         string            `json:"error"`
	Headers       map[string]string `json:"headers"`
}

// outbound processes a report of one attempt at an outbound call. It makes the span
// and the metrics with the same code as the library, so that they do not differ.
func (e *Endpoint) outbound(_ string, body []byte) error {
	var told attempt
	if err := read(body, &told); err != nil {
		return err
	}
	if wrong := told.wrong(e.API.Hosts); wrong != "" {
		return errors.New(wrong)
	}
	told.tidy()
	start, end := e.within(told.Start, told.End)
	call := outbound.Call{
		Method: told.Method, Host: strings.ToLower(told.Host), Route: e.API.RouteOf(hostPort(told.Host, told.Port), told.Path), Status: told.Status, Resend: told.Resend,
		Start: start, Duration: end.Sub(start),
	}
	header := http.Header{}
	for name, value := range told.Headers {
		header.Set(name, value)
	}
	name, attributes, failed := e.API.Describe(&call, strings.ToLower(told.Scheme), told.Port, header, told.Error)
	handling.RecordCall(e.Metrics, call, told.CorrelationID)

	span, ok := lineage.ParseTraceparent("00-" + told.TraceID + "-" + told.SpanID + "-" + told.Flags)
	if !ok {
		return nil
	}
	s := otlp.Span{Context: span, Name: name, Kind: trace.SpanKindClient, Start: start, End: end, Attributes: attributes}
	if parent, ok := lineage.ParseTraceparent("00-" + told.TraceID + "-" + told.ParentID + "-" + told.Flags); ok {
		s.Parent = parent
	}
	if failed {
		s.Status = codes.Error
	}
	e.Spans.Write(s)
	return nil
}

// wrong returns why a report is refused, empty if it is valid. Any process in the
// environment can send a report, and its values are written to metrics and spans.
func (r *attempt) wrong(hosts outbound.Hosts) string {
	const highestPort, highestStatus = 1<<16 - 1, 999
	switch {
	case !isHost(r.Host):
		return "host is to be the name of a host"
	case !hosts.Match(r.Host) && !hosts.Match(hostPort(r.Host, r.Port)):
		return "host is to match THROUGHLINE_HTTP_HOSTS"
	case r.Port < 0 || r.Port > highestPort:
		return "port is to be the number of a port"
	case r.Status < 0 || r.Status > highestStatus:
		return "status is to be that of an HTTP response, or 0"
	case r.Resend < 0:
		return "resend_count is not to be negative"
	}
	return ""
}

// tidy replaces texts of a report that are too long or not printable.
func (r *attempt) tidy() {
	if r.Error != "" && !lineage.ValidID(r.Error) {
		r.Error = lineage.ErrorTypeOther
	}
	for _, text := range []*string{&r.Scheme, &r.CorrelationID} {
		if !lineage.ValidID(*text) {
			*text = ""
		}
	}
}

// hostPort returns host:port, or host alone if the port is not known.
func hostPort(host string, port int) string {
	if port <= 0 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// within returns the times of a report, corrected if no call of this environment can
// have them: an end more than 15 minutes from now becomes now, and an impossible
// start becomes the end.
func (e *Endpoint) within(startNano, endNano int64) (start, end time.Time) {
	const longest = 15 * time.Minute // the maximum duration of an invocation
	now := e.Now()
	start, end = time.Unix(0, startNano), time.Unix(0, endNano)
	if end.Sub(now).Abs() > longest {
		end = now
	}
	if start.After(end) || end.Sub(start) > longest {
		start = end
	}
	return start, end
}

// isHost reports whether a text has the characters of a host name or an IP address.
func isHost(host string) bool {
	const longest = 253 // RFC 1035
	return host != "" && len(host) <= longest && strings.IndexFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_:[]", r)
	}) < 0
}
