package otlp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// SigV4 returns a Config.Sign that signs with AWS Signature Version 4. service
// is "xray" for X-Ray's OTLP endpoint. credentials is called for each request; now
// is the wall clock. The function is safe for concurrent use if credentials is.
func SigV4(region, service string, credentials func(context.Context) (aws.Credentials, error), now func() time.Time) func(*http.Request, []byte) error {
	signer := v4.NewSigner()
	return func(req *http.Request, body []byte) error {
		c, err := credentials(req.Context())
		if err != nil {
			return fmt.Errorf("get credentials: %w", err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		return signer.SignHTTP(req.Context(), c, req, hash, service, region, now())
	}
}
