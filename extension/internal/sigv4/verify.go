package sigv4

import (
	"context"
	"errors"
	"hash"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The reasons of [Verify], which are also sent to the shims.
const (
	ReasonAlgorithm   = "algorithm"      // it is signed with another algorithm, such as SigV4a
	ReasonScope       = "scope"          // the scope is malformed, or names another service
	ReasonKey         = "key"            // it is signed with another key
	ReasonSignature   = "signature"      // the signature is wrong
	ReasonCredentials = "no-credentials" // the function's credentials are not known
)

// Verified is a signature that was made with the function's credentials. It is not
// safe for concurrent use.
type Verified struct {
	Authorization
	signer hash.Hash // an HMAC with the key of the signature
}

// Verify verifies that a request for service was signed with the credentials that
// the function credentials returns, which may be nil. reason is why it was not, empty
// if it was.
func Verify(ctx context.Context, service string, r Request, credentials func(context.Context) (aws.Credentials, error)) (v Verified, reason string) {
	var header string
	if values := r.Header("authorization"); len(values) > 0 {
		header = values[0]
	}
	a, err := Parse(header)
	v.Authorization = a
	switch {
	case errors.Is(err, ErrAlgorithm):
		return v, ReasonAlgorithm
	case err != nil, a.Service != service:
		return v, ReasonScope
	case credentials == nil:
		return v, ReasonCredentials
	}
	ours, err := credentials(ctx)
	switch told := r.Header("x-amz-content-sha256"); {
	case err != nil:
		return v, ReasonCredentials
	case ours.AccessKeyID != a.AccessKeyID:
		return v, ReasonKey
	case len(told) > 0 && told[0] != r.PayloadHash:
		return v, ReasonSignature
	}
	signer := a.signer(ours.SecretAccessKey)
	if !a.verify(signer, r) {
		return v, ReasonSignature
	}
	v.signer = signer
	return v, ""
}

// Sign returns the Authorization header of r. r must have the same date as the
// verified request.
func (v *Verified) Sign(r Request) string {
	header, _ := v.sign(v.signer, r) // no error: the date was verified
	return header
}
