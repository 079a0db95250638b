package extension

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/throughline/throughline/extension/internal/sigv4"
	"github.com/throughline/throughline/tracing/otlp"
)

func TestOutboundReports(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/outbound"
	end := time.Now()
	report := fmt.Sprintf(`{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_id":"b7ad6b7169203331","flags":"01","correlation_id":"w",
"start_unix_nano":%d,"end_unix_nano":%d,"method":"GET","scheme":"https","host":"paper-api.alpaca.markets","port":443,
"path":"/v2/positions/AAPL","resend_count":1,"status":429,"headers":{"x-request-id":"q-1","x-ratelimit-remaining":"0"}}`, end.Add(-250*time.Millisecond).UnixNano(), end.UnixNano())
	if resp := post(t, url, report, "Content-Type", "application/json"); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	until(t, "the span", func() bool { return d.count() == 1 })
	found := otlp.Find(d.spans[0], "url.template", "http.request.method")
	if len(found) != 1 || found[0].Texts[0] != "/v2/positions/{symbol_or_asset_id}" || found[0].End.Sub(found[0].Start) != 250*time.Millisecond || found[0].ParentID.String() != "b7ad6b7169203331" {
		t.Errorf("%+v", found)
	}
	if sums := d.sums(); sums["RequestDuration"] != 250 || sums["RateLimited"] != 1 || sums["RequestErrors_429"] != 1 {
		t.Errorf("sums %v", sums)
	}
	for wrong, status := range map[string]int{"": 400, "{": 400, `{"host":""}`: 400, `{"host":"a/b"}`: 400, `{"host":"` + strings.Repeat("a", 254) + `"}`: 400, strings.Repeat("x", 1<<17): 413} {
		if resp := post(t, url, wrong, "Content-Type", "application/json"); resp.StatusCode != status {
			t.Errorf("%.20q: %s", wrong, resp.Status)
		}
	}
	forged := strings.Replace(report, "paper-api.alpaca.markets", "elsewhere.example", 1)
	for _, wrong := range []string{forged, strings.Replace(report, "429", "123456", 1), strings.Replace(report, "429", "-1", 1), strings.Replace(report, ":443", ":70000", 1)} {
		if resp := post(t, url, wrong, "Content-Type", "application/json"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
	if d.count() != 1 || d.sums()["RequestDuration"] != 250 || strings.Contains(d.out.String(), "elsewhere.example") {
		t.Errorf("%d spans, sums %v", d.count(), d.sums())
	}
	if resp := post(t, url, report, "Content-Type", "text/plain"); resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("as text: %s", resp.Status)
	}
}

const (
	unstamped = `{"Entries":[{"Source":"s","DetailType":"Planned","Detail":"{\"event_id\":\"e-1\"}"}]}`
	firstCall = "0123456789abcdef0123456789abcdef"
	otherCall = "fedcba9876543210fedcba9876543210"
)

// ask sends a question or a report of a shim, and returns the answer.
func ask(t *testing.T, url, contentType, call, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Throughline-Call", call)
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

// What the Python shim does: it asks, sends what it was given, and says how it went.
func TestEventsAreStampedForAShim(t *testing.T) {
	const amz = "application/x-amz-json-1.1"
	published := `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e"}],"attempts":2}`
	for name, tt := range map[string]struct {
		report string
		sums   map[string]float64
	}{
		"Published": {published, map[string]float64{"EventsPublished": 1, "EventsFailed": 0, "StampSkipped": 0, "UncorrelatedPublished": 0}},
		"Late": {`{"outcome":"answered","stamped":false,"reason":"late","status":200,"entries":[{"EventId":"e"}]}`,
			map[string]float64{"EventsPublished": 1, "EventsFailed": 0, "StampSkipped_late": 1}},
		"Refused": {`{"outcome":"failed","stamped":true,"status":400,"error":"AccessDeniedException","attempts":1}`,
			map[string]float64{"EventsPublished": 0, "EventsFailed": 1, "EventsFailed_AccessDeniedException": 1}},
		"Entry refused": {`{"outcome":"answered","stamped":true,"status":200,"entries":[{"ErrorCode":"ThrottlingException"}]}`,
			map[string]float64{"EventsPublished": 0, "EventsFailed": 1, "EventsFailed_ThrottlingException": 1}},
		"Cancelled": {`{"outcome":"cancelled","stamped":true}`, map[string]float64{"EventsPublished": 0, "EventsFailed": 0, "EventsUnknown_cancelled": 1}},
		"Unknown":   {`{"outcome":"unknown","stamped":true}`, map[string]float64{"EventsPublished": 0, "EventsFailed": 0, "EventsUnknown_unknown": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, nil)
			url := d.serve("runtime") + "/throughline/v1/events"
			resp, stamped := ask(t, url, amz, firstCall, unstamped)
			if resp.StatusCode != http.StatusOK || !strings.Contains(stamped, `"Resources":["correlation:`) || strings.Index(stamped, unstamped[:len(unstamped)-3]) != 0 {
				t.Fatalf("%s: %s", resp.Status, stamped)
			}
			for range 2 { // the second is the same report again
				if resp, _ := ask(t, url+"/"+firstCall, "application/json", "", tt.report); resp.StatusCode != http.StatusNoContent {
					t.Errorf("report: %s", resp.Status)
				}
			}
			until(t, "the span", func() bool { return d.count() == 1 })
			d.calls.Close()
			sums := d.sums()
			for metric, want := range tt.sums {
				if sums[metric] != want {
					t.Errorf("%s is %v, want %v", metric, sums[metric], want)
				}
			}
		})
	}
}

// A report counts also where the question never arrived, or arrives later.
func TestReportsWithoutAQuestion(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/events"
	_, _ = ask(t, url+"/"+firstCall, "application/json", "", `{"outcome":"answered","reason":"unreachable","status":200,"entries":[{"EventId":"e"},{"ErrorCode":"InternalFailure"}]}`)
	until(t, "the count", func() bool { return d.sums()["EventsPublished"] == 1 })
	if resp, _ := ask(t, url, "application/x-amz-json-1.1", firstCall, unstamped); resp.Header.Get("Throughline-Reason") != "late" {
		t.Errorf("the question afterwards: %s, %s", resp.Status, resp.Header)
	}
	d.calls.Close()
	if sums := d.sums(); sums["EventsPublished"] != 1 || sums["EventsFailed_InternalFailure"] != 1 || sums["StampSkipped_unreachable"] != 1 || sums["EventsUnknown"] != 0 {
		t.Errorf("%v", sums)
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/"
	const amz, stream = "application/x-amz-json-1.1", "application/octet-stream"
	for name, tt := range map[string]struct {
		path, contentType, call, body string
		status                        int
		reason                        string
	}{
		"Type":        {"events", "text/plain", firstCall, unstamped, 415, ""},
		"NoID":        {"events", amz, "", unstamped, 400, ""},
		"OddID":       {"events", amz, strings.Repeat("g", 32), unstamped, 400, ""},
		"NoEvents":    {"events", amz, firstCall, `{"Rules":[]}`, 422, "entries"},
		"NoJSON":      {"events", amz, firstCall, `{`, 422, "body"},
		"TooMany":     {"events", amz, firstCall, `{"Entries":[{}` + strings.Repeat(",{}", 200_000) + `]}`, 422, "entries"},
		"TooLarge":    {"events", amz, firstCall, strings.Repeat(" ", 2<<20+1), 413, "size"},
		"ReportID":    {"events/x", "application/json", "", `{}`, 400, "report"},
		"ReportType":  {"events/" + firstCall, "text/plain", "", `{}`, 415, ""},
		"ReportJSON":  {"events/" + firstCall, "application/json", "", `[`, 400, "report"},
		"SignType":    {"sign", amz, firstCall, "{}\n", 415, ""},
		"SignNoLine":  {"sign", stream, firstCall, "x", 400, ""},
		"SignNothing": {"sign", stream, firstCall, "{}\n" + unstamped, 204, "algorithm"},
		"NoSuchPath":  {"spans", amz, firstCall, "", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, _ := ask(t, url+tt.path, tt.contentType, tt.call, tt.body)
			if resp.StatusCode != tt.status || resp.Header.Get("Throughline-Reason") != tt.reason {
				t.Errorf("%s %s", resp.Status, resp.Header.Get("Throughline-Reason"))
			}
		})
	}
	if resp, _ := get(t, url+"events"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", resp.Status)
	}
}

// signedLine is a request as the Node.js shim describes it, signed by AWS's signer.
func signedLine(t testing.TB, key, secret, invocation, attempts, body string) string {
	t.Helper()
	return signedLineTo(t, "https://events.eu-west-1.amazonaws.com/", map[string]string{"X-Amz-Target": "AWSEvents.PutEvents"}, key, secret, invocation, attempts, body)
}

// signedLineTo is signedLine for a request to a URL with more headers.
func signedLineTo(t testing.TB, url string, more map[string]string, key, secret, invocation, attempts, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range more {
		r.Header.Set(name, value)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.Hash([]byte(body)))
	r.Header.Set("Amz-Sdk-Invocation-Id", invocation)
	r.Header.Set("Amz-Sdk-Request", attempts)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, sigv4.Hash([]byte(body)), "events", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{"host": r.URL.Host, "content-length": fmt.Sprint(len(body))}
	for name := range r.Header {
		headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	line, err := json.Marshal(map[string]any{"method": "POST", "path": r.URL.Path, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n" + body
}

// signedAgain is the body of a request as sent, with what the answer changes.
// It checks that the headers fit.
func signedAgain(t *testing.T, sent, answer string) string {
	t.Helper()
	var asked, changed struct {
		Path    string
		Headers map[string]string
		Changes [][3]int
	}
	line, body, _ := strings.Cut(sent, "\n")
	if err := json.Unmarshal([]byte(line), &asked); err != nil {
		t.Fatal(err)
	}
	line, texts, _ := strings.Cut(answer, "\n")
	if err := json.Unmarshal([]byte(line), &changed); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	var stamped strings.Builder
	at := 0
	for _, c := range changed.Changes {
		stamped.WriteString(body[at:c[0]] + texts[:c[2]])
		at, texts = c[0]+c[1], texts[c[2]:]
	}
	stamped.WriteString(body[at:])
	if hash := sigv4.Hash([]byte(stamped.String())); texts != "" || len(changed.Headers) != 3 || changed.Headers["content-length"] != fmt.Sprint(stamped.Len()) || changed.Headers["x-amz-content-sha256"] != hash {
		t.Errorf("changed %v", changed.Headers)
	}
	maps.Copy(asked.Headers, changed.Headers)
	a, err := sigv4.Parse(asked.Headers["authorization"])
	if err != nil || !a.Verify("secret", sigv4.Request{Method: "POST", Path: asked.Path, PayloadHash: sigv4.Hash([]byte(stamped.String())), Header: func(name string) []string { return []string{asked.Headers[name]} }}) {
		t.Errorf("it does not verify: %v %v", asked.Headers, err)
	}
	return stamped.String()
}

// The signature holds wherever the stamp stands in a body, and however large that is.
func TestSignedRequestsOfAnySize(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/sign"
	n := 0
	for _, size := range []int{0, 1, 16<<10 - 90, 16 << 10, 32 << 10, 200_000} {
		filler := strings.Repeat("x", size)
		for _, body := range []string{
			`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"a\":\"` + filler + `\"}"}]}`,
			`{"Entries":[{"Resources":["arn:1"],"Source":"s","DetailType":"T","Detail":"{\"a\":\"` + filler + `\"}"}]}`,
			`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{}"},{"Source":"s","DetailType":"T","Detail":"{\"a\":\"` + filler + `\"}","Resources":[]}], "EndpointId":"a.veo"}`,
		} {
			n++
			sent := signedLine(t, "AKIDOURS", "secret", "", "", body)
			resp, answer := ask(t, url, "application/octet-stream", fmt.Sprintf("%032x", n), sent)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%d bytes: %s %v", len(body), resp.Status, resp.Header)
			}
			if stamped := signedAgain(t, sent, answer); strings.Count(stamped, `"correlation:`) != strings.Count(body, "Source") || !json.Valid([]byte(stamped)) {
				t.Errorf("stamped %q", stamped)
			}
		}
	}
}

// What the Node.js shim does, with an SDK that tries twice, once more than it says: both
// attempts carry one stamp, and the call is counted once.
func TestSignedRequestsAreSignedAgain(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/"
	var bodies []string
	for i, call := range []string{firstCall, otherCall} {
		sent := signedLine(t, "AKIDOURS", "secret", "invocation-1", fmt.Sprintf("attempt=%d; max=1", i+1), unstamped)
		resp, answer := ask(t, url+"sign", "application/octet-stream", call, sent)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", resp.Status, answer)
		}
		bodies = append(bodies, signedAgain(t, sent, answer))
		report := `{"outcome":"answered","stamped":true,"status":503,"error":"ServiceUnavailable","invocation_id":"invocation-1"}`
		if i == 1 {
			report = `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e"}],"invocation_id":"invocation-1"}`
		}
		_, _ = ask(t, url+"events/"+call, "application/json", "", report)
	}
	if bodies[0] != bodies[1] || !strings.Contains(bodies[0], "correlation:") {
		t.Errorf("stamped %q", bodies)
	}
	until(t, "the count", func() bool { return d.sums()["EventsPublished"] == 1 })
	if sums := d.sums(); sums["EventsFailed"] != 0 || d.count() != 1 {
		t.Errorf("%v, %d spans", sums, d.count())
	}
}

func TestSignedRequestsThatAreLeftAlone(t *testing.T) {
	ours := signedLine(t, "AKIDOURS", "secret", "", "", unstamped)
	for name, tt := range map[string]struct{ sent, reason string }{
		"Other key":    {signedLine(t, "AKIDOTHER", "secret", "", "", unstamped), "key"},
		"Forged":       {signedLine(t, "AKIDOURS", "guessed", "", "", unstamped), "signature"},
		"Other body":   {strings.Replace(ours, "Planned", "Changed", 1), "signature"},
		"Other action": {strings.Replace(ours, "AWSEvents.PutEvents", "AWSEvents.PutPermission", 1), "signature"},
		"Other path":   {strings.Replace(ours, `"path":"/"`, `"path":"/x"`, 1), "signature"},
		"Service":      {strings.Replace(ours, "/events/aws4_request", "/s3/aws4_request", 1), "scope"},
		"SigV4a":       {strings.Replace(ours, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1), "algorithm"},
		"No events":    {signedLine(t, "AKIDOURS", "secret", "", "", "{}"), "entries"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, nil)
			resp, answer := ask(t, d.serve("runtime")+"/throughline/v1/sign", "application/octet-stream", firstCall, tt.sent)
			if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Throughline-Reason") != tt.reason || answer != "" {
				t.Errorf("%s, reason %q, %q", resp.Status, resp.Header.Get("Throughline-Reason"), answer)
			}
		})
	}
}

// handed gives a request to an endpoint without a connection, whose goroutines
// would make a fuzzer take each input for a new one.
func handed(endpoint http.Handler, path, contentType, call string, body []byte) (status int, answer string) {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Throughline-Call", call)
	w := httptest.NewRecorder()
	endpoint.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func FuzzSign(f *testing.F) {
	d := newDesk(f, nil)
	endpoint := d.endpoint("runtime")
	f.Add([]byte(`{"method":"POST","path":"/","headers":{"authorization":"AWS4-HMAC-SHA256 Credential=AKIDOURS/20261129/eu-west-1/events/aws4_request, SignedHeaders=host, Signature="}}`+"\n"+unstamped), true)
	f.Add([]byte(`{"raw":"content-encoding"}`), true)
	f.Add([]byte(unstamped), false)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		path, kind := "events", "application/x-amz-json-1.1"
		if signed {
			path, kind = "sign", "application/octet-stream"
		}
		status, answer := handed(endpoint, "/throughline/v1/"+path, kind, fmt.Sprintf("%032x", len(body)), body)
		if signed && status == http.StatusOK || status >= 500 {
			t.Errorf("%d: %s", status, answer)
		}
		if status == http.StatusOK && !json.Valid(bytes.ToValidUTF8([]byte(answer), nil)) {
			t.Errorf("stamped to %q", answer)
		}
	})
}

// The outcome of a call is taken or refused, whatever it says, and counts no more
// events than a request can have.
func FuzzOutcome(f *testing.F) {
	d := newDesk(f, nil)
	endpoint := d.endpoint("runtime")
	f.Add("0123456789abcdef0123456789abcdef", []byte(`{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e-1"},{"ErrorCode":"ThrottlingException"}],"attempts":2,"start_unix_nano":1,"end_unix_nano":2,"invocation_id":"i"}`))
	f.Add("0123456789abcdef0123456789abcdef", []byte(`{"outcome":"failed","error":"\ud800","attempts":-9223372036854775808,"start_unix_nano":9223372036854775807,"end_unix_nano":-1}`))
	f.Add("../../x", []byte(`{"entries":[`+strings.Repeat(`{},`, 200)+`{}]}`))
	f.Fuzz(func(t *testing.T, call string, body []byte) {
		handed(endpoint, "/throughline/v1/events", "application/x-amz-json-1.1", "0123456789abcdef0123456789abcdef", []byte(unstamped))
		status, answer := handed(endpoint, "/throughline/v1/events/"+url.PathEscape(call), "application/json", "", body)
		if status >= 500 || status == http.StatusOK {
			t.Errorf("%d: %s", status, answer)
		}
		for name, sum := range d.sums() {
			if sum < 0 && name != "Timestamp" {
				t.Errorf("%s is %v", name, sum)
			}
		}
		d.out.Reset()
	})
}

// No report of an outbound call makes a span that is none, or a dimension of a
// host that nobody named.
func FuzzOutbound(f *testing.F) {
	d := newDesk(f, nil)
	endpoint := d.endpoint("runtime")
	f.Add([]byte(`{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_id":"b7ad6b7169203331","flags":"01","correlation_id":"w","start_unix_nano":1,"end_unix_nano":2,` +
		`"method":"GET","scheme":"https","host":"paper-api.alpaca.markets","port":443,"path":"/v2/positions/AAPL","resend_count":1,"status":429,"error":"","headers":{"x-request-id":"q-1","x-ratelimit-remaining":"0"}}`))
	f.Add([]byte(`{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","flags":"00","method":"brew","scheme":"\ud800","host":"A.Alpaca.Markets","status":0,"error":"\n","headers":{"X-Ratelimit-Reset":"9999999999999"}}`))
	f.Add([]byte(`{"host":"elsewhere.example","status":200}`))
	f.Add([]byte(`{"host":"x.alpaca.markets","port":-1,"status":-1,"resend_count":-1,"start_unix_nano":-9223372036854775808,"end_unix_nano":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		status, answer := handed(endpoint, "/throughline/v1/outbound", "application/json", "", body)
		if status != http.StatusNoContent && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d: %s", status, answer)
		}
		d.mu.Lock()
		spans := d.spans
		d.spans = nil
		d.mu.Unlock()
		for _, request := range spans {
			found := otlp.Find(request, "server.address")
			clean, dropped, err := otlp.Clean(request)
			if err != nil || dropped > 0 || !bytes.Equal(clean, request) {
				t.Errorf("%v, %d dropped of %q", err, dropped, request)
			}
			if len(found) != 1 || !strings.HasSuffix(found[0].Texts[0], ".alpaca.markets") || found[0].End.Before(found[0].Start) {
				t.Errorf("a span %+v", found)
			}
		}
		d.writeMetrics()
		for line := range strings.Lines(d.out.String()) {
			var doc struct{ Host string }
			if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.Host != "" && doc.Host != "other" && !strings.HasSuffix(doc.Host, ".alpaca.markets") {
				t.Errorf("%v: %s", err, line)
			}
		}
		d.out.Reset()
	})
}
