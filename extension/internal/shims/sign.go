package shims

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/extension/internal/sigv4"
	"github.com/throughline/throughline/internal/jsonwalk"
)

// signedRequest is the line before a body whose request is already signed.
type signedRequest struct {
	method, path string
	headers      []header
}

// header is a header with its lower-case name and its one value.
type header struct {
	name  string
	value []string
}

// readSigned reads the line; ok is false if it is not valid.
func readSigned(line []byte) (s signedRequest, ok bool) {
	const usual = 24
	m := jsonwalk.MembersOf(line, 0)
	for m.Next() {
		switch string(m.Key) {
		case "method":
			s.method = jsonwalk.Text(m.Value)
		case "path":
			s.path = jsonwalk.Text(m.Value)
		case "headers":
			s.headers = make([]header, 0, usual)
			for h := jsonwalk.MembersOf(m.Value, 0); h.Next(); {
				s.headers = append(s.headers, header{string(h.Key), []string{jsonwalk.Text(h.Value)}})
			}
		}
	}
	return s, m.After > 0 && jsonwalk.SkipSpace(line, m.After) == len(line)
}

// header returns the values of a header, nil if there is none.
func (s *signedRequest) header(name string) []string {
	for i := range s.headers {
		if s.headers[i].name == name {
			return s.headers[i].value
		}
	}
	return nil
}

// text returns the value of a header, empty if there is none.
func (s *signedRequest) text(name string) string {
	return strings.Join(s.header(name), "")
}

// sign answers a request for the stamped and newly signed form of a signed request.
func (e *Endpoint) sign(w http.ResponseWriter, r *http.Request) {
	if !server.Accepts(w, r, "application/octet-stream") {
		return
	}
	id, ok := callID(w, r.Header.Get("Throughline-Call"))
	if !ok {
		return
	}
	message, release, ok := e.readEvents(w, r, maxHead+maxRequest)
	if !ok {
		return
	}
	defer release()
	line, body, _ := bytes.Cut(message, []byte("\n"))
	asked, ok := readSigned(line[:min(len(line), maxHead+1)])
	if !ok || len(line) > maxHead {
		http.Error(w, "the first line is to be JSON", http.StatusBadRequest)
		return
	}
	asIs := func(reason string) {
		w.Header().Set("Throughline-Reason", reason)
		w.WriteHeader(http.StatusNoContent)
	}
	if len(body) > maxRequest {
		asIs("size")
		return
	}
	digest := sigv4.DigestOf(body)
	cbor, puts := putevents.Recognise(asked.path, asked.text)
	verified, reason := e.verified(r.Context(), &asked, digest.Hex())
	if reason == "" && (asked.method != http.MethodPost || !puts) {
		reason = "request"
	}
	ctx, delivery := e.publishing(r.URL.Query().Get("trace"), asked.text("traceparent"))
	attempt := sdkcalls.Attempt{
		CBOR: cbor, ID: id, Invocation: invocation(asked.text("amz-sdk-invocation-id")), Key: verified.AccessKeyID,
		Body: body, Hash: digest.Sum, Raw: reason, Context: ctx, Delivery: delivery,
	}
	attempt.Number, attempt.Max = attempts(asked.text("amz-sdk-request"))
	changes, reason := e.Calls.Ask(attempt)
	switch {
	case reason != "":
		asIs(reason)
	case len(changes) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		hash, size := changed(body, &digest, changes)
		answer(w, "application/octet-stream", asked.resigned(&verified, hash, size, changes))
	}
}

// changed returns the hash and the size that body has after changes.
func changed(body []byte, digest *sigv4.Digest, changes []putevents.Change) (sum string, size int) {
	h, at := digest.Before(changes[0].At)
	size = len(body)
	for _, c := range changes {
		_, _ = h.Write(body[at:c.At]) // a hash returns no error
		_, _ = h.Write(c.Text)
		at = c.At + c.Removed
		size += len(c.Text) - c.Removed
	}
	_, _ = h.Write(body[at:])
	return hex.EncodeToString(h.Sum(nil)), size
}

// invocation returns an amz-sdk-invocation-id, empty if it is too long to be one.
func invocation(id string) string {
	if len(id) > sdkcalls.MaxID {
		return ""
	}
	return id
}

// verified verifies the signature of a request. reason is why the request cannot be
// signed again, empty if it was signed with the function's own key.
func (e *Endpoint) verified(ctx context.Context, asked *signedRequest, hash string) (v sigv4.Verified, reason string) {
	return sigv4.Verify(ctx, "events", asked.covered(hash), e.Credentials)
}

// covered returns what a signature of the request covers.
func (s *signedRequest) covered(hash string) sigv4.Request {
	return sigv4.Request{Method: s.method, Path: s.path, PayloadHash: hash, Header: s.header}
}

// resigned returns the answer that changes the body of a request. hash and size are
// those of the changed body. The answer is a line of JSON with the changed headers
// and the places of the changes, followed by the texts of the changes.
func (s *signedRequest) resigned(v *sigv4.Verified, hash string, size int, changes []putevents.Change) []byte {
	const usual = 1 << 10
	b := append(make([]byte, 0, usual), `{"headers":{`...)
	for i := range s.headers {
		h := &s.headers[i]
		switch h.name {
		case "content-length":
			h.value[0] = strconv.Itoa(size)
		case "x-amz-content-sha256":
			h.value[0] = hash
		default:
			continue
		}
		b = append(append(append(append(b, '"'), h.name...), `":"`...), h.value[0]...)
		b = append(b, `",`...)
	}
	authorization, _ := json.Marshal(v.Sign(s.covered(hash))) // a string can be marshalled
	b = append(append(b, `"authorization":`...), authorization...)
	b = append(b, `},"changes":[`...)
	for i, c := range changes {
		if i > 0 {
			b = append(b, ',')
		}
		for at, n := range [...]int{c.At, c.Removed, len(c.Text)} { // offset, bytes to remove, bytes to insert
			b = strconv.AppendInt(append(b, "[,,"[at]), int64(n), 10)
		}
		b = append(b, ']')
	}
	b = append(b, "]}\n"...)
	for _, c := range changes {
		b = append(b, c.Text...)
	}
	return b
}
