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
	return own, &credentialsError{text, err}
}

type credentialsError struct {
	text string
	err  error
}

func (e *credentialsError) Error() string { return e.text }
func (e *credentialsError) Unwrap() error { return e.err }
