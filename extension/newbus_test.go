package extension

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/extension/internal/sigv4"
	"github.com/throughline/throughline/internal/eventsv2test"
	"github.com/throughline/throughline/peertest"
)

const ordersBus = "arn:aws:events:ap-southeast-2:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"

// newBusClient is a client of the new custom buses at url.
func newBusClient(url, key string) *eventsv2test.Client {
	return eventsv2test.New(eventsv2test.Options{Region: "ap-southeast-2", BaseEndpoint: url, Credentials: peertest.Credentials(key, "secret", "session"),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
}

// newBus answers each entry with a code: PUBLISHED and DEDUPLICATED are successes.
func newBus(t *testing.T, codes ...string) *answers {
	return answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		entries := cbor.List{}
		failed := cbor.Uint(0)
		for i, code := range codes {
			e := cbor.Map{"ErrorCode": cbor.String(code)}
			if code == "PUBLISHED" || code == "DEDUPLICATED" {
				e = cbor.Map{"EventId": cbor.String(fmt.Sprint("e-", i)), "SequenceNumber": cbor.String("10000000000000011000"), "SuccessCode": cbor.String(code)}
			} else {
				failed++
			}
			entries = append(entries, e)
		}
		answer := cbor.Map{"Entries": entries}
		if failed > 0 {
			answer["FailedEntryCount"] = failed
		}
		_, _ = w.Write(cbor.Encode(answer))
	})
}

// sentEntries are the entries of the n-th request that arrived.
func (a *answers) sentEntries(t *testing.T, n int) (request cbor.Map, entries []cbor.Map) {
	t.Helper()
	v, err := cbor.Decode([]byte(a.bodies[n]))
	if err != nil {
		t.Fatal(err)
	}
	request, _ = v.(cbor.Map)
	list, _ := request["Entries"].(cbor.List)
	for _, e := range list {
		m, _ := e.(cbor.Map)
		entries = append(entries, m)
	}
	return request, entries
}

// verified holds the signature of the n-th request that arrived.
func (a *answers) verified(t *testing.T, n int, secret string) {
	t.Helper()
	r := a.requests[n]
	signed, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	header := func(name string) []string {
		switch name {
		case "host":
			return []string{a.hosts[n]}
		case "content-length":
			return []string{fmt.Sprint(len(a.bodies[n]))}
		}
		return r.Header[http.CanonicalHeaderKey(name)]
	}
	if !signed.Verify(secret, sigv4.Request{Method: r.Method, Path: r.URL.Path, Header: header, PayloadHash: sigv4.Hash([]byte(a.bodies[n]))}) {
		t.Errorf("the signature does not hold: %v", r.Header)
	}
}

func lines(e cbor.Map) (text []string) {
	list, _ := e["Resources"].(cbor.List)
	for _, line := range list {
		s, _ := line.(cbor.String)
		text = append(text, string(s))
	}
	return text
}

func TestEventsOfANewBusAreStampedMeasuredAndTraced(t *testing.T) {
	a := newBus(t, "PUBLISHED", "DEDUPLICATED", "VALIDATION_ERROR")
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	const detail = `{"event_id": "plan-1", "text": "ünï"}`
	entry := func(detail string) eventsv2test.PutEventsRequestEntry {
		return eventsv2test.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: aws.String(detail)}
	}
	out, err := newBusClient(d.serve("events"), "AKIDOURS").PutEvents(t.Context(), &eventsv2test.PutEventsInput{EventBusArn: aws.String(ordersBus),
		Entries: []eventsv2test.PutEventsRequestEntry{entry(detail), entry(detail), entry(`[]`)}})
	if err != nil || out.FailedEntryCount != 1 || aws.ToString(out.Entries[0].EventId) != "e-0" || out.Entries[1].SuccessCode != "DEDUPLICATED" {
		t.Fatalf("%+v, %v", out, err)
	}
	a.verified(t, 0, "secret")
	_, entries := a.sentEntries(t, 0)
	size := 0
	for i, want := range []string{detail, detail, `[]`} {
		stamp := lines(entries[i])
		if got, _ := entries[i]["Detail"].(cbor.String); string(got) != want || !strings.HasPrefix(stamp[0], "correlation:") || !slices.Contains(stamp, "hops:0") {
			t.Errorf("published %s with %q", got, stamp)
		}
		size += len("s") + len("Planned") + len(want) + len(strings.Join(stamp, ""))
	}
	sums := d.sums()
	for name, want := range map[string]float64{"EventsPublished": 1, "EventsDeduplicated": 1, "EventsFailed": 1, "EventsFailed_VALIDATION_ERROR": 1, "BilledKilobytes": 1, "BilledChunks": 0, "StampSkipped": 0, "PayloadSize": float64(size)} {
		if sums[name] != want {
			t.Errorf("%s %v, want %v", name, sums[name], want)
		}
	}
	if d.count() == 0 {
		t.Error("no span")
	}
}

func TestRawEventsOfANewBusCarryMetadata(t *testing.T) {
	a := newBus(t, "PUBLISHED", "PUBLISHED")
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	kind := func(s string) *eventsv2test.PutRawEventsSystemMetadata {
		return &eventsv2test.PutRawEventsSystemMetadata{ContentType: aws.String(s)}
	}
	data := []byte(`{"event_id":"plan-1","event_type":"Planned","correlation_id":"w-1"}`)
	_, err := newBusClient(d.serve("events"), "AKIDOURS").PutRawEvents(t.Context(), &eventsv2test.PutRawEventsInput{EventBusArn: aws.String(ordersBus), Entries: []eventsv2test.PutRawEventsRequestEntry{
		{Data: data, SystemMetadata: kind("application/json"), Metadata: map[string]string{"tenant": "t"}},
		{Data: []byte{0, 0xff, 1}, SystemMetadata: kind("application/octet-stream"), Metadata: map[string]string{"correlationId": "w-2"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.verified(t, 0, "secret")
	_, entries := a.sentEntries(t, 0)
	first, _ := entries[0]["Metadata"].(cbor.Map)
	second, _ := entries[1]["Metadata"].(cbor.Map)
	if got, _ := entries[0]["Data"].(cbor.Slice); !bytes.Equal(got, data) || first["tenant"] != cbor.String("t") || first["correlationid"] != cbor.String("w-1") || first["traceparent"] == nil || first["hops"] != cbor.String("0") {
		t.Errorf("published %s with %v", got, first)
	}
	if got, _ := entries[1]["Data"].(cbor.Slice); !bytes.Equal(got, []byte{0, 0xff, 1}) || second["correlationId"] != cbor.String("w-2") || second["correlationid"] != nil || second["traceparent"] == nil {
		t.Errorf("published %x with %v", got, second)
	}
	size := len(data) + 3
	for _, m := range []cbor.Map{first, second} {
		for key, value := range m {
			text, _ := value.(cbor.String)
			size += len(key) + len(text)
		}
	}
	if sums := d.sums(); sums["EventsPublished"] != 2 || sums["PayloadSize"] != float64(size) {
		t.Errorf("sums %v, want PayloadSize %d", sums, size)
	}
	if !strings.Contains(d.out.String(), `"EventType":"Planned"`) {
		t.Error("the event has no type")
	}
}

// A request that the bus is to deduplicate by content stays as it is, unless a
// setting says otherwise: each stamp is another one.
func TestContentBasedRequestsAreNotStamped(t *testing.T) {
	for stamps, want := range map[bool]float64{false: 1, true: 0} {
		a := newBus(t, "DEDUPLICATED")
		d := newDesk(t, func(c *Config) { c.EventsUpstream, c.Tracing.StampContentBased = a.URL, stamps })
		input := &eventsv2test.PutEventsInput{EventBusArn: aws.String(ordersBus), DeduplicationConfiguration: &eventsv2test.DeduplicationConfiguration{DeduplicationType: eventsv2test.DeduplicationTypeContentBased},
			Entries: []eventsv2test.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String("{}")}}}
		if _, err := newBusClient(d.serve("events"), "AKIDOURS").PutEvents(t.Context(), input); err != nil {
			t.Fatal(err)
		}
		a.verified(t, 0, "secret")
		_, entries := a.sentEntries(t, 0)
		if stamped := len(lines(entries[0])) > 0; stamped != stamps {
			t.Errorf("sent %v", entries)
		}
		if sums := d.sums(); sums["StampSkipped_content-based"] != want || sums["EventsDeduplicated"] != 1 || sums["EventsPublished"] != 0 {
			t.Errorf("sums %v", sums)
		}
	}
}

// What cannot be stamped goes to a new bus as it came, and is counted.
func TestRequestsToANewBusThatPass(t *testing.T) {
	a := newBus(t, "PUBLISHED")
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	endpoint := d.serve("events")
	input := &eventsv2test.PutEventsInput{EventBusArn: aws.String(ordersBus), Entries: []eventsv2test.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String("{}")}}}
	if _, err := newBusClient(endpoint, "AKIDOTHER").PutEvents(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	if _, entries := a.sentEntries(t, 0); len(lines(entries[0])) > 0 || a.hosts[0] != strings.TrimPrefix(endpoint, "http://") {
		t.Errorf("sent %v to %s", entries, a.hosts[0])
	}
	if sums := d.sums(); sums["StampSkipped_key"] != 1 {
		t.Errorf("sums %v", sums)
	}
	for _, body := range []string{"", "\xa0", "\xa1gEntries\x9f", `{"Entries":[]}`} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/service/AWSEventsV2/operation/PutRawEvents", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/cbor")
		request.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		resp, err := plainClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if sent := a.bodies[len(a.bodies)-1]; sent != body {
			t.Errorf("%x: sent %x", body, sent)
		}
	}
}

// A throttled request is one call, whatever its retries, and its error comes through.
func TestErrorsOfANewBusComeThrough(t *testing.T) {
	var n atomic.Int32
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#ThrottlingException"), "Message": cbor.String("slow down")}))
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("ResourceNotFoundException"), "Message": cbor.String("no bus")}))
	})
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	_, err := newBusClient(d.serve("events"), "AKIDOURS").PutEvents(t.Context(), &eventsv2test.PutEventsInput{EventBusArn: aws.String(ordersBus),
		Entries: []eventsv2test.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: aws.String("{}")}}})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "ResourceNotFoundException" || len(a.bodies) != 3 || a.bodies[0] != a.bodies[2] {
		t.Errorf("%v after %d requests", err, len(a.bodies))
	}
	if sums := d.sums(); sums["EventsFailed"] != 1 || sums["EventsFailed_ResourceNotFoundException"] != 1 || sums["PublishDuration"] < 0 {
		t.Errorf("sums %v", sums)
	}
}

// What the shims do with a request to a new bus: Python's asks for the body before
// it is signed, Node's for a request that is signed, and reports the answer.
func TestANewBusForTheShims(t *testing.T) {
	body := string(cbor.Encode(cbor.Map{"EventBusArn": cbor.String(ordersBus), "Entries": cbor.List{cbor.Map{"Source": cbor.String("s"), "DetailType": cbor.String("Planned"), "Detail": cbor.String(`{"event_id":"e-1"}`)}}}))
	t.Run("Python", func(t *testing.T) {
		d := newDesk(t, nil)
		url := d.serve("runtime") + "/throughline/v1/events"
		resp, stamped := ask(t, url, "application/cbor", firstCall, body)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/cbor" || !strings.Contains(stamped, "traceparent:") {
			t.Fatalf("%s %s: %x", resp.Status, resp.Header.Get("Content-Type"), stamped)
		}
		if _, err := cbor.Decode([]byte(stamped)); err != nil {
			t.Error(err)
		}
		told := `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e","SuccessCode":"DEDUPLICATED"}],"attempts":1}`
		if resp, _ := ask(t, url+"/"+firstCall, "application/json", "", told); resp.StatusCode != http.StatusNoContent {
			t.Errorf("report: %s", resp.Status)
		}
		if sums := d.sums(); sums["EventsDeduplicated"] != 1 || sums["EventsPublished"] != 0 {
			t.Errorf("sums %v", sums)
		}
	})
	t.Run("Node", func(t *testing.T) {
		for status, answer := range map[int]cbor.Map{
			200: {"Entries": cbor.List{cbor.Map{"EventId": cbor.String("e"), "SuccessCode": cbor.String("PUBLISHED")}}},
			403: {"__type": cbor.String("AccessDeniedException")},
		} {
			d := newDesk(t, nil)
			url := d.serve("runtime") + "/throughline/v1/"
			sent := signedLineTo(t, "https://123456789012.eventsv2.eu-west-1.amazonaws.com/service/AWSEventsV2/operation/PutEvents",
				map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}, "AKIDOURS", "secret", "call-1", "attempt=1; max=3", body)
			resp, changes := ask(t, url+"sign", "application/octet-stream", firstCall, sent)
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status, resp.Header.Get("Throughline-Reason"))
			}
			if stamped := signedAgain(t, sent, changes); !strings.Contains(stamped, "traceparent:") {
				t.Errorf("stamped %x", stamped)
			}
			told := fmt.Sprintf(`{"outcome":"answered","stamped":true,"status":%d,"answer":%q}`, status, base64.StdEncoding.EncodeToString(cbor.Encode(answer)))
			if resp, _ := ask(t, url+"events/"+firstCall, "application/json", "", told); resp.StatusCode != http.StatusNoContent {
				t.Errorf("report: %s", resp.Status)
			}
			want := map[int]string{200: "EventsPublished", 403: "EventsFailed_AccessDeniedException"}[status]
			if sums := d.sums(); sums[want] != 1 {
				t.Errorf("sums %v", sums)
			}
		}
	})
}

// Whatever a new bus is said to have answered, the call is counted once, by its
// status.
func TestAnswersThatNoBusGives(t *testing.T) {
	entries := []byte("\xa1gEntries")
	body := string(cbor.Encode(cbor.Map{"EventBusArn": cbor.String(ordersBus), "Entries": cbor.List{cbor.Map{"Source": cbor.String("s"), "DetailType": cbor.String("Planned"), "Detail": cbor.String("{}")}}}))
	for name, answer := range map[string][]byte{
		"nothing": {}, "cut off": []byte("\xa1gEntr"), "a giant list": append(bytes.Clone(entries), 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "a giant text": append(bytes.Clone(entries), 0x81, 0xa1, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"no end": append(bytes.Clone(entries), bytes.Repeat([]byte{0x9f}, 30_000)...), "deep": append(bytes.Clone(entries), bytes.Repeat([]byte{0x81}, 30_000)...), "a tag of tags": bytes.Repeat([]byte{0xc1}, 30_000),
		"no map": {0x83, 1, 2, 3}, "a key that is a number": {0xa1, 1, 2}, "entries that are no maps": append(bytes.Clone(entries), 0x83, 1, 0xf6, 0x61, 'x'), "more than were put": append(append(bytes.Clone(entries), 0x99, 0x0f, 0xff), bytes.Repeat([]byte{0xa0}, 0xfff)...),
		"a code in pieces": []byte("\xbff__type\x7faA\x60aB\xff\xff"), "gzip": {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			for status, want := range map[int]string{200: "EventsPublished", 403: "EventsFailed"} {
				d := newDesk(t, nil)
				url := d.serve("runtime") + "/throughline/v1/events"
				if resp, _ := ask(t, url, "application/cbor", firstCall, body); resp.StatusCode != http.StatusOK {
					t.Fatal(resp.Status)
				}
				told := fmt.Sprintf(`{"outcome":"answered","stamped":true,"status":%d,"attempts":1,"answer":%q}`, status, base64.StdEncoding.EncodeToString(answer))
				if resp, _ := ask(t, url+"/"+firstCall, "application/json", "", told); resp.StatusCode != http.StatusNoContent {
					t.Errorf("report: %s", resp.Status)
				}
				if sums := d.sums(); sums["EventsPublished"]+sums["EventsFailed"] != 1 || sums[want] != 1 || sums["EventsUnknown"] != 0 {
					t.Errorf("%d: sums %v", status, sums)
				}
			}
		})
	}
}
