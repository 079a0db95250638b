package events

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
)

// target is where a request goes: to the region that it was signed for, or to
// the global endpoint that it names; of a new bus to its owner's account, as SDKs
// do (endpoint rules of EventBridgeV2).
func (e *Endpoint) target(region string, q *request) (*url.URL, error) {
	if e.Upstream != nil {
		return e.Upstream, nil
	}
	if q.endpoint != "" {
		return &url.URL{Scheme: "https", Host: q.endpoint + ".endpoint.events.amazonaws.com"}, nil
	}
	region = cmp.Or(region, e.Region)
	if !regions().MatchString(region) {
		return nil, errors.New("no region: the request's signature names none, and AWS_REGION is not set")
	}
	service := "events."
	if strings.HasPrefix(q.in.URL.Path, putevents.NewBusPath) {
		service = "eventsv2."
		if account := accountOf(q); account != "" {
			service = account + ".eventsv2."
		}
	}
	return &url.URL{Scheme: "https", Host: service + region + "." + domain(region)}, nil
}

// URLs are made of nothing else.
var (
	regions   = pattern(`^[a-z0-9-]{1,64}$`)
	endpoints = pattern(`^[A-Za-z0-9.-]{1,50}$`) // the pattern of EndpointId, EventBridge API reference
	buses     = pattern(`^arn:aws[a-z0-9-]*:events:[a-z0-9-]+:([0-9]{12}):event-busv2/`)
)

// pattern is a regular expression that is compiled at its first use: compiled
// when the process starts, it would delay each cold start.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// accountOf is the account of the new bus that a request puts events on, empty
// where it names none.
func accountOf(q *request) string {
	if !q.cbor || q.body == nil || q.rest != nil {
		return ""
	}
	b, _ := putevents.ReadCBOR(q.body) // what cannot be read names no bus
	if parts := buses().FindStringSubmatch(b.Bus); parts != nil {
		return parts[1]
	}
	return ""
}

// endpointOf is the EndpointId of a body, empty where it names none that is one.
func endpointOf(body []byte) string {
	if b, err := putevents.Read(body); err == nil && endpoints().MatchString(b.EndpointID) {
		return b.EndpointID
	}
	return ""
}

// domain is that of the region's partition.
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

// outcomeOf reads EventBridge's answer.
func outcomeOf(resp *http.Response, answer []byte, cbor bool) sdkcalls.Outcome {
	text := plain(resp, answer)
	o := sdkcalls.Outcome{Kind: sdkcalls.Answered, Status: resp.StatusCode}
	switch ok := resp.StatusCode == http.StatusOK; {
	case ok && cbor:
		o.Entries = putevents.ResultsCBOR(text)
	case ok:
		o.Entries = putevents.Results(text)
	case cbor:
		o.Error = putevents.ErrorCodeCBOR(text)
	default:
		o.Error = putevents.ErrorCode(resp.Header.Get("X-Amzn-Errortype"), text)
	}
	return o
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
	text, _ := io.ReadAll(io.LimitReader(zip, maxAnswer)) // what is read of it
	return text
}
