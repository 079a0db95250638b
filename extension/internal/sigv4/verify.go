package sigv4

import (
	"context"
	"errors"
	"hash"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The reasons of [Verify], which are also what the shims are told.
const (
	ReasonAlgorithm   = "algorithm"      // it is signed in another way, such as SigV4a
	ReasonScope       = "scope"          // its scope is malformed, or that of another service
	ReasonKey         = "key"            // it is signed with another key
	ReasonSignature   = "signature"      // the signature is wrong
	ReasonCredentials = "no-credentials" // the function's own are not known
)

// Verified is a signature that was made with credentials which are ours too. Its
// Sign is for one goroutine.
type Verified struct {
	Authorization
	signer hash.Hash // with the key that it was signed with
}

// Verify says whether a request for service was signed with the credentials that
// the function gives; if not, reason says why. A nil function has none.
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

// Sign returns the Authorization header of r, a request with the date of the one
// that was verified.
func (v *Verified) Sign(r Request) string {
	header, _ := v.sign(v.signer, r) // its date fits: it has verified
	return header
}
