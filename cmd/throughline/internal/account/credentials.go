package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// Quiet is an option of a configuration whose SDK writes no lines of its own. It is
// given while the configuration is loaded, because the clients that ask for credentials
// are made then.
func Quiet(o *config.LoadOptions) error { return config.WithLogger(logging.Nop{})(o) }

// Credentials returns the credentials of a configuration. Its error ends with the next
// step, and has one line in place of the SDK's chain of calls.
func Credentials(ctx context.Context, cfg aws.Config, next string) (aws.Credentials, error) {
	if cfg.Credentials == nil {
		return aws.Credentials{}, nil // a configuration that signs nothing
	}
	own, err := cfg.Credentials.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return own, err
	}
	text := err.Error()
	// The instance's role is the last thing that the SDK tries.
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text = fmt.Sprintf("the AWS credentials could not be read: %s: %s: %s", api.ErrorCode(), api.ErrorMessage(), next)
	} else if strings.Contains(text, "EC2 IMDS") {
		text = "no AWS credentials were found: " + next
	} else {
		text = fmt.Sprintf("the AWS credentials could not be read: %s: %s", strings.TrimPrefix(text, "failed to refresh cached credentials, "), next)
	}
	return own, &plainError{text, err}
}

// Refused returns the next step if AWS refused the credentials themselves, so that every
// other call would fail too, else "".
func Refused(err error) string {
	switch ErrorCode(err) {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return "the credentials have expired: renew them, for example with aws sso login"
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", "MissingAuthenticationToken":
		return "the credentials are not valid: check them with aws sts get-caller-identity"
	}
	return ""
}

// Plain returns err with AWS's code and message in place of the SDK's chain of calls, and
// with the next step if AWS refused the credentials. Other errors stay as they are.
func Plain(err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	text := err.Error()
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		text = strings.Replace(text, op.Error(), strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": "), 1)
	}
	if next := Refused(err); !strings.Contains(text, next) {
		text += ": " + next
	}
	return &plainError{text, err}
}

// plainError is an error with another text.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }
