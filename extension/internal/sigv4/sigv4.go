// Package sigv4 verifies AWS Signature Version 4 signatures and signs requests
// again with the same headers and date ("AWS Signature Version 4 for API
// requests", AWS IAM user guide). It covers requests without a query.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"slices"
	"strings"
	"sync/atomic"
)

// Algorithm is the only algorithm that this package supports: SigV4 with HMAC-SHA256.
const Algorithm = "AWS4-HMAC-SHA256"

// The errors of [Parse].
var (
	ErrAlgorithm = errors.New("the signature's algorithm is not AWS4-HMAC-SHA256")
	ErrScope     = errors.New("the Authorization header is not well formed")
)

// Authorization is the content of an Authorization header. The zero value is that of
// an unsigned request.
type Authorization struct {
	AccessKeyID   string
	Date          string // YYYYMMDD
	Region        string
	Service       string
	SignedHeaders []string // in lower case and sorted
	Signature     string   // 64 hexadecimal digits
}

// Request is the parts of a request that a signature covers. All fields are required.
type Request struct {
	Method string
	Path   string // as it is sent
	// Header returns the values of a header by its lower-case name, including host.
	Header func(name string) []string
	// PayloadHash is the SHA-256 of the body in hexadecimal.
	PayloadHash string
}

const (
	maxAuthorization = 8 << 10
	maxHeaders       = 100
)

// Parse reads an Authorization header. The error is ErrAlgorithm or ErrScope.
func Parse(header string) (Authorization, error) {
	algorithm, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if algorithm != Algorithm {
		return Authorization{}, ErrAlgorithm
	}
	if len(header) > maxAuthorization {
		return Authorization{}, ErrScope
	}
	var a Authorization
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" || a.AccessKeyID != "" {
				return Authorization{}, ErrScope
			}
			a.AccessKeyID, a.Date, a.Region, a.Service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			a.SignedHeaders = strings.Split(value, ";")
		case "Signature":
			a.Signature = value
		default:
			return Authorization{}, ErrScope
		}
	}
	if !a.wellFormed() {
		return Authorization{}, ErrScope
	}
	return a, nil
}

func (a *Authorization) wellFormed() bool {
	return a.AccessKeyID != "" && len(a.Date) == 8 && of(a.Date, digits) &&
		ofAtMost(a.Region, 64, lower+digits+"-") && ofAtMost(a.Service, 64, lower+digits+"-") &&
		len(a.Signature) == 2*sha256.Size && of(a.Signature, digits+"abcdef") &&
		len(a.SignedHeaders) <= maxHeaders && slices.IsSorted(a.SignedHeaders) && slices.Contains(a.SignedHeaders, "host") &&
		!slices.ContainsFunc(a.SignedHeaders, func(name string) bool { return name == "" || strings.ToLower(name) != name })
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

func of(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }

func ofAtMost(s string, n int, alphabet string) bool {
	return s != "" && len(s) <= n && of(s, alphabet)
}

// Signs reports whether the signature covers a header, given in lower case.
func (a *Authorization) Signs(name string) bool { return slices.Contains(a.SignedHeaders, name) }

// Verify reports whether a's signature of r was made with secret. It returns false if
// the X-Amz-Date of r is missing or is of another day than the scope.
func (a *Authorization) Verify(secret string, r Request) bool {
	return a.verify(a.signer(secret), r)
}

func (a *Authorization) verify(signer hash.Hash, r Request) bool {
	signature, ok := a.signature(signer, r)
	return ok && hmac.Equal([]byte(signature), []byte(a.Signature))
}

// Sign returns the Authorization header of r, signed with secret for the headers and
// the scope of a. ok is false if the X-Amz-Date of r is missing or is of another day
// than the scope.
func (a *Authorization) Sign(secret string, r Request) (header string, ok bool) {
	return a.sign(a.signer(secret), r)
}

func (a *Authorization) sign(signer hash.Hash, r Request) (header string, ok bool) {
	signature, ok := a.signature(signer, r)
	return Algorithm + " Credential=" + a.AccessKeyID + "/" + a.scope() +
		", SignedHeaders=" + strings.Join(a.SignedHeaders, ";") + ", Signature=" + signature, ok
}

// derived is a signing key and the values that it is derived from.
type derived struct {
	secret, date, region, service string
	key                           [sha256.Size]byte
}

// last is the signing key that was derived last. Consecutive requests have the same
// key for a day.
var last atomic.Pointer[derived]

// signer returns an HMAC with the key that is derived from secret for a's scope.
func (a *Authorization) signer(secret string) hash.Hash {
	d := last.Load()
	if d == nil || d.secret != secret || d.date != a.Date || d.region != a.Region || d.service != a.Service {
		d = &derived{secret: secret, date: strings.Clone(a.Date), region: strings.Clone(a.Region), service: strings.Clone(a.Service)}
		key := []byte("AWS4" + secret)
		for _, part := range []string{a.Date, a.Region, a.Service, "aws4_request"} {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(part))
			key = mac.Sum(nil)
		}
		d.key = [sha256.Size]byte(key)
		last.Store(d)
	}
	return hmac.New(sha256.New, d.key[:])
}

func (a *Authorization) scope() string {
	return a.Date + "/" + a.Region + "/" + a.Service + "/aws4_request"
}

// signature returns the signature of r. The signer can be used again.
func (a *Authorization) signature(signer hash.Hash, r Request) (string, bool) {
	date := r.Header("x-amz-date")
	if len(date) != 1 || len(date[0]) != len("20060102T150405Z") || date[0][:8] != a.Date {
		return "", false
	}
	const usual = 2 << 10 // enough for a session token
	text := a.canonical(make([]byte, 0, usual), r)
	canonical := sha256.Sum256(text)
	text = append(append(append(text[:0], Algorithm+"\n"...), date[0]...), '\n')
	text = append(append(text, a.scope()...), '\n')
	text = hex.AppendEncode(text, canonical[:])
	signer.Reset()
	_, _ = signer.Write(text) // a hash returns no error
	return hex.EncodeToString(signer.Sum(text[:0])), true
}

// canonical appends the canonical request to b.
func (a *Authorization) canonical(b []byte, r Request) []byte {
	b = append(append(append(append(b, r.Method...), '\n'), r.Path...), "\n\n"...)
	for _, name := range a.SignedHeaders {
		b = append(append(b, name...), ':')
		for i, value := range r.Header(name) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, trimmed(value)...)
		}
		b = append(b, '\n')
	}
	for i, name := range a.SignedHeaders {
		separator := byte(';')
		if i == 0 {
			separator = '\n'
		}
		b = append(append(b, separator), name...)
	}
	return append(append(b, '\n'), r.PayloadHash...)
}

// trimmed returns a header's value without leading and trailing spaces, and with single
// spaces in it.
func trimmed(value string) string {
	value = strings.Trim(value, " ")
	for strings.Contains(value, "  ") {
		value = strings.ReplaceAll(value, "  ", " ")
	}
	return value
}

// Hash returns the SHA-256 of a body in hexadecimal, as a signature contains it.
func Hash(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:])
}
