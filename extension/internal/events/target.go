package events

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
)

// target returns the URL that a request is sent to: that of the region that it was
// signed for, or of the global endpoint that it names. A request to a new bus is sent
// to the account of the bus's owner, as SDKs do (endpoint rules of EventBridgeV2).
func (e *Endpoint) target(region string, q *request) (*url.URL, error) {
	if e.Upstream != nil {
		return e.Upstream, nil
	}
	if q.endpoint != "" {
		return &url.URL{Scheme: "https", Host: q.endpoint + ".endpoint.events.amazonaws.com"}, nil
	}
	region = cmp.Or(region, e.Region)
	if !isRegion(region) {
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

// A URL contains only names that were checked. The checks use no regular expressions:
// no other code here needs them, and linking them takes 2 % of the extension's memory.

// isRegion reports whether s can be a region's name.
func isRegion(s string) bool { return isName(s, 64, lower+digits+"-") }

// isEndpoint reports whether s is an EndpointId (EventBridge API reference, PutEvents).
func isEndpoint(s string) bool { return isName(s, 50, lower+upper+digits+".-") }

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// isName reports whether s has one to longest characters, all of them from set.
func isName(s string, longest int, set string) bool {
	return s != "" && len(s) <= longest && strings.Trim(s, set) == ""
}

// ownerOf returns the account in the ARN of a new bus, empty if arn is not one:
// arn:PARTITION:events:REGION:ACCOUNT:event-busv2/NAME/ID.
func ownerOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != "events" || !strings.HasPrefix(parts[5], "event-busv2/") {
		return ""
	}
	kind, isAWS := strings.CutPrefix(parts[1], "aws")
	if !isAWS || kind != "" && !isRegion(kind) || !isRegion(parts[3]) {
		return ""
	}
	if account := parts[4]; len(account) == 12 && isName(account, 12, digits) {
		return account
	}
	return ""
}

// accountOf returns the account of the new bus that a request publishes to, empty
// if the request names none.
func accountOf(q *request) string {
	if !q.cbor || q.body == nil || q.rest != nil {
		return ""
	}
	b, _ := putevents.ReadCBOR(q.body) // a body that cannot be read has no bus
	return ownerOf(b.Bus)
}

// endpointOf returns the EndpointId of a body, empty if there is no valid one.
func endpointOf(body []byte) string {
	if b, err := putevents.Read(body); err == nil && isEndpoint(b.EndpointID) {
		return b.EndpointID
	}
	return ""
}

// domain returns the domain of the region's partition.
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

// outcomeOf reads EventBridge's response.
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

// plain decompresses the copy of a response that is read.
func plain(resp *http.Response, answer []byte) []byte {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return answer
	}
	zip, err := gzip.NewReader(bytes.NewReader(answer))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(zip, maxAnswer)) // of a broken response, the part before the error
	return text
}
