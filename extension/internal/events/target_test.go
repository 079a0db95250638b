package events

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/extension/internal/sigv4"
)

// to is a request with a path, which puts body on a new bus, or to a global endpoint.
func to(path string, body []byte, endpoint string) *request {
	return &request{in: &http.Request{URL: &url.URL{Path: path}}, cbor: body != nil, body: body, endpoint: endpoint}
}

// A request to a new bus goes to the account of the bus that it names, and nowhere
// else that its body could say.
func TestTargetOfANewBus(t *testing.T) {
	e := &Endpoint{Region: "eu-west-1"}
	for bus, want := range map[string]string{
		"arn:aws:events:eu-west-1:123456789012:event-busv2/b/abcdefghijklmnopqrstuvwx7":     "https://123456789012.eventsv2.eu-west-1.amazonaws.com",
		"arn:aws-cn:events:cn-north-1:123456789012:event-busv2/b/abcdefghijklmnopqrstuvwx7": "https://123456789012.eventsv2.eu-west-1.amazonaws.com",
		"arn:aws:events:eu-west-1:evil.example/:event-busv2/b/a":                            "https://eventsv2.eu-west-1.amazonaws.com", "": "https://eventsv2.eu-west-1.amazonaws.com",
	} {
		body := cbor.Encode(cbor.Map{"EventBusArn": cbor.String(bus), "Entries": cbor.List{}})
		u, err := e.target("", to("/service/AWSEventsV2/operation/PutEvents", body, ""))
		if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", bus, u, err)
		}
	}
	if u, err := e.target("eu-west-3", to("/service/AWSEventsV2/operation/DescribeEventBus", nil, "")); err != nil || u.Host != "eventsv2.eu-west-3.amazonaws.com" {
		t.Errorf("another operation: %v, %v", u, err)
	}
}

func TestTargetIsTheRequestsRegion(t *testing.T) {
	e := &Endpoint{Region: "eu-west-1"}
	signature := ", SignedHeaders=host, Signature=" + strings.Repeat("0", 64)
	for authorization, want := range map[string]string{
		"AWS4-HMAC-SHA256 Credential=A/20261123/eu-central-1/events/aws4_request" + signature: "https://events.eu-central-1.amazonaws.com",
		"AWS4-HMAC-SHA256 Credential=A/20261123/cn-north-1/events/aws4_request" + signature:   "https://events.cn-north-1.amazonaws.com.cn",
		"AWS4-HMAC-SHA256 Credential=A/20261123/x.evil:1/events/aws4_request" + signature:     "https://events.eu-west-1.amazonaws.com",
		"": "https://events.eu-west-1.amazonaws.com",
	} {
		a, _ := sigv4.Parse(authorization) // the zero value names no region
		if u, err := e.target(a.Region, to("/", nil, "")); err != nil || u.String() != want {
			t.Errorf("%s: %v %v", authorization, u, err)
		}
	}
	if _, err := (&Endpoint{Region: "x.evil.example/"}).target("", to("/", nil, "")); err == nil {
		t.Error("a region that is no name was taken")
	}
}

// An EndpointId is a part of a host name and nothing else.
func TestTargetOfAGlobalEndpoint(t *testing.T) {
	e := &Endpoint{Region: "eu-west-1"}
	for id, want := range map[string]string{
		"abcde.veo": "https://abcde.veo.endpoint.events.amazonaws.com", "127.0.0.1:29443/x?": "https://events.eu-west-1.amazonaws.com",
		"a@b": "https://events.eu-west-1.amazonaws.com", strings.Repeat("a", 51): "https://events.eu-west-1.amazonaws.com", "": "https://events.eu-west-1.amazonaws.com",
	} {
		u, err := e.target("", to("/", nil, endpointOf([]byte(`{"EndpointId":"`+id+`","Entries":[]}`))))
		if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", id, u, err)
		}
	}
}

// Names are those that the expressions in the API's references describe.
func FuzzNames(f *testing.F) {
	regions := regexp.MustCompile(`\A[a-z0-9-]{1,64}\z`)
	endpoints := regexp.MustCompile(`\A[A-Za-z0-9.-]{1,50}\z`)
	buses := regexp.MustCompile(`\Aarn:aws(?:[a-z0-9-]{1,64})?:events:[a-z0-9-]{1,64}:([0-9]{12}):event-busv2/`)
	for _, s := range []string{
		"eu-west-1", "abcde.veo", "arn:aws:events:eu-west-1:123456789012:event-busv2/b/abc", "arn:aws-us-gov:events:r:123456789012:event-busv2/",
		"arn:aws:events:eu-west-1:12345678901:event-busv2/b", "arn:aws:events::123456789012:event-busv2/b", "arn:aws:events:r:123456789012:event-bus/b",
		"arn:aws:events:r:1234567890123:event-busv2/b", "arn:other:events:r:123456789012:event-busv2/b", "aws:events:r:123456789012:event-busv2/b",
		"arn:aws.:events:r:123456789012:event-busv2/b", "", "a\n", "é", strings.Repeat("a", 50), strings.Repeat("a", 51), strings.Repeat("a", 65),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if isRegion(s) != regions.MatchString(s) || isEndpoint(s) != endpoints.MatchString(s) {
			t.Errorf("%q: region %t, endpoint %t", s, isRegion(s), isEndpoint(s))
		}
		want := ""
		if m := buses.FindStringSubmatch(s); m != nil {
			want = m[1]
		}
		if got := ownerOf(s); got != want {
			t.Errorf("%q: account %q, want %q", s, got, want)
		}
	})
}
