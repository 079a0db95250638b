// Package account has what the commands need to access an AWS account: flags like those
// of the AWS CLI, and reads of CloudWatch's metrics.
package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/spf13/pflag"
)

// Configure loads the configuration of AWS clients. It is config.LoadDefaultConfig
// outside of tests.
type Configure func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error)

// Flags are the flags of a command that accesses AWS. The zero value means the account
// and Region of the environment.
type Flags struct {
	Profile, Region, Endpoint string
}

// Bind adds --profile, --region and --endpoint-url.
func (f *Flags) Bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.Profile, "profile", "", "use the AWS profile `NAME`; empty means AWS_PROFILE, or the default profile")
	flags.StringVar(&f.Region, "region", "", "use the AWS `REGION`; empty means that of the environment or the profile")
	flags.StringVar(&f.Endpoint, "endpoint-url", "", "send AWS calls to `URL`, such as that of a local stand-in")
}

// Config returns the configuration of AWS clients. It returns an error if the
// configuration cannot be read, or has no Region or credentials.
func (f Flags) Config(ctx context.Context, configure Configure) (aws.Config, error) {
	var load []func(*config.LoadOptions) error
	if f.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(f.Profile))
	}
	if f.Region != "" {
		load = append(load, config.WithRegion(f.Region))
	}
	const attempts = 8
	load = append(load, Quiet, config.WithRetryMode(aws.RetryModeAdaptive), config.WithRetryMaxAttempts(attempts))
	cfg, err := configure(ctx, load...)
	if err != nil {
		return cfg, fmt.Errorf("configure AWS: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("no AWS Region is set: give --region, or set AWS_REGION")
	}
	if _, err := Credentials(ctx, cfg, "set AWS_PROFILE or give --profile, or run aws sso login"); err != nil {
		return cfg, err
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = patient{cfg.HTTPClient}
	if f.Endpoint != "" {
		cfg.BaseEndpoint = &f.Endpoint
	}
	return cfg, nil
}

// patient is an HTTP client that accepts a response which arrives before net/http has
// sent the end of the request's body. smithy-go v1.28.9 then closes the body, and WriteTo
// of the closed body returns io.EOF, which net/http takes for a failed write: it closes
// the connection, and an unread response is lost. The SDK repeats the call, and messages
// in the lost response stay invisible in their queue.
type patient struct{ aws.HTTPClient }

func (c patient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context()) // a copy of the request
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

// ErrorCode returns AWS's error code of err, or "" if it has none.
func ErrorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}
