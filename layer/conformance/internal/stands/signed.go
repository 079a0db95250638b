package stands

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Keys are the keys that functions under test sign with.
var Keys = map[string]aws.Credentials{
	"AKIDOURS":  {AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"},
	"AKIDOTHER": {AccessKeyID: "AKIDOTHER", SecretAccessKey: "x", SessionToken: "y"},
}

// signed verifies the SigV4 signature of a received request. It returns "yes" or
// "no", the algorithm if that is another one, and "" if there is no signature.
func signed(r *Request) string {
	authorization := r.Header.Get("Authorization")
	algorithm, _, _ := strings.Cut(authorization, " ")
	if algorithm != "AWS4-HMAC-SHA256" {
		return algorithm
	}
	unsigned := *r
	unsigned.Header = r.Header.Clone()
	unsigned.Header.Set("Authorization", strings.Replace(authorization, field(authorization, "Signature"), "none", 1))
	if resign(&unsigned) != authorization {
		return "no"
	}
	return "yes"
}
