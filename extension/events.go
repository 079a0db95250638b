package extension

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// maxRequest bounds a call that is read. A longer one passes as it came.
const maxRequest = 8 << 20

// eventsProxy is the events endpoint: EventBridge's API. PutEvents is stamped,
// measured and traced; all else passes.
type eventsProxy struct {
	x        *extension
	stamping stamping.Stamping
	signer   *v4.Signer
	client   *http.Transport
}

func newEventsProxy(x *extension) *eventsProxy {
	return &eventsProxy{
		x: x, signer: v4.NewSigner(),
		stamping: stamping.Stamping{Stamper: tracing.NewStamper(x.tracing), Metrics: x.metrics, Limit: x.config.SizeLimit, Warn: x.config.SizeWarn, Now: x.config.Now},
		client:   &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxIdleConnsPerHost: 64, TLSHandshakeTimeout: apiPatience},
	}
}

// eventsCall is one call on its way.
type eventsCall struct {
	in       *http.Request
	body     []byte
	rest     io.Reader // what of the body was not read; nil for nothing
	scope    credentialScope
	endpoint string
	stamped  *stamping.Request
}

// credentialScope is what a signature's credential scope says.
type credentialScope struct {
	accessKey, region string
	signed            bool // with SigV4 or SigV4a
	asymmetric        bool // SigV4a
}

// readScope reads an Authorization header ("Signature Version 4 signing
// process", "Authorization header").
func readScope(authorization string) credentialScope {
	algorithm, rest, _ := strings.Cut(authorization, " ")
	s := credentialScope{signed: authorization != "", asymmetric: strings.HasPrefix(algorithm, "AWS4-ECDSA")}
	_, credential, _ := strings.Cut(rest, "Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) > 0 {
		s.accessKey = parts[0]
	}
	if len(parts) == 5 && algorithm == "AWS4-HMAC-SHA256" {
		s.region = parts[2]
	}
	return s
}

func (p *eventsProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		return
	}
	call := &eventsCall{in: r, scope: readScope(r.Header.Get("Authorization"))}
	if !p.read(w, call) {
		return
	}
	body := p.stamp(call)
	out, err := p.outgoing(call, body)
	if err != nil {
		p.x.say("events pass unstamped: %v", err)
		p.skip(call, "not-signed")
		out, err = p.asItCame(call)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	start := p.x.config.Now()
	resp, err := p.client.RoundTrip(out)
	if err != nil {
		if call.stamped != nil {
			p.failed(call, err, "RequestFailed")
		}
		panic(http.ErrAbortHandler) // as the connection to EventBridge ended
	}
	defer resp.Body.Close()
	p.answer(w, call, resp, start)
}

// read takes the body in, as far as it is read at all.
func (p *eventsProxy) read(w http.ResponseWriter, call *eventsCall) bool {
	var b bytes.Buffer
	if n := call.in.ContentLength; n > 0 && n <= maxRequest {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(call.in.Body, maxRequest+1))
	if err != nil {
		http.Error(w, "the request broke off", http.StatusBadRequest)
		return false
	}
	call.body = b.Bytes()
	if len(call.body) > maxRequest {
		call.rest = call.in.Body
	}
	return true
}

// stamp returns the body to send: stamped where this is a PutEvents call that
// can be signed again, else as it came.
func (p *eventsProxy) stamp(call *eventsCall) []byte {
	r := call.in
	if call.rest != nil || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" || r.Header.Get("Content-Encoding") != "" {
		return call.body
	}
	events, err := readPutEvents(call.body)
	call.endpoint = events.endpoint
	if err != nil || len(events.entries) == 0 || r.Header.Get("Throughline-Stamped") == "1" {
		return call.body // not read, or stamped and counted by the decorator
	}
	if reason := p.cannotSign(call); reason != "" {
		p.skip(call, reason)
		return call.body
	}
	defer func() {
		if recover() != nil { // a fault of ours: the call goes on as it came
			call.stamped = nil
			p.x.metrics.Dropped(1)
		}
	}()
	ctx, delivery := p.lineage(r)
	entries := make([]tracing.Entry, len(events.entries))
	for i := range events.entries {
		entries[i] = events.entries[i].entry
	}
	stamped := p.stamping.Start(ctx, entries, delivery)
	body, err := events.with(stamped.Sent)
	if err != nil {
		stamped.Abandon(err)
		return call.body
	}
	call.stamped = stamped
	return body
}

// lineage is the context in which a call publishes, and the events being
// handled that it belongs to.
func (p *eventsProxy) lineage(r *http.Request) (context.Context, *tracing.Delivery) {
	ctx := r.Context()
	var delivery *tracing.Delivery
	if f := p.x.current.find(r.Header.Get("X-Amzn-Trace-Id")); f != nil {
		ctx, delivery = f.Context, &f.Delivery
	}
	if parent, ok := tracing.ParseTraceparent(r.Header.Get("traceparent")); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return ctx, delivery
}

// cannotSign says why a call must go as it came, empty where it need not.
func (p *eventsProxy) cannotSign(call *eventsCall) string {
	switch {
	case !call.scope.signed:
		return "" // nothing to break
	case call.scope.asymmetric || call.scope.region == "":
		return "sigv4a"
	case p.x.config.Credentials == nil:
		return "no-credentials"
	}
	credentials, err := p.x.config.Credentials(call.in.Context())
	if err != nil {
		return "no-credentials"
	}
	if credentials.AccessKeyID != call.scope.accessKey {
		return "other-key"
	}
	return ""
}

func (p *eventsProxy) skip(call *eventsCall, reason string) {
	if call.in.Header.Get("X-Amz-Target") == "AWSEvents.PutEvents" {
		p.x.metrics.Record(metrics.Observation{At: p.x.config.Now(), Name: metrics.StampSkipped, Value: 1, Kind: reason})
	}
}

// outgoing is the call to EventBridge: signed again where we can.
func (p *eventsProxy) outgoing(call *eventsCall, body []byte) (*http.Request, error) {
	if !call.scope.signed || call.rest != nil || p.cannotSign(call) != "" {
		return p.request(call, body, call.in.Host)
	}
	out, err := p.request(call, body, "")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		out.Header.Del(name)
	}
	credentials, err := p.x.config.Credentials(call.in.Context())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := p.signer.SignHTTP(call.in.Context(), credentials, out, hex.EncodeToString(sum[:]), "events", call.scope.region, p.x.config.Now()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return out, nil
}

// asItCame is the call with its own signature, which covers its own host.
func (p *eventsProxy) asItCame(call *eventsCall) (*http.Request, error) {
	if call.stamped != nil {
		call.stamped.Abandon(errors.New("sent unstamped"))
		call.stamped = nil
	}
	return p.request(call, call.body, call.in.Host)
}

// hopByHop are the headers that belong to one connection (RFC 9110, 7.6.1), and
// our own, which never leaves loopback.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Throughline-Stamped"}

func (p *eventsProxy) request(call *eventsCall, body []byte, host string) (*http.Request, error) {
	target, err := p.upstream(call)
	if err != nil {
		return nil, err
	}
	u := *target
	u.Path, u.RawPath, u.RawQuery = call.in.URL.Path, call.in.URL.RawPath, call.in.URL.RawQuery
	var reader io.Reader = bytes.NewReader(body)
	length := int64(len(body))
	if call.rest != nil {
		reader, length = io.MultiReader(reader, call.rest), call.in.ContentLength
	}
	out, err := http.NewRequestWithContext(call.in.Context(), call.in.Method, u.String(), reader)
	if err != nil {
		return nil, err
	}
	out.ContentLength, out.Header = length, call.in.Header.Clone()
	if host != "" && call.scope.signed {
		out.Host = host
	}
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if _, named := out.Header["User-Agent"]; !named {
		out.Header.Set("User-Agent", "") // else Go names itself
	}
	return out, nil
}

// upstream is where a call goes: the region is the one that it was signed for.
func (p *eventsProxy) upstream(call *eventsCall) (*url.URL, error) {
	if p.x.config.EventsUpstream != "" {
		return url.Parse(p.x.config.EventsUpstream)
	}
	if call.endpoint != "" && call.scope.asymmetric { // a global endpoint
		return url.Parse("https://" + call.endpoint + ".endpoint.events.amazonaws.com")
	}
	region := either(call.scope.region, p.x.config.Region)
	for _, r := range region {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			region = ""
			break
		}
	}
	if region == "" {
		return nil, errors.New("no region: the call's signature names none, and AWS_REGION is not set")
	}
	return url.Parse("https://events." + region + "." + domain(region))
}

// domain is the partition's.
func domain(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "us-iso-"):
		return "c2s.ic.gov"
	case strings.HasPrefix(region, "us-isob-"):
		return "sc2s.sgov.gov"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	default:
		return "amazonaws.com"
	}
}

// answer hands EventBridge's answer on, byte for byte, and reads a copy.
func (p *eventsProxy) answer(w http.ResponseWriter, call *eventsCall, resp *http.Response, start time.Time) {
	for name, values := range resp.Header {
		if !slices.Contains(hopByHop, name) {
			w.Header()[name] = values
		}
	}
	if call.stamped == nil {
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	p.finish(call, resp, plain(resp, answer), start)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
	_, _ = io.Copy(w, resp.Body)
}

// plain undoes a compression, for reading alone.
func plain(resp *http.Response, answer []byte) []byte {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return answer
	}
	zip, err := gzip.NewReader(bytes.NewReader(answer))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(zip, maxRequest))
	return text
}

// finish ends the spans of a call and counts its entries.
func (p *eventsProxy) finish(call *eventsCall, resp *http.Response, answer []byte, start time.Time) {
	defer func() { _ = recover() }() // a fault of ours is not the call's
	if resp.StatusCode == http.StatusOK {
		call.stamped.Finish(readResults(answer), nil, "", p.x.config.Now().Sub(start))
		return
	}
	code := failedAs(resp.Header.Get("X-Amzn-Errortype"), answer)
	p.failed(call, &runtimeError{code, resp.Status}, code)
}

// failed ends the spans of a call that failed as a whole. Its entries are
// counted once: not while the SDK says that it will try again.
func (p *eventsProxy) failed(call *eventsCall, err error, code string) {
	if again(call.in.Header.Get("Amz-Sdk-Request"), code) {
		call.stamped.Abandon(err)
		return
	}
	call.stamped.Finish(nil, err, code, 0)
}

// again says whether an SDK has attempts left: attempt=1; max=3.
func again(header, code string) bool {
	attempt, most := 0, 0
	for part := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch n, _ := strconv.Atoi(value); name {
		case "attempt":
			attempt = n
		case "max":
			most = n
		}
	}
	switch code {
	case "InternalFailure", "InternalException", "ThrottlingException", "RequestFailed", "ServiceUnavailable":
		return attempt > 0 && attempt < most
	default:
		return false
	}
}

// Credentials tells the credentials of the function's role at each call.
type Credentials func(context.Context) (aws.Credentials, error)
